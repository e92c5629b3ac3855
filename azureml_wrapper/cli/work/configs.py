"""The example configs that `aml init` writes, and the schemas that `aml schema` prints: files of the package.

`python -m azureml_wrapper.cli.work.configs` generates the schemas from the models. Only that imports the models and
pydantic, so that the commands start fast.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import azureml_wrapper.config
from azureml_wrapper.errors import did_you_mean

if TYPE_CHECKING:
    from azureml_wrapper.config.models import Model

_CONFIG = Path(azureml_wrapper.config.__file__).parent
TEMPLATES, SCHEMAS = _CONFIG / "templates", _CONFIG / "schemas"
# The files of the package have it, so that nothing takes the scripts among them for its modules.
_SUFFIX = ".txt"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A string in place of a number or a boolean takes it from the environment.
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}

Schema = dict[str, Any]


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
    """Name -> content of each file of an example, with the path of the installed schema."""
    folder = TEMPLATES / kind
    return {
        file.relative_to(folder).with_suffix(""): file.read_text(encoding="utf-8").replace(
            "$schema=SCHEMAS/", f"$schema={SCHEMAS.as_posix()}/"
        )
        for file in sorted(folder.rglob(f"*{_SUFFIX}"))
    }


def schema_kinds() -> list[str]:
    """The kinds of configs that have a schema."""
    return sorted(file.stem for file in SCHEMAS.glob("*.json"))


def _schema_file(kind: str) -> Path:
    known = schema_kinds()
    if kind not in known:
        raise click.UsageError(f"Unknown kind {kind!r}.{did_you_mean(kind, known)} Kinds: {', '.join(known)}.")
    return file_of(kind)


def _of_model(model: type[Model]) -> Schema:
    return model.model_json_schema()


def _of_workspace_model(model: type[Model]) -> Schema:
    """Azure's own config.json has `workspace_name` for `ws_name`; the loader takes both."""
    schema = _of_model(model)
    schema["properties"]["workspace_name"] = schema["properties"]["ws_name"]
    schema["required"].remove("ws_name")
    schema["anyOf"] = [{"required": [name]} for name in ("ws_name", "workspace_name")]
    return schema


def _of_pipeline() -> Schema:
    """The steps can also be a list."""
    from azureml_wrapper.config.models import PipelineConfig

    schema = _of_workspace_model(PipelineConfig)
    steps = schema["properties"]["steps"]
    listed = {"type": "array", "minItems": 1, "items": steps["additionalProperties"]}
    steps["minProperties"] = 1
    schema["properties"]["steps"] = {"anyOf": [steps, listed]}
    return schema


def _of_steps() -> Schema:
    """A mapping of steps, each of one of the three types."""
    from pydantic import TypeAdapter

    from azureml_wrapper.pipeline_files.entries import MpiEntry, ParallelRunEntry, PythonScriptEntry

    schema = TypeAdapter(PythonScriptEntry | MpiEntry | ParallelRunEntry).json_schema()
    step = {"type": "object", "oneOf": schema["anyOf"]}
    return {
        "$defs": schema["$defs"],
        "title": "Pipeline configuration file",
        "description": "Steps that run one after the other.",
        "type": "object",
        "properties": {},
        "additionalProperties": step,
        "minProperties": 1,
    }


def _makers() -> dict[str, Callable[[], Schema]]:
    """Kind of config -> what makes its schema."""
    from azureml_wrapper.config import job_models, models
    from azureml_wrapper.projects import project_resources

    return {
        "pipeline": _of_pipeline,
        "steps": _of_steps,
        "step": lambda: _of_workspace_model(models.StepConfig),
        "job": lambda: _of_workspace_model(job_models.JobConfig),
        "workspace": lambda: _of_workspace_model(models.WorkspaceConfig) | {"additionalProperties": True},
        "compute": lambda: _of_model(project_resources.ComputeFile),
        "compute_target": lambda: _of_model(job_models.ComputeFile),
        "datastore": lambda: _of_model(job_models.DatastoreFile),
        "environment": lambda: _of_model(job_models.EnvironmentFile),
    }


def kinds() -> list[str]:
    """The kinds of configs for which a schema can be generated."""
    return sorted(_makers())


def generate(kind: str) -> Schema:
    """The schema of one of the `kinds`."""
    from azureml_wrapper.config.loader import SCHEMA_KEY

    schema = _makers()[kind]()
    schema["properties"][SCHEMA_KEY] = {"type": "string"}
    return {"$schema": DIALECT, **_with_variables(schema)}


def as_text(kind: str) -> str:
    """The content of the kind's file."""
    return json.dumps(generate(kind), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def file_of(kind: str) -> Path:
    """The file of the JSON schema of one kind of config."""
    return SCHEMAS / f"{kind}.json"


def write() -> None:
    """Write all files."""
    for kind in kinds():
        file_of(kind).write_text(as_text(kind), encoding="utf-8")


def _with_variables(schema: Any) -> Any:
    """Allow `${NAME}` in place of every number and boolean."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _with_variables(value) for key, value in schema.items()}
    if inner.get("type") not in ("integer", "boolean"):
        return inner
    about = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
    return {**about, "anyOf": [inner, _VARIABLE]}


if __name__ == "__main__":
    write()
