"""Publishes what a job has written: outputs to their datastores, folders to the run's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.datasets import SavedDataset, folder_definition, kind_after, with_transformations
from azureml_wrapper.local.domain.errors import Conflict, Invalid, is_temporary
from azureml_wrapper.local.domain.jobs import Job, JobOutput, Mode, Registration
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.inputs import glob_expression, literal_place
from azureml_wrapper.local.faultpoints import fault_point


@dataclass(frozen=True)
class StagedOutput:
    """`folder` is where the script writes, `path` is where its files go in the datastore.

    `is_literal`: `folder` is the output's `path_on_compute`, below the working directory.
    """

    job_output: JobOutput
    folder: Path
    path: str
    is_literal: bool = False

    @property
    def name(self) -> str:
        return self.job_output.name


class OutputStager:
    """Gives each output a folder, and publishes it at the end; `folder` is the job's."""

    def __init__(self, context: ExecutorContext, job: Job, folder: Path) -> None:
        self._context, self._job, self._folder = context, job, folder

    def stage(self, output: JobOutput, working_directory: Path) -> StagedOutput:
        """Create the output's folder: the store's own in mount mode, else one of the job's.

        It is at the output's `path_on_compute` if that is relative. Raises a fault before the script runs if the
        datastore does not exist.
        """
        path = output.path_of(self._job.run_id)
        place = self._literal(output, working_directory)
        if output.mode is not Mode.MOUNT:
            self._context.datastores.get(self._job.workspace_id, output.datastore)
            folder = place or self._folder / "outputs" / output.name
            (folder if output.is_dataset else folder.parent).mkdir(parents=True, exist_ok=True)
        elif output.is_dataset:
            folder = self._store_folder(output, path)
            if place:
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.exists():
                    place.rmdir()
                place.symlink_to(folder, target_is_directory=True)
                folder = place
        else:
            above, _, name = path.strip("/").rpartition("/")
            folder = self._store_folder(output, above) / name
            folder.parent.mkdir(parents=True, exist_ok=True)
        return StagedOutput(output, folder, path, is_literal=place is not None)

    def _literal(self, output: JobOutput, working_directory: Path) -> Path | None:
        """The output's `path_on_compute`, unless it leads out of the working directory or is taken."""
        if not output.path_on_compute or output.is_mounted_reference:
            return None
        place = literal_place(output.path_on_compute, working_directory)
        if place is None:
            return None
        if output.mode is not Mode.MOUNT:
            return None if output.is_dataset and place.is_file() else place
        is_empty = place.is_dir() and place != working_directory and not any(place.iterdir())
        return place if is_empty or not place.exists() else None

    def publish(self, staged: StagedOutput) -> None:
        """Move the files of an upload folder to the datastore; `Conflict` if that would overwrite some."""
        output = staged.job_output
        if output.mode is Mode.MOUNT:
            return
        store = self._context.datastores.get(self._job.workspace_id, output.datastore)
        files = {name: path for path, name in _below(staged.folder) if _is_wanted(name, output.source_globs)}
        targets = {f"{staged.path.strip('/')}/{name}".strip("/"): path for name, path in files.items()}
        if staged.folder.is_file():
            # With a path on the compute, the output is a folder that has the file under its name
            # (DatastoreContextManager in azureml/data/context_managers.py calls upload_files).
            name = f"{staged.path.strip('/')}/{staged.folder.name}" if staged.is_literal else staged.path
            targets = {name.strip("/"): staged.folder}
        if not output.overwrite:
            self._check_free(staged, store.account, store.container, targets)
        for name, path in targets.items():
            with _movable(self._context, path, self._folder, kept_folders([staged])) as file:
                self._context.blobs.put_file(store.account, store.container, name, file)
            fault_point("jobs.output-published")

    def describe(self, staged: StagedOutput) -> JSON:
        """Save the output's dataset, and register it if requested. Returns the run's item for it."""
        saved = self._save(staged)
        registration = staged.job_output.register_as
        fault_point("jobs.output-saved")
        if registration and registration.name:
            self._context.datasets.register(
                self._job.workspace_id,
                registration.name,
                saved,
                description=registration.description,
                tags=registration.tags,
            )
        return self._context.forms.output_dataset(staged.name, saved.saved_id)

    def _save(self, staged: StagedOutput) -> SavedDataset:
        datasets, workspace_id = self._context.datasets, self._job.workspace_id
        registration = staged.job_output.register_as or Registration()
        definition = folder_definition(
            self._context.workspaces.by_id(workspace_id), staged.job_output.datastore, staged.path
        )
        if registration.table:
            definition = with_transformations(definition, registration.table)
        # Each run saves a new dataset to register, so that it makes a new version.
        return datasets.save(workspace_id, kind_after(registration.table), definition, fresh=bool(registration.name))

    def _store_folder(self, output: JobOutput, path: str) -> Path:
        return self._context.datastore_folder(self._job.workspace_id, output.datastore, path)

    def _check_free(self, staged: StagedOutput, account: str, container: str, names: Iterable[str]) -> None:
        for name in names:
            if self._context.blobs.stat(account, container, name):
                raise Conflict(
                    f"Output {staged.name}: {name} already exists in datastore {staged.job_output.datastore}. "
                    "Use as_upload(overwrite=True) to replace it."
                )


