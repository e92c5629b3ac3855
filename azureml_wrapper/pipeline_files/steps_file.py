"""Read a pipeline configuration file: every problem of every step is told at once, with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azureml_wrapper.config.loader import SCHEMA_KEY, Config, explain, fill_in, read_document
from azureml_wrapper.config.problems import Problem, show_path, tell
from azureml_wrapper.config.readers import Document, KeyPath
from azureml_wrapper.errors import BadValue, MissingKey, WrongType, did_you_mean
from azureml_wrapper.pipeline_files.entries import TYPES, MpiEntry, ParallelRunEntry, PythonScriptEntry, StepEntry

NOUN = "pipeline"
# A config of the other kind has these, and no mapping of steps at its top.
_OTHER_KEYS = ("steps", "ws_name", "workspace_name", "env_name", "Scope")
_STEP_KEYS = {"type", "script", "source_directory"}


@dataclass(frozen=True)
class FileStep:
    """A step of the file, with its files found on this machine. Lists and runs take it for a PipelineStep."""

    entry: PythonScriptEntry | MpiEntry | ParallelRunEntry
    script_directory: Path
    requirements: Path | None
    retries: int = 0
    parameters_in_config: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def script_name(self) -> str:
        return self.entry.script

    @property
    def arguments(self) -> list[str]:
        """Those of the file; `--input_data` and `--output` are added when the step is built."""
        return list(self.entry.arguments)


@dataclass(frozen=True)
class StepsFile:
    """The steps of a file, in order."""

    steps: tuple[FileStep, ...]
    document: Document

    @property
    def entries(self) -> list[StepEntry]:
        return [step.entry for step in self.steps]


def is_steps_file(data: Any) -> bool:
    """Whether this has the shape of a pipeline configuration file: a mapping of steps, and nothing else.

    One with a step and something else is one as well, so that the rest is told.
    """
    if not isinstance(data, Mapping) or any(key in data for key in _OTHER_KEYS):
        return False
    values = [value for key, value in data.items() if key != SCHEMA_KEY]
    steps = [value for value in values if isinstance(value, Mapping)]
    return any(_STEP_KEYS & step.keys() for step in steps) or (bool(steps) and len(steps) == len(values))


def load_steps(source: Config | Document) -> StepsFile:
    """The steps of a dict or of a .json or .yml file; a `ConfigError` tells all that is wrong.

    `source_directory` and `requirements` are relative to the current folder, from which such pipelines are started;
    what is not there is looked for beside the file.
    """
    document = read_document(source)
    data, problems = fill_in(document, NOUN)
    steps = [_read(key, value, document, problems) for key, value in data.items()]
    problems += _between(data)
    if not data:
        problems.append(Problem(MissingKey, (), "there is no step: give at least one, as step1."))
    found = tuple(step for step in steps if step is not None)
    if problems:
        raise tell(problems, document, what=NOUN)
    return StepsFile(found, document)


def _read(key: str, value: Any, document: Document, problems: list[Problem]) -> FileStep | None:
    if not isinstance(value, Mapping):
        found = "empty" if value is None else type(value).__name__
        problems.append(Problem(WrongType, (key,), f"{show_path((key,))} must be a mapping, a step; not {found}."))
        return None
    unfilled = list(_placeholders(key, value))
    told = {problem.path for problem in unfilled}
    entry, wrong = _validate(key, value)
    files, missing = _files(key, value, document)
    problems += unfilled + [problem for problem in wrong if problem.path not in told]
    told |= {problem.path for problem in wrong}
    problems += [problem for problem in missing if problem.path not in told]
    return FileStep(entry, *files) if entry is not None and files is not None else None


def _placeholders(key: str, step: Mapping[str, Any]) -> Iterator[Problem]:
    """Values of a template that nobody has filled in: `"<name of the step>"`."""
    for name, value in step.items():
        if isinstance(value, str) and value.startswith("<") and " " in value:
            path: KeyPath = (key, name)
            yield Problem(BadValue, path, f"{show_path(path)} is still the placeholder {value!r}; fill it in.")


def _validate(key: str, step: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    kind = step.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        # What else is wrong, as far as that holds for every type.
        known = {name for model in TYPES.values() for name in model.model_fields}
        unknown = [name for name in step if name not in known]
        return None, [_wrong_type(key, step), *(_unknown((key, name), known) for name in unknown)]
    model = TYPES[kind]
    try:
        return model.model_validate(dict(step)), []
    except ValidationError as error:
        return None, [_placed(model, detail, key) for detail in error.errors(include_url=False)]


def _placed(model: type[StepEntry], detail: Any, key: str) -> Problem:
    """A problem at the key that its message begins with, where it concerns several keys."""
    problem = explain(model, detail, (key,))
    name = str(detail["msg"]).partition(" ")[0].rstrip(":")
    if detail["loc"] or name not in model.model_fields:
        return problem
    return Problem(problem.error, (key, name), f"{show_path((key, name))}{str(detail['msg'])[len(name) :]}.")


def _wrong_type(key: str, step: Mapping[str, Any]) -> Problem:
    path: KeyPath = (key, "type")
    allowed = ", ".join(TYPES)
    if "type" not in step:
        return Problem(MissingKey, path, f"{show_path(path)} is missing; allowed are {allowed}.")
    kind = step["type"]
    near = did_you_mean(str(kind), TYPES) or f" Allowed are {allowed}."
    return Problem(BadValue, path, f"{show_path(path)} is {kind!r}, which is no type of a step.{near}")


def _unknown(path: KeyPath, known: Iterable[str]) -> Problem:
    near = did_you_mean(str(path[-1]), known) or f" Known are {', '.join(sorted(known))}."
    return Problem(BadValue, path, f"{show_path(path)} is not a key of a step's config.{near}")


def _files(
    key: str, step: Mapping[str, Any], document: Document
) -> tuple[tuple[Path, Path | None] | None, list[Problem]]:
    """Where the step's folder and its requirements are, and what of its files is not there."""
    folder, script, listed = (step.get(name) for name in ("source_directory", "script", "requirements"))
    problems = []
    directory = _find(folder, document) if isinstance(folder, str) and folder else None
    if directory is None or not directory.is_dir():
        if isinstance(folder, str) and folder:
            problems.append(_lost((key, "source_directory"), "folder", folder, document))
        directory = None
    elif isinstance(script, str) and script and not (directory / script).is_file():
        problems.append(_no_script((key, "script"), script, directory))
    requirements = _find(listed, document) if isinstance(listed, str) and listed else None
    if requirements is not None and not requirements.is_file():
        problems.append(_lost((key, "requirements"), "file", str(listed), document))
    return (None if directory is None else (directory, requirements)), problems


