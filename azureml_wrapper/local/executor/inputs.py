"""Puts a job's inputs where its script finds them.

A mount is the store's own folder or file if the dataset is exactly that, and otherwise a folder of links to the files
that it matches. Azure's mounts are read-only. Here nothing prevents a script from writing (root ignores file modes),
so the log says that it must not; a download is a copy that a script may change. A relative `path_on_compute` is below
the working directory, where the script may open it by that name.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from azureml_wrapper.local.domain.datasets import (
    SavedDataset,
    Source,
    folder_definition,
    kind_after,
    with_transformations,
)
from azureml_wrapper.local.domain.errors import Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.jobs import JobInput, JobOutput, Mode, RunForms
from azureml_wrapper.local.domain.plans import Data, DataPath, FolderData, SavedData, StepInput
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.domain.storage import without_dots
from azureml_wrapper.local.executor import webfiles
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore

_WILDCARD = re.compile(r"[*?\[]")
_WHOLE_FOLDER = re.compile(r"(\*\*|/\*\*/\*|\*\*/\*)?")
# Files of an input that are looked at: those of a table are of one kind.
_PARQUET_FILES = 20
# More than the inputs of a step, which is how many are needed at once.
_MAKERS_KEPT = 512
# Parquet has no seconds, so pyarrow stores milliseconds; azureml-dataprep-rslex believes the file's own note of the
# type before that, which says seconds, and multiplies each date by 1000 (seen with 2.26).
_SECONDS = (
    "Input {input}: {file} has dates in seconds ({columns}), which the SDK's reader takes for milliseconds: 2024 is "
    "read as 56135. Write such columns as nanoseconds: astype('datetime64[ns]')."
)
# Transformations of datasets that do not change files.
_HARMLESS_STEPS = frozenset({"extract_columns_from_partition_format", "add_columns_from_partition_format"})


@dataclass(frozen=True)
class StagedInput:
    """`value` is what the script receives: a path, or the dataset's id in direct mode. `note` is for the log.

    `is_literal`: the data is at its `path_on_compute`.
    """

    job_input: JobInput
    value: str
    note: str = ""
    is_literal: bool = False


@dataclass(frozen=True)
class _Files:
    """Files of the store: all of `root` if `names` is None, else the files with these names in it."""

    root: Path
    names: tuple[str, ...] | None = None


class InputStager:
    """Stages inputs in a folder of the job, or where their `path_on_compute` says in the working directory."""

    def __init__(self, context: ExecutorContext, workspace_id: str, folder: Path, working_directory: Path) -> None:
        self._context, self._workspace_id, self._folder = context, workspace_id, folder
        self._working_directory = working_directory

    def stage(self, job_input: JobInput) -> StagedInput:
        """Make an input available; a fault if its data does not exist or is not supported."""
        if job_input.mode is Mode.DIRECT:
            return StagedInput(job_input, job_input.dataset_id or "", self._note(job_input))
        found = list(self._resolve(job_input))
        place = self._place(job_input, found)
        if job_input.mode is Mode.MOUNT and len(found) == 1 and found[0].names is None:
            if place is None:
                return StagedInput(job_input, str(found[0].root))
            if found[0].root.is_dir() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(found[0].root, target_is_directory=True)
                return StagedInput(job_input, str(place), is_literal=True)
        target = place or self._folder / job_input.name
        _fill(target, found, os.symlink if job_input.mode is Mode.MOUNT else shutil.copyfile)
        is_file = len(found) == 1 and found[0].names is None and found[0].root.is_file()
        value = target / found[0].root.name if is_file else target
        return StagedInput(job_input, str(value), is_literal=place is not None)

    def _place(self, job_input: JobInput, found: list[_Files]) -> Path | None:
        """The input's `path_on_compute`, unless it leads out of the working directory or replaces a file there."""
        wanted = job_input.path_on_compute
        if not wanted or job_input.is_mounted_reference:
            return None
        if job_input.is_reference:
            # Of the SDK: downloads go below a folder with the datastore's name, and keep their path on the datastore
            # (DatastoreContextManager in azureml/data/context_managers.py).
            above, _ = split_pattern(job_input.path)
            if found[0].root.is_file():
                above = posixpath.dirname(above)
            wanted = posixpath.join(job_input.datastore or "", wanted, above)
        place = literal_place(wanted, self._working_directory)
        if place is None or place.is_file():
            return None
        if place.exists() and any((place / name.split("/")[0]).exists() for _, name in _entries(found)):
            return None
        return place

    def _note(self, job_input: JobInput) -> str:
        """A warning if the script will read a table of Parquet files with wrong dates."""
        if job_input.dataset_id is None:
            return ""
        saved = self._context.datasets.saved(self._workspace_id, job_input.dataset_id)
        if "read_parquet" not in saved.transformations:
            return ""
        for source in self._context.datasets.sources(saved):
            # A missing one is the script's own error.
            with suppress(NotFound):
                files = self._find(job_input, source.datastore, source.path) if source.datastore else None
                for path in islice(_paths(files), _PARQUET_FILES) if files else ():
                    if columns := columns_of_seconds(path):
                        return _SECONDS.format(input=job_input.name, file=path.name, columns=", ".join(columns))
        return ""

    def _resolve(self, job_input: JobInput) -> Iterator[_Files]:
        for source in self._sources(job_input):
            if source.datastore is None:
                folder = self._folder.with_name("web") / job_input.name
                yield _Files(webfiles.fetch(job_input.name, source.path, folder))
            else:
                yield self._find(job_input, source.datastore, source.path)

    def _sources(self, job_input: JobInput) -> list[Source]:
        if job_input.dataset_id is None:
            return [Source(job_input.datastore, job_input.path)]
        saved = self._context.datasets.saved(self._workspace_id, job_input.dataset_id)
        _check_steps(job_input, saved)
        return self._context.datasets.sources(saved)

    def _find(self, job_input: JobInput, datastore: str, path: str) -> _Files:
        found = self._context.datastores.get(self._workspace_id, datastore)
        files = self._context.blobs.container(found.account, found.container)
        # A mounted data reference is one path: brackets and asterisks are part of its name.
        is_place = job_input.dataset_id is None and job_input.mode is Mode.MOUNT
        fixed, pattern = (without_dots(path).strip("/"), "") if is_place else split_pattern(path)
        if not pattern:
            if fixed and files.etag(fixed):
                return _Files(files.file(fixed))
            is_empty = next(files.walk(f"{fixed}/" if fixed else ""), None) is None
            if is_empty and job_input.dataset_id:
                # Azure's own words first (Azure/MachineLearningNotebooks #1305).
                raise NotFound(
                    f"Input {job_input.name}: Source of the dataset is either not accessible or does not contain any "
                    f"data: no file found in {path!r} of datastore {datastore}. If another step should write there, "
                    "check its output."
                )
            return _Files(self._context.blobs.folder(found.account, found.container, fixed))
        matches = glob_expression(pattern)
        start = f"{fixed}/" if fixed else ""
        names = [name.removeprefix(start) for name, _ in files.walk(start)]
        chosen = tuple(name for name in names if matches.fullmatch(name))
        if not chosen:
            raise NotFound(f"Input {job_input.name}: no file in datastore {datastore} matches {path!r}.")
        root = self._context.blobs.folder(found.account, found.container, fixed)
        return _Files(root, None if len(chosen) == len(names) else chosen)


