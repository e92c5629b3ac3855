"""docs/v2-yaml.md is what the readers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_wrapper.errors import ConfigError
from azureml_wrapper.v2 import read, table

ROOT = Path(__file__).resolve().parents[3]
READERS = {
    "compute": (read.read_compute, {"type": "amlcompute"}),
    "datastore": (read.read_datastore, {"type": "azure_blob"}),
    "environment": (read.read_environment, {}),
    "command": (read.read_job, {"type": "command"}),
    "pipeline": (read.read_job, {"type": "pipeline"}),
    "sweep": (read.read_job, {"type": "sweep"}),
}


def keys(word: str):
    """(reader, key) of each key at the top of a file that is `done`, `noted` or `refused`."""
    for name, (reader, start) in READERS.items():
        title = next(title for title in table.SECTIONS if name in title.split(":")[0] or f"type: {name}`" in title)
        for key, said, _ in table.rows(table.SECTIONS[title][0], {}):
            if said == word:
                yield pytest.param(reader, start, key.split(" ")[0], id=f"{name}-{key.split(' ')[0]}")


def said_of(tmp_path, reader, start, key) -> tuple[str, list[str]]:
    """The problems of a file that has only this key, and its type, and the notes."""
    lines = [f"{name}: {value}" for name, value in start.items()] + [f"{key}: {{}}"] * (key not in start)
    (tmp_path / "file.yml").write_text("\n".join(lines) + "\n")
    try:
        return "", reader(tmp_path / "file.yml")[1]
    except ConfigError as error:
        return str(error), []


def test_the_page_is_that_of_the_readers():
    page = (ROOT / "docs" / "v2-yaml.md").read_text(encoding="utf-8")
    assert page == table.render(), "Run: python -m azureml_wrapper.v2.table --write docs/v2-yaml.md"


@pytest.mark.parametrize(("reader", "start", "key"), keys("refused"))
def test_what_the_page_calls_refused_is_refused(tmp_path, reader, start, key):
    told, _ = said_of(tmp_path, reader, start, key)
    assert f"line {1 + len(start)}: {key} is refused: " in told


@pytest.mark.parametrize(("reader", "start", "key"), keys("done"))
def test_what_the_page_calls_done_is_known(tmp_path, reader, start, key):
    told, _ = said_of(tmp_path, reader, start, key)
    assert f"Unknown key {key}" not in told
    assert f"{key} is refused: " not in told.replace("compute is refused: SDK v1 needs Docker", "")
