"""The example configs that `aml init` writes, and the schemas that `aml schema` prints: files of the package."""

from __future__ import annotations

from pathlib import Path

import click

import azureml_wrapper.config
from azureml_wrapper.errors import did_you_mean

_CONFIG = Path(azureml_wrapper.config.__file__).parent
TEMPLATES, SCHEMAS = _CONFIG / "templates", _CONFIG / "schemas"
# The files of the package have it, so that nothing takes the scripts among them for its modules.
_SUFFIX = ".txt"


def init(kind: str, folder: Path, *, force: bool) -> None:
    """Write the files of an example; none if one of them exists, unless `force`."""
    wanted = {folder / name: content for name, content in files(kind).items()}
    existing = [str(file) for file in wanted if file.exists()]
    if existing and not force:
        raise click.UsageError(
            f"{', '.join(existing)} already exist{'s' * (len(existing) == 1)}; nothing was written. "
            "Give another folder, or --force to overwrite."
        )
    for file, content in wanted.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        click.echo(f"Wrote {file}")


def schema(kind: str | None, *, show_path: bool) -> None:
    """Print a schema or its path, or the kinds."""
    if kind is None:
        click.echo("\n".join(schema_kinds()))
        return
    file = _schema_file(kind)
    click.echo(str(file) if show_path else file.read_text(encoding="utf-8"), nl=show_path)


def files(kind: str) -> dict[Path, str]:
    """Name -> content of each file of an example."""
    folder = TEMPLATES / kind
    found = sorted(folder.rglob(f"*{_SUFFIX}"))
    return {file.relative_to(folder).with_suffix(""): file.read_text(encoding="utf-8") for file in found}


def schema_kinds() -> list[str]:
    """The kinds of configs that have a schema."""
    return sorted(file.stem for file in SCHEMAS.glob("*.json"))


def _schema_file(kind: str) -> Path:
    kinds = schema_kinds()
    if kind not in kinds:
        raise click.UsageError(f"Unknown kind {kind!r}.{did_you_mean(kind, kinds)} Kinds: {', '.join(kinds)}.")
    return SCHEMAS / f"{kind}.json"