def literal_place(wanted: str, working_directory: Path) -> Path | None:
    """The place of a relative `path_on_compute`; None if it is not below the working directory.

    A script opens it by that name (docstring of `DatasetConsumptionConfig.as_mount`: relative to the working
    directory). A place below a file of the script's folder, or inside a mount, is none.
    """
    relative = posixpath.normpath(wanted)
    if posixpath.isabs(relative) or relative.split("/")[0] == ".." or "\0" in relative:
        return None
    place = working_directory / relative
    if any(above.is_file() for above in place.parents):
        return None
    return place if place.resolve().is_relative_to(working_directory.resolve()) else None


def _fill(target: Path, found: list[_Files], put: Callable[[Path, Path], object]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for source, name in _entries(found):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        put(source, place)


def columns_of_seconds(file: Path) -> list[str]:
    """The columns of a Parquet file that pandas wrote in seconds, from pandas' description of them in its end."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 8))
        length, mark = int.from_bytes(stream.read(4), "little"), stream.read()
        if mark != b"PAR1" or length > size - 8:
            return []
        stream.seek(size - 8 - length)
        footer = stream.read(length)
    start = footer.find(b'{"index_columns"')
    if start < 0:
        return []
    try:
        described, _ = json.JSONDecoder().raw_decode(footer[start:].decode(errors="replace"))
        columns = [each for each in described["columns"] if str(each["numpy_type"]).startswith("datetime64[s")]
        return [str(each["name"]) for each in columns]
    except (ValueError, KeyError, TypeError):
        # Not pandas' description after all.
        return []


def glob_expression(pattern: str) -> re.Pattern[str]:
    """A dataset's glob as a regular expression: `*` and `?` stay within a folder, `**` spans folders."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    words = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(words.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts), re.DOTALL
    )


def _check_steps(job_input: JobInput, saved: SavedDataset) -> None:
    steps = [step for step in saved.transformations if step not in _HARMLESS_STEPS]
    if steps:
        raise Unsupported(
            f"Input {job_input.name} is a dataset with transformations ({', '.join(steps)}). The local service "
            f"applies them in direct mode only, not as a {job_input.mode.value}."
        )