class FolderCollector:
    """Uploads `outputs/` and `logs/` of the working directory to the run, as Azure does however a run ends."""

    def __init__(
        self, context: ExecutorContext, job: Job, folder: Path, outputs: Iterable[StagedOutput] = ()
    ) -> None:
        self._context, self._job, self._folder = context, job, folder
        self._kept = kept_folders(outputs)

    def collect(self) -> list[str]:
        """Upload the folders. Returns a sentence for each file that was not uploaded.

        Raises `OSError` if the machine prevents it: a run is not Completed without its files.
        """
        problems = list(self._linked_folders())
        for path, name in self._files():
            try:
                with _movable(self._context, path, self._folder, self._kept) as file:
                    self._context.publish(self._job.workspace_id, self._job.run_id, name, file)
            except (Invalid, OSError) as error:
                if is_temporary(error):
                    raise
                problems.append(f"{name} was not uploaded: {error}")
        return problems

    def _files(self) -> Iterator[tuple[Path, str]]:
        for folder in self._job.folders:
            for path, name in _below(self._folder / folder):
                yield path, f"{folder.strip('/')}/{name}"

    def _linked_folders(self) -> Iterator[str]:
        for folder in self._job.folders:
            for path in (self._folder / folder).rglob("*"):
                if path.is_symlink() and path.is_dir():
                    yield f"{path.relative_to(self._folder)} was not uploaded: it is a symbolic link to a folder."


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder with their relative paths; links first, because moving a file breaks links to it."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*"), key=lambda path: (not path.is_symlink(), path)):
        if path.is_file():
            yield path, path.relative_to(folder).as_posix()


def _is_wanted(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(glob_expression(glob.lstrip("/")).fullmatch(name) for glob in globs)


def kept_folders(outputs: Iterable[StagedOutput]) -> tuple[Path, ...]:
    """Folders of the working directory that more than one upload may read: files there are copied, not moved."""
    return tuple(output.folder for output in outputs if output.is_literal)


@contextmanager
def _movable(context: ExecutorContext, path: Path, folder: Path, kept: tuple[Path, ...]) -> Iterator[Path]:
    """The file itself if it may be moved; a copy of a link, of a file outside `folder`, or of a `kept` folder's."""
    is_own = not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
    if is_own and not any(path.is_relative_to(place) for place in kept):
        yield path
        return
    with context.blobs.receive() as copy:
        shutil.copyfile(path, copy)
        yield copy
