"""What `aml init` writes, and where the schemas are: files of the package."""

from __future__ import annotations

from pathlib import Path

import click

import azureml_wrapper.config
from azureml_wrapper.errors import did_you_mean

_CONFIG = Path(azureml_wrapper.config.__file__).parent
TEMPLATES, SCHEMAS = _CONFIG / "templates", _CONFIG / "schemas"
# Files have it here, so that scripts among them are not taken for modules of this package.
_SUFFIX = ".txt"


def files(kind: str) -> dict[Path, str]:
    """Name -> content of each file of an example."""
    folder = TEMPLATES / kind
    found = sorted(folder.rglob(f"*{_SUFFIX}"))
    return {file.relative_to(folder).with_suffix(""): file.read_text(encoding="utf-8") for file in found}


def write(kind: str, folder: Path, *, force: bool) -> list[Path]:
    """Write the files of an example, and return them; nothing is written where one is there, unless `force`."""
    wanted = {folder / name: content for name, content in files(kind).items()}
    there = [str(file) for file in wanted if file.exists()]
    if there and not force:
        raise click.UsageError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, and nothing was written. "
            "Give another folder, or --force to write over."
        )
    for file, content in wanted.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return list(wanted)


def schema_kinds() -> list[str]:
    return sorted(file.stem for file in SCHEMAS.glob("*.json"))


def schema_file(kind: str) -> Path:
    """The schema of a kind of config; a usage error tells which there are."""
    kinds = schema_kinds()
    if kind not in kinds:
        near = did_you_mean(kind, kinds)
        raise click.UsageError(f"There is no schema {kind!r}.{near} There are {', '.join(kinds)}.")
    return SCHEMAS / f"{kind}.json"