def split_pattern(path: str) -> tuple[str, str]:
    """The folders before the first wildcard, and the pattern after them; empty if it matches all files."""
    parts = PurePosixPath(path.strip("/")).parts if path.strip("/") else ()
    count = next((place for place, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
    fixed, pattern = "/".join(parts[:count]), "/".join(parts[count:])
    return fixed, "" if _WHOLE_FOLDER.fullmatch(pattern) else pattern


def _entries(found: list[_Files]) -> Iterator[tuple[Path, str]]:
    """Every file with its name in a mount: its path below the folder that all sources share."""
    common = Path(os.path.commonpath([files.root.parent if files.root.is_file() else files.root for files in found]))
    for path in chain.from_iterable(map(_paths, found)):
        yield path, path.relative_to(common).as_posix()


def _paths(files: _Files) -> Iterator[Path]:
    if files.names is not None:
        yield from (files.root / name for name in files.names)
    elif files.root.is_dir():
        yield from sorted(path for path in files.root.rglob("*") if path.is_file())
    else:
        yield files.root


class Makers:
    """The runs that made the outputs of a pipeline's steps. Many steps may read one output; its run is read once."""

    def __init__(self, runs: RunStore, workspace_id: str) -> None:
        self._runs, self._workspace_id = runs, workspace_id
        self._found: dict[str, Run] = {}

    def of(self, run_id: str) -> Run:
        """The run that made the outputs of a step's run, which has completed: itself, or the one that it reuses."""
        if run_id not in self._found:
            run = self._runs.get(self._workspace_id, run_id)
            if len(self._found) >= _MAKERS_KEPT:
                self._found.clear()
            is_own = run.origin_id == run_id
            self._found[run_id] = run if is_own else self._runs.get(self._workspace_id, run.origin_id)
        return self._found[run_id]


class StepInputs:
    """Makes the inputs of steps' jobs."""

    def __init__(self, datasets: DatasetStore, workspaces: WorkspaceStore, forms: RunForms) -> None:
        self._datasets, self._workspaces, self._forms = datasets, workspaces, forms

    def check(self, workspace_id: str, data: Data) -> None:
        """Raise `NotFound` for a dataset that does not exist."""
        if not isinstance(data, DataPath):
            self._saved_id(workspace_id, data)

    def of_data(self, workspace_id: str, name: str, settings: StepInput, data: Data) -> JobInput:
        """An input that reads a source of data."""
        if isinstance(data, DataPath):
            return _reference(name, settings, data.datastore, data.path)
        return _dataset_input(name, settings, self._saved_id(workspace_id, data))

    def of_output(self, name: str, settings: StepInput, producer: Run, output: JobOutput) -> JobInput:
        """An input that reads an output of a step whose run has completed."""
        workspace_id, path = producer.workspace_id, output.path_of(producer.run_id)
        if settings.table:
            # After those that make the output's own dataset: the SDK sends only what an input adds to them.
            own = output.register_as.table if output.register_as else ()
            table = (*own, *settings.table)
            return _dataset_input(name, settings, self._table(workspace_id, output.datastore, path, table))
        if output.is_dataset:
            saved_id = self._forms.saved_output(producer, output.name)
            if saved_id is None:
                raise Invalid(f"Run {producer.run_id} has made no dataset of its output {output.name!r}.")
            return _dataset_input(name, settings, saved_id)
        if settings.mode is Mode.DIRECT:
            saved = self._datasets.save_folder(workspace_id, output.datastore, path)
            return _dataset_input(name, settings, saved.saved_id)
        return _reference(name, settings, output.datastore, path)

    def _saved_id(self, workspace_id: str, data: Data) -> str:
        """The id of the saved dataset that a source of data means at the moment."""
        if isinstance(data, SavedData):
            return self._datasets.saved(workspace_id, data.saved_id).saved_id
        if isinstance(data, (FolderData, DataPath)):
            return self._datasets.save_folder(workspace_id, data.datastore, data.path).saved_id
        if data.dataset_id:
            return self._datasets.by_dataset_id(workspace_id, data.dataset_id, data.version).saved.saved_id
        return self._datasets.by_name(workspace_id, data.name, data.version).saved.saved_id

    def _table(self, workspace_id: str, datastore: str, path: str, table: tuple[JSON, ...]) -> str:
        folder = folder_definition(self._workspaces.by_id(workspace_id), datastore, path)
        definition = with_transformations(folder, table)
        return self._datasets.save(workspace_id, kind_after(table), definition).saved_id


def _dataset_input(name: str, settings: StepInput, saved_id: str) -> JobInput:
    return JobInput(
        name=name,
        mode=settings.mode,
        variable=name,
        dataset_id=saved_id,
        path_on_compute=settings.path_on_compute,
    )


def _reference(name: str, settings: StepInput, datastore: str, path: str) -> JobInput:
    return JobInput(
        name=name,
        # A data reference has no id that a script could be given.
        mode=Mode.MOUNT if settings.mode is Mode.DIRECT else settings.mode,
        variable=f"AZUREML_DATAREFERENCE_{name}",
        datastore=datastore,
        path=path,
        path_on_compute=settings.path_on_compute,
    )
