"""Find a config, read it, fill in `${VARIABLES}`, and check it: all problems are reported at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from azureml_wrapper.config import parsing
from azureml_wrapper.config.models import Model, ParametersConfig, PipelineConfig, StepConfig, WorkspaceConfig
from azureml_wrapper.config.parsing import Document, KeyPath, Problem, as_error, show_path
from azureml_wrapper.config.rules import parameter_problems, pipeline_problems
from azureml_wrapper.config.stray_keys import is_stray, warn_of_stray_keys, without_stray_keys
from azureml_wrapper.config.workspace_files import find
from azureml_wrapper.errors import BadValue, MissingKey, WrongType, did_you_mean

# Where the SDK's `ws.write_config()` and the button in Azure's portal put it; the YAML files are an addition of ours.
_REFERENCE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
SCHEMA_KEY = "$schema"
# The file that `ws.write_config()` makes: {"Id": null, "Scope": "/subscriptions/…"}.
_SCOPE = re.compile(
    r"/subscriptions/(?P<subscription_id>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<ws_name>[^/]+)",
    re.IGNORECASE,
)

Config = Mapping[str, Any] | str | os.PathLike[str] | None
M = TypeVar("M", bound=Model)


def load(model: type[M], source: Config | Document) -> tuple[M, Document]:
    """Load the config of a mapping, of a file, or of the nearest `.azureml/config.json`; raises `ConfigError`."""
    document = read_document(source)
    data, problems = fill_in(document, model.noun)
    problems += _rename(data)
    for step in _steps(data):
        problems += _rename(step)
    config = _validate(model, data, problems)
    if problems and document.path is None and all(problem.stray for problem in problems):
        stray, problems = problems, []
        config = _validate(model, without_stray_keys(data, stray), problems)
        if config is not None:
            warn_of_stray_keys(stray)
    if problems or config is None:
        raise as_error(problems, document, what=model.noun)
    return config, document


def fill_in(document: Document, noun: str) -> tuple[dict[str, Any], list[Problem]]:
    """The data of a config that is a mapping, with variables filled in, and the problems found so far."""
    if not isinstance(document.data, Mapping):
        found = type(document.data).__name__
        raise as_error([Problem(WrongType, (), f"a config must be a mapping, got {found}.")], document, what=noun)
    problems = [Problem(BadValue, path, f"{show_path(path)} appears twice.") for path in document.duplicates]
    data: dict[str, Any] = _substitute(document, problems)
    # Tells editors which schema to use.
    data.pop(SCHEMA_KEY, None)
    return data, problems


def check(model: type[M], data: Mapping[str, Any]) -> M:
    """The same checks for the arguments of a constructor."""
    problems: list[Problem] = []
    config = _validate(model, dict(data), problems)
    if problems or config is None:
        raise as_error(problems, Document(data), what=model.noun)
    return config


def check_parameters(given: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of a pipeline, checked against the `step_config` and `arguments` of its steps by name."""
    data = {"pipeline_parameters": dict(given)}
    config = check(ParametersConfig, data)
    problems = list(parameter_problems(steps.items(), given))
    if problems:
        raise as_error(problems, Document(data), what="pipeline")
    return dict(config.pipeline_parameters or {})


def read_document(source: Config | Document) -> Document:
    """A config as written; for None, the nearest `.azureml/config.json`."""
    if isinstance(source, Document):
        return source
    if source is None:
        return parsing.read(find())
    if isinstance(source, (str, os.PathLike)):
        return parsing.read(Path(source).expanduser())
    return Document(source)


