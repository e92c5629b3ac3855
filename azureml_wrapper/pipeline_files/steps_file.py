"""Read a pipeline configuration file: the problems of all steps are reported at once, with their lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azureml_wrapper.config.loader import SCHEMA_KEY, Config, explain, fill_in, read_document
from azureml_wrapper.config.parsing import Document, KeyPath, Problem, as_error, show_path
from azureml_wrapper.errors import BadValue, MissingKey, WrongType, did_you_mean
from azureml_wrapper.pipeline_files.entries import TYPES, MpiEntry, ParallelRunEntry, PythonScriptEntry, StepEntry

NOUN = "pipeline"
# The top-level keys of a PipelineWrapper's config.
_OTHER_KEYS = ("steps", "ws_name", "workspace_name", "env_name", "Scope")
_STEP_KEYS = {"type", "script", "source_directory"}


@dataclass(frozen=True)
class FileStep:
    """A step of the file, with its files found on this machine."""

    entry: PythonScriptEntry | MpiEntry | ParallelRunEntry
    script_directory: Path
    requirements: Path | None

    @property
    def name(self) -> str:
        """The name of the step."""
        return self.entry.name

    @property
    def arguments(self) -> list[str]:
        """The arguments in the file, without `--input_data` and `--output`."""
        return list(self.entry.arguments)


@dataclass(frozen=True)
class StepsFile:
    """The steps of a file, in order."""

    steps: tuple[FileStep, ...]
    document: Document

    @property
    def entries(self) -> list[StepEntry]:
        """The entries of the file, in order."""
        return [step.entry for step in self.steps]

    def datastore_names(self) -> dict[str, str | None]:
        """Step -> its datastore, for the steps that read from one; None is the workspace's default one.

        A step that names a path and no datastore reads from that of the nearest step before it that names one.
        """
        names: dict[str, str | None] = {}
        last = None
        for entry in self.entries:
            last = entry.input_dataset_name or last
            if entry.has_reference:
                names[entry.name] = last
        return names


def is_steps_file(data: Any) -> bool:
    """Whether this has the shape of a pipeline configuration file: a mapping of steps, and nothing else.

    A step beside something else counts as well, so that the rest is reported.
    """
    if not isinstance(data, Mapping) or any(key in data for key in _OTHER_KEYS):
        return False
    values = [value for key, value in data.items() if key != SCHEMA_KEY]
    steps = [value for value in values if isinstance(value, Mapping)]
    return any(_STEP_KEYS & step.keys() for step in steps) or (bool(steps) and len(steps) == len(values))


def load_steps(source: Config | Document) -> StepsFile:
    """Load the steps of a mapping or of a .json or .yml file; raises `ConfigError` with all problems.

    `source_directory` and `requirements` are relative to the current folder, from which such pipelines are started,
    or else to the file's folder.
    """
    document = read_document(source)
    data, problems = fill_in(document, NOUN)
    steps = [_read(key, value, document, problems) for key, value in data.items()]
    problems += _between(data)
    if not data:
        problems.append(Problem(MissingKey, (), "no steps found: add at least one, such as step1."))
    found = tuple(step for step in steps if step is not None)
    if problems:
        raise as_error(problems, document, what=NOUN)
    return StepsFile(found, document)


def _read(key: str, value: Any, document: Document, problems: list[Problem]) -> FileStep | None:
    if not isinstance(value, Mapping):
        found = "nothing" if value is None else type(value).__name__
        problems.append(Problem(WrongType, (key,), f"{show_path((key,))} must be a mapping (a step), got {found}."))
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
    """Placeholders of a template that are still there: `"<name of the step>"`."""
    for name, value in step.items():
        if isinstance(value, str) and value.startswith("<") and " " in value:
            path: KeyPath = (key, name)
            yield Problem(BadValue, path, f"{show_path(path)} is still the placeholder {value!r}; replace it.")


def _validate(key: str, step: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    kind = step.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        # Whatever the type, a key that no type has is unknown.
        known = {name for model in TYPES.values() for name in model.model_fields}
        unknown = [name for name in step if name not in known]
        return None, [_wrong_type(key, step), *(_unknown((key, name), known) for name in unknown)]
    model = TYPES[kind]
    try:
        return model.model_validate(dict(step)), []
    except ValidationError as error:
        return None, [explain(model, detail, (key,)) for detail in error.errors(include_url=False)]


def _wrong_type(key: str, step: Mapping[str, Any]) -> Problem:
    path: KeyPath = (key, "type")
    allowed = ", ".join(TYPES)
    if "type" not in step:
        return Problem(MissingKey, path, f"{show_path(path)} is missing; expected one of {allowed}.")
    kind = step["type"]
    near = did_you_mean(str(kind), TYPES) or f" Expected one of {allowed}."
    return Problem(BadValue, path, f"{show_path(path)} is {kind!r}, which is not a type of step.{near}")


def _unknown(path: KeyPath, known: Iterable[str]) -> Problem:
    near = did_you_mean(str(path[-1]), known) or f" Known keys: {', '.join(sorted(known))}."
    return Problem(BadValue, path, f"{show_path(path)} is not a key of a step's config.{near}")


def _files(
    key: str, step: Mapping[str, Any], document: Document
) -> tuple[tuple[Path, Path | None] | None, list[Problem]]:
    """The step's folder and its requirements file, and problems with missing files."""
    folder, script, listed = (step.get(name) for name in ("source_directory", "script", "requirements"))
    problems = []
    directory = _find(folder, document) if isinstance(folder, str) and folder else None
    if directory is None or not directory.is_dir():
        if isinstance(folder, str) and folder:
            problems.append(_missing_file((key, "source_directory"), "folder", folder, document))
        directory = None
    elif isinstance(script, str) and script and not (directory / script).is_file():
        problems.append(_no_script((key, "script"), script, directory))
    requirements = _find(listed, document) if isinstance(listed, str) and listed else None
    if requirements is not None and not requirements.is_file():
        problems.append(_missing_file((key, "requirements"), "file", str(listed), document))
    return (None if directory is None else (directory, requirements)), problems