def _find(name: str, document: Document) -> Path:
    """From the current folder, else beside the config."""
    path = Path(name).expanduser()
    here = Path.cwd() / path
    return here.resolve() if here.exists() else (document.folder / path).resolve()


def _lost(path: KeyPath, noun: str, name: str, document: Document) -> Problem:
    where = " nor in ".join(str(folder) for folder in dict.fromkeys((Path.cwd(), document.folder.resolve())))
    return Problem(BadValue, path, f"{show_path(path)}: there is no {noun} {name!r} in {where}.")


def _no_script(path: KeyPath, script: str, directory: Path) -> Problem:
    known = sorted(file.relative_to(directory).as_posix() for file in directory.rglob("*.py"))
    near = did_you_mean(script, known) or (f" It has {', '.join(known[:5])}." if known else "")
    return Problem(BadValue, path, f"{show_path(path)}: there is no script {script!r} in {directory}.{near}")


def _between(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that two steps have, and references that mean two places."""
    steps = [(key, step) for key, step in data.items() if isinstance(step, Mapping)]
    names: dict[str, str] = {}
    places: dict[str, tuple[Any, Any]] = {}
    datastore = None
    for key, step in steps:
        name = step.get("name")
        if isinstance(name, str) and names.setdefault(name, key) != key:
            path: KeyPath = (key, "name")
            yield Problem(BadValue, path, f"{show_path(path)} is {name!r}, as that of {names[name]} is.")
        reference = step.get("input_datareference_name")
        # A step that names no datastore reads from that of the nearest step before it that names one.
        datastore = step.get("input_dataset_name") or datastore
        place = (datastore, step.get("input_datareference_path"))
        if isinstance(reference, str) and places.setdefault(reference, place) != place:
            path = (key, "input_datareference_name")
            yield Problem(
                BadValue, path, f"{show_path(path)} is {reference!r}, the name of another place in another step."
            )
