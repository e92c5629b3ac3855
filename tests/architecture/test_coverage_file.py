"""COVERAGE.md is what the route tables say."""

from __future__ import annotations

import re
from pathlib import Path

from azureml_wrapper.local import coverage
from azureml_wrapper.local.app import SERVICES, service_routes

FILE = Path(__file__).parents[2] / "COVERAGE.md"


def test_the_file_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == coverage.text(), (
        "Run: python -m azureml_wrapper.local.coverage --write COVERAGE.md"
    )


def test_every_operation_has_one_line_that_says_what_it_does():
    rows = [line for line in coverage.text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| method", "| ---"))]
    assert len(rows) > len(service_routes())
    assert all(len(row.replace("\\|", "").split("|")) == 6 for row in rows)
    assert not [row for row in rows if row.endswith("|  |")]


def name(service):
    """That of `….local.services.model`, `….local.services.arm.handlers` or `….local.studio.handlers`."""
    return re.search(r"\.local\.(?:services\.)?(\w+)", service.__name__)[1]


def test_every_service_has_a_part():
    text = coverage.text()
    assert all(f"\n## {name(service)}\n" in text for service in SERVICES)


def test_it_prints_without_a_file_and_writes_with_one(tmp_path, capsys):
    coverage.main([])
    assert capsys.readouterr().out == coverage.text()
    coverage.main(["--write", str(tmp_path / "C.md")])
    assert (tmp_path / "C.md").read_text(encoding="utf-8") == coverage.text()