def _find(name: str, document: Document) -> Path:
    """Relative to the current folder, else to the config's."""
    path = Path(name).expanduser()
    here = Path.cwd() / path
    return here.resolve() if here.exists() else (document.folder / path).resolve()


def _missing_file(path: KeyPath, noun: str, name: str, document: Document) -> Problem:
    where = " or ".join(str(folder) for folder in dict.fromkeys((Path.cwd(), document.folder.resolve())))
    return Problem(BadValue, path, f"{show_path(path)}: no {noun} {name!r} in {where}.")


def _no_script(path: KeyPath, script: str, directory: Path) -> Problem:
    known = sorted(file.relative_to(directory).as_posix() for file in directory.rglob("*.py"))
    near = did_you_mean(script, known) or (f" It contains {', '.join(known[:5])}." if known else "")
    return Problem(BadValue, path, f"{show_path(path)}: no script {script!r} in {directory}.{near}")


def _between(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that two steps share, and references to two places by one name."""
    steps = [(key, step) for key, step in data.items() if isinstance(step, Mapping)]
    names: dict[str, str] = {}
    places: dict[str, tuple[Any, Any]] = {}
    datastore = None
    for key, step in steps:
        name = step.get("name")
        if isinstance(name, str) and names.setdefault(name, key) != key:
            path: KeyPath = (key, "name")
            yield Problem(BadValue, path, f"{show_path(path)} is {name!r}, which is the name of {names[name]}, too.")
        reference = step.get("input_datareference_name")
        # A step that names no datastore reads from that of the nearest step before it that names one.
        datastore = step.get("input_dataset_name") or datastore
        place = (datastore, step.get("input_datareference_path"))
        if isinstance(reference, str) and places.setdefault(reference, place) != place:
            path = (key, "input_datareference_name")
            yield Problem(
                BadValue, path, f"{show_path(path)} is {reference!r}, which names another place in another step."
            )
