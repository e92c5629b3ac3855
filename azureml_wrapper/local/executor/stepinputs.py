"""Where the data of a step's inputs is: a dataset, a path of a datastore, or what another step has made."""

from __future__ import annotations

from collections.abc import Mapping

from azureml_wrapper.local.domain.datasets import DatasetKind, folder_definition
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.graphs import JSON, Edge, Source
from azureml_wrapper.local.domain.jobs import JobInput, JobOutput, Mode
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.stepoutputs import resolved_path
from azureml_wrapper.local.executor.steps import Plan
from azureml_wrapper.local.executor.transformations import with_steps
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.pipelines import PipelineStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore


class StepInputs:
    """Resolves the edges that end in a step."""

    def __init__(self, pipelines: PipelineStore, datasets: DatasetStore, workspaces: WorkspaceStore) -> None:
        self._pipelines, self._datasets, self._workspaces = pipelines, datasets, workspaces

    def check(self, workspace_id: str, source: Source, values: Values) -> None:
        """Raise a fault for a source whose data cannot be found."""
        if source.path_parameter:
            _value("DataPath", source.path_parameter, values.data_paths)
        elif source.data_source_id:
            self._pipelines.data_sources.get(workspace_id, source.data_source_id)
        else:
            self._dataset(workspace_id, source, values)

    def of_source(self, workspace_id: str, plan: Plan, edge: Edge, source: Source, values: Values) -> JobInput:
        """The input of an edge that begins at a source of data."""
        name = edge.target.name
        if source.path_parameter:
            found = _value("DataPath", source.path_parameter, values.data_paths)
            return _reference(plan, name, found.get("DataStoreName"), found.get("RelativePath"))
        if source.data_source_id:
            body = self._pipelines.data_sources.get(workspace_id, source.data_source_id).body
            return _reference(plan, name, body.get("DataStoreName"), body.get("PathOnDataStore"))
        return _dataset_input(plan, name, self._dataset(workspace_id, source, values))

    def of_output(self, workspace_id: str, plan: Plan, edge: Edge, producer: Run, output: JobOutput) -> JobInput:
        """The input of an edge that begins at an output of a step whose run has completed."""
        name, path = edge.target.name, resolved_path(output, producer.run_id)
        steps = plan.transformations_of(name)
        if steps:
            return _dataset_input(plan, name, self._table(workspace_id, output.datastore, path, steps))
        if output.is_dataset:
            return _dataset_input(plan, name, _saved_id(producer, output.name))
        if plan.mode_of(name) is Mode.DIRECT:
            saved = self._datasets.save_folder(workspace_id, output.datastore, path)
            return _dataset_input(plan, name, saved.saved_id)
        return _reference(plan, name, output.datastore, path)

    def _dataset(self, workspace_id: str, source: Source, values: Values) -> str:
        """The id of the saved dataset that a source or a pipeline parameter names."""
        given = source.dataset
        if source.dataset_parameter:
            given = _value("Dataset", source.dataset_parameter, values.datasets)
        given = given or {}
        if saved := given.get("SavedDataSetReference"):
            return self._datasets.saved(workspace_id, saved["Id"]).saved_id
        if registered := given.get("DataSetReference"):
            return self._registered(workspace_id, registered)
        if literal := given.get("LiteralValue"):
            return self._datasets.save_folder(
                workspace_id, literal.get("DataStoreName") or "", literal.get("RelativePath") or ""
            ).saved_id
        raise Invalid(f"The source of data {source.node_id} names no dataset.")

    def _registered(self, workspace_id: str, given: JSON) -> str:
        text = str(given.get("Version") or "latest")
        version = None if text.lower() == "latest" else _version(text)
        if given.get("Id"):
            return self._datasets.by_dataset_id(workspace_id, given["Id"], version).saved.saved_id
        return self._datasets.by_name(workspace_id, str(given.get("Name")), version).saved.saved_id

    def _table(self, workspace_id: str, datastore: str, path: str, steps: list[JSON]) -> str:
        folder = folder_definition(self._workspaces.by_id(workspace_id), datastore, path)
        return self._datasets.save(workspace_id, DatasetKind.TABULAR, with_steps(folder, steps)).saved_id


def _dataset_input(plan: Plan, name: str, saved_id: str) -> JobInput:
    return JobInput(
        name=name,
        mode=plan.mode_of(name),
        variable=name,
        dataset_id=saved_id,
        path_on_compute=plan.path_of(name),
    )


def _reference(plan: Plan, name: str, datastore: str | None, path: str | None) -> JobInput:
    mode = plan.mode_of(name)
    return JobInput(
        name=name,
        # A data reference has no id that a script could be given.
        mode=Mode.MOUNT if mode is Mode.DIRECT else mode,
        variable=f"AZUREML_DATAREFERENCE_{name}",
        datastore=datastore or "workspaceblobstore",
        path=path or "",
        path_on_compute=plan.path_of(name),
    )


def _saved_id(producer: Run, name: str) -> str:
    for item in producer.output_datasets:
        if item.get("outputDetails", {}).get("outputName") == name:
            return str(item["identifier"]["savedId"])
    raise Invalid(f"Run {producer.run_id} has made no dataset of its output {name!r}.")


def _value(kind: str, name: str, values: Mapping[str, JSON]) -> JSON:
    if not values.get(name):
        raise Invalid(f"The {kind} parameter {name!r} of the pipeline has no value.")
    return values[name]


def _version(text: str) -> int:
    if not is_number(text):
        raise Invalid(f"{text!r} is not a version of a dataset.")
    return int(text)
