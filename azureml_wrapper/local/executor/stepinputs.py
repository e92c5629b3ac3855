"""Resolves the data of a step's inputs: a dataset, a path of a datastore, or the output of another step."""

from __future__ import annotations

from azureml_wrapper.local.domain.datasets import DatasetKind, folder_definition, with_transformations
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.jobs import JobInput, JobOutput, Mode, RunForms
from azureml_wrapper.local.domain.plans import Data, DataPath, FolderData, SavedData, StepInput
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore


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
            return _dataset_input(name, settings, self._table(workspace_id, output.datastore, path, settings))
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

    def _table(self, workspace_id: str, datastore: str, path: str, settings: StepInput) -> str:
        folder = folder_definition(self._workspaces.by_id(workspace_id), datastore, path)
        definition = with_transformations(folder, settings.table)
        return self._datasets.save(workspace_id, DatasetKind.TABULAR, definition).saved_id


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