def _substitute(document: Document, problems: list[Problem]) -> Any:
    """The data with each `${NAME}` replaced by the value in the environment, or in the .env beside the config.

    `$${NAME}` stands for a literal `${NAME}`. Keys are not changed.
    """
    variables = _variables(document)

    def replace(value: Any, path: KeyPath) -> Any:
        if isinstance(value, Mapping):
            return {key: replace(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [replace(item, (*path, index)) for index, item in enumerate(value)]
        return _fill(value, path, variables, problems) if isinstance(value, str) else value

    return replace(document.data, ())


def _fill(text: str, path: KeyPath, variables: Callable[[str], str | None], problems: list[Problem]) -> str:
    def value(match: re.Match[str]) -> str:
        escape, name = match.groups()
        found = variables(name)
        if escape:
            return match.group()[1:]
        if found is None:
            problems.append(
                Problem(BadValue, path, f"{show_path(path)} uses the environment variable {name}, which is not set.")
            )
        return found or ""

    return _REFERENCE.sub(value, text)


def _variables(document: Document) -> Callable[[str], str | None]:
    """Look up a variable; the environment wins over the .env file, which is read only when needed."""
    cache: dict[str, str | None] = {}

    def look_up(name: str) -> str | None:
        if name in os.environ:
            return os.environ[name]
        file = document.folder / ".env"
        if not cache and file.is_file():
            from dotenv import dotenv_values

            cache.update(dotenv_values(file))
        return cache.get(name)

    return look_up


def _steps(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    steps = data.get("steps")
    items = steps.values() if isinstance(steps, dict) else steps if isinstance(steps, list) else ()
    return (step for step in items if isinstance(step, dict))


def _rename(data: dict[str, Any]) -> list[Problem]:
    """Rename the keys of Azure's config.json: `workspace_name`, and the `Scope` of `ws.write_config()`."""
    if scope := _SCOPE.fullmatch(str(data.get("Scope", ""))):
        del data["Scope"]
        data.pop("Id", None)
        for key, name in scope.groupdict().items():
            data.setdefault(key, name)
    if "workspace_name" not in data:
        return []
    other = data.pop("workspace_name")
    if data.setdefault("ws_name", other) != other:
        return [Problem(BadValue, ("workspace_name",), "workspace_name and ws_name differ; keep one of them.")]
    return []


def _validate(model: type[M], data: dict[str, Any], problems: list[Problem]) -> M | None:
    if model is PipelineConfig:
        problems += pipeline_problems(data)
        if isinstance(data.get("steps"), list):
            data = {**data, "steps": dict(enumerate(data["steps"]))}
    elif model is WorkspaceConfig:
        # The config of a pipeline, a step or a job names a workspace, too.
        # Imported here because a pipeline does not need the models of a job.
        from azureml_wrapper.config.job_models import JobConfig

        others = {*PipelineConfig.model_fields, *StepConfig.model_fields, *JobConfig.model_fields}
        elsewhere = others - model.model_fields.keys()
        data = {key: value for key, value in data.items() if key not in elsewhere}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += [explain(model, detail) for detail in error.errors(include_url=False)]
        return None


def explain(model: type[Model], detail: Any, above: KeyPath = ()) -> Problem:
    """One of pydantic's errors in our words; `above` is the path of the model's own keys."""
    path: KeyPath = (*above, *(part for part in detail["loc"] if part != "[key]"))
    kind = detail["type"]
    if kind == "missing":
        return Problem(MissingKey, path, f"{show_path(path)} is missing.")
    if kind == "extra_forbidden":
        noun = "step" if len(path) > 1 else model.noun
        hint = _known(model, str(path[-1])) if above else _hint(model, path)
        stray = not above and is_stray(model, path, _keys(model, path))
        return Problem(BadValue, path, f"{show_path(path)} is not a key of a {noun}'s config.{hint}", stray)
    if kind.endswith(("_type", "_parsing")) or kind == "type":
        return Problem(WrongType, path, f"{show_path(path)} must be {_expected(kind, detail)}.")
    if kind in ("string_too_short", "too_short"):
        return Problem(BadValue, path, f"{show_path(path)} is empty.")
    return _refused(path, detail)


def _refused(path: KeyPath, detail: Any) -> Problem:
    """A value that a validator has refused; a model's own validator may name the key (`values.refuse_key`)."""
    given = detail.get("ctx", {})
    key, message = given.get("key"), str(detail["msg"])
    path = (*path, key) if isinstance(key, str) else path
    link = " " if message.startswith(("is ", "must ", "requires ", "cannot ")) else ": "
    return Problem(BadValue, path, f"{show_path(path)}{link}{message}." if path else f"{message}.")


_EXPECTED = {
    "string_type": "a string",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "the path of a folder",
    "list_type": "a list",
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "float_type": "a number",
    "int_type": "an integer",
    "int_parsing": "an integer",
}


def _expected(kind: str, detail: Any) -> str:
    if kind == "type":
        return f"JSON for the script, but {detail['msg']}"
    given = detail["input"]
    return f"{_EXPECTED.get(kind, kind)}, got {'nothing' if given is None else type(given).__name__}"


def _hint(model: type[Model], path: KeyPath) -> str:
    name = str(path[-1])
    if name == "steps" and len(path) == 1:
        return " Load a config with steps by PipelineWrapper.from_config."
    return _show_known(name, _keys(model, path))


def _keys(model: type[Model], path: KeyPath) -> list[str]:
    """The known keys beside an unknown one."""
    return [*(StepConfig if len(path) > 1 else model).model_fields, "workspace_name"]


def _known(model: type[Model], name: str) -> str:
    return _show_known(name, list(model.model_fields))


def _show_known(name: str, known: list[str]) -> str:
    return did_you_mean(name, known) or f" Known keys: {', '.join(sorted(known))}."
