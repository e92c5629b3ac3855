"""Takes what a job made to where it belongs: its outputs to their datastores, its folders to the run's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.datasets import DatasetKind, SavedDataset, folder_definition
from azureml_wrapper.local.domain.errors import Conflict, Invalid
from azureml_wrapper.local.domain.jobs import Job, JobOutput, Mode
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.inputs import glob_expression
from azureml_wrapper.local.executor.transformations import translate, with_steps


@dataclass(frozen=True)
class StagedOutput:
    """`folder` is where the script writes, `path` where its files belong in the datastore."""

    job_output: JobOutput
    folder: Path
    path: str

    @property
    def name(self) -> str:
        return self.job_output.name


class OutputStager:
    """Gives each output a place, and publishes it at the end."""

    def __init__(self, context: ExecutorContext, job: Job, folder: Path) -> None:
        self._context, self._job, self._folder = context, job, folder

    def stage(self, output: JobOutput) -> StagedOutput:
        """Make the output's place: the store's own folder in mount mode, else one of the job's.

        A fault, before the script runs in vain, where the datastore does not exist or the registration is not
        understood.
        """
        _steps(output)
        path = output.path.replace("{run-id}", self._job.run_id).replace("{output-name}", output.name)
        if output.mode is not Mode.MOUNT:
            place = self._folder / output.name
            self._context.datastores.get(self._job.workspace_id, output.datastore)
        elif output.is_dataset:
            return StagedOutput(output, self._store_folder(output, path), path)
        else:
            above, _, name = path.strip("/").rpartition("/")
            place = self._store_folder(output, above) / name
        (place if output.is_dataset else place.parent).mkdir(parents=True, exist_ok=True)
        return StagedOutput(output, place, path)

    def publish(self, staged: StagedOutput) -> None:
        """Move what the script left in an upload folder to the datastore; `Conflict` where that would overwrite."""
        output = staged.job_output
        if output.mode is Mode.MOUNT:
            return
        store = self._context.datastores.get(self._job.workspace_id, output.datastore)
        files = {name: path for path, name in _below(staged.folder) if _is_wanted(name, output.source_globs)}
        targets = {f"{staged.path.strip('/')}/{name}".strip("/"): path for name, path in files.items()}
        if staged.folder.is_file():
            targets = {staged.path.strip("/"): staged.folder}
        if not output.overwrite:
            self._check_free(staged, store.account, store.container, targets)
        for name, path in targets.items():
            with _movable(self._context, path, self._folder) as file:
                self._context.blobs.put_file(store.account, store.container, name, file)

    def describe(self, staged: StagedOutput) -> JSON:
        """Make the output's dataset, registered where that was asked for; the item of the run's `outputDatasets`."""
        saved = self._save(staged)
        registration = staged.job_output.register_as or {}
        if registration.get("name"):
            self._context.datasets.register(
                self._job.workspace_id,
                registration["name"],
                saved,
                description=registration.get("description"),
                tags=registration.get("tags"),
            )
        return {
            "identifier": {"savedId": saved.saved_id},
            "outputType": "RunOutput",
            "outputDetails": {"outputName": staged.name},
        }

    def _save(self, staged: StagedOutput) -> SavedDataset:
        datasets, workspace_id = self._context.datasets, self._job.workspace_id
        registration = staged.job_output.register_as or {}
        definition = folder_definition(
            self._context.workspaces.by_id(workspace_id), staged.job_output.datastore, staged.path
        )
        kind = DatasetKind.FILE
        if steps := _steps(staged.job_output):
            definition, kind = with_steps(definition, steps), DatasetKind.TABULAR
        # What is registered is a dataset of its own each time, so that each run makes a version.
        return datasets.save(workspace_id, kind, definition, fresh=bool(registration.get("name")))

    def _store_folder(self, output: JobOutput, path: str) -> Path:
        return self._context.datastore_folder(self._job.workspace_id, output.datastore, path)

    def _check_free(self, staged: StagedOutput, account: str, container: str, names: Iterable[str]) -> None:
        for name in names:
            if self._context.blobs.stat(account, container, name):
                raise Conflict(
                    f"Output {staged.name}: {name} exists already in datastore {staged.job_output.datastore}. "
                    "as_upload(overwrite=True) would replace it."
                )


class FolderCollector:
    """Uploads `outputs/` and `logs/` of the working directory to the run, as Azure does at every end of a run."""

    def __init__(self, context: ExecutorContext, job: Job, folder: Path) -> None:
        self._context, self._job, self._folder = context, job, folder

    def collect(self) -> list[str]:
        """Upload; what could not be uploaded, a sentence each."""
        problems = list(self._linked_folders())
        for path, name in self._files():
            try:
                with _movable(self._context, path, self._folder) as file:
                    self._context.publish(self._job.workspace_id, self._job.run_id, name, file)
            except (Invalid, OSError) as error:
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
                    yield f"{path.relative_to(self._folder)} was not uploaded: it is a link to a folder."


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder with their names in it; links first, because files are moved and links lose them."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*"), key=lambda path: (not path.is_symlink(), path)):
        if path.is_file():
            yield path, path.relative_to(folder).as_posix()


def _is_wanted(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(glob_expression(glob.lstrip("/")).fullmatch(name) for glob in globs)


@contextmanager
def _movable(context: ExecutorContext, path: Path, folder: Path) -> Iterator[Path]:
    """The file itself, or a copy where it is a link or lies outside `folder`: what is moved must be the job's own."""
    if not path.is_symlink() and path.resolve().is_relative_to(folder.resolve()):
        yield path
        return
    with context.blobs.receive() as copy:
        shutil.copyfile(path, copy)
        yield copy


def _steps(output: JobOutput) -> list[JSON]:
    options = (output.register_as or {}).get("datasetRegistrationOptions") or {}
    additional = options.get("additionalTransformation")
    return translate(additional) if additional else []
