"""Operations on datasets."""

from __future__ import annotations

from dataclasses import replace

from azureml_wrapper.local.domain.datasets import SavedDataset
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.dataset import wire

# How the data service names a saved dataset (azureml/data/_dataset_rest_helper.py, _init_dataset).
UNREGISTERED = "unregistered-"


def list_datasets(context: Context, request: Request) -> Response:
    found = context.datasets.latest(request.workspace_id)
    return json_response({"value": [wire.dataset(version) for version in found]})


def register_dataset(context: Context, request: Request) -> Response:
    given = wire.read_registration(request.json())
    registered = context.datasets.register(
        request.workspace_id,
        given.name,
        _saved_for(context, request, given),
        description=given.description,
        tags=given.tags,
        new_version=request.query.get("updatedefinitionifexists", "").lower() == "true",
    )
    return json_response(wire.dataset(registered))


def get_by_name(context: Context, request: Request) -> Response:
    version = wire.read_version(request.query.get("versionid"))
    return json_response(wire.dataset(context.datasets.by_name(request.workspace_id, request["name"], version)))


def list_by_saved_id(context: Context, request: Request) -> Response:
    found = context.datasets.by_saved_id(request.workspace_id, request["saved_id"])
    return json_response({"value": [wire.dataset(found)] if found else []})


def get_dataset(context: Context, request: Request) -> Response:
    return json_response(wire.dataset(context.datasets.by_dataset_id(request.workspace_id, request["dataset_id"])))


def describe_dataset(context: Context, request: Request) -> Response:
    """Change description and tags; what the data is never changes."""
    given = wire.read_description(request.json())
    version = context.datasets.by_dataset_id(request.workspace_id, request["dataset_id"], given.version)
    changed = replace(version, description=given.description, tags=given.tags)
    return json_response(wire.dataset(context.datasets.describe(request.workspace_id, changed)))


def unregister_dataset(context: Context, request: Request) -> Response:
    context.datasets.unregister(request.workspace_id, request["name"])
    return empty()


def list_definitions(context: Context, request: Request) -> Response:
    found = context.datasets.versions(request.workspace_id, request["dataset_id"])
    return json_response({"value": [wire.definition(version) for version in found]})


def get_definition(context: Context, request: Request) -> Response:
    version = wire.read_version(request["version"])
    found = context.datasets.by_dataset_id(request.workspace_id, request["dataset_id"], version)
    return json_response(wire.definition(found))


def save_dataset(context: Context, request: Request) -> Response:
    given = wire.read_saved(request.json())
    saved = context.datasets.save(request.workspace_id, given.kind, given.definition, given.properties)
    return json_response(wire.saved(saved))


def get_saved(context: Context, request: Request) -> Response:
    return json_response(wire.saved(context.datasets.saved(request.workspace_id, request["saved_id"])))


def get_data_version(context: Context, request: Request) -> Response:
    """The YAML of a dataset: by `unregistered-<saved id>`, or by registered name and version."""
    name = request["name"]
    if name.startswith(UNREGISTERED):
        found = context.datasets.saved(request.workspace_id, name.removeprefix(UNREGISTERED))
    else:
        version = wire.read_version(request["version"])
        found = context.datasets.by_name(request.workspace_id, name, version).saved
    return json_response(wire.data_version(found, name, request["version"]))


def _saved_for(context: Context, request: Request, given: wire.Registration) -> SavedDataset:
    """The dataset to register: the one that the client names, or an unregistered one with this content."""
    workspace, store = request.workspace_id, context.datasets
    if given.saved_id:
        return store.saved(workspace, given.saved_id)
    saved = store.save(workspace, given.kind, given.definition, given.properties)
    fault_point("datasets.saved")
    if store.by_saved_id(workspace, saved.saved_id) is None:
        return saved
    # A saved dataset has one name and version; the same content under another name is another dataset.
    return store.save(workspace, given.kind, given.definition, given.properties, fresh=True)


_DATASETS = "/dataset/v1.0{workspace_scope}/datasets"
_SAVED = "/dataset/v1.0{workspace_scope}/saveddatasets"
_DATA_VERSION = "/data/v1.0{workspace_scope}/dataversion/{name}/versions/{version}"

ROUTES = (
    Route("GET", _DATASETS, list_datasets),
    Route("POST", _DATASETS, register_dataset, runs=Runs.ADD),
    Route("GET", _DATASETS + "/query/name={name}", get_by_name),
    Route("GET", _DATASETS + "/query/savedDatasetId={saved_id}", list_by_saved_id),
    Route("GET", _DATASETS + "/{dataset_id}", get_dataset),
    Route("PUT", _DATASETS + "/{dataset_id}", describe_dataset),
    Route("DELETE", _DATASETS + "/{name}", unregister_dataset),
    Route("GET", _DATASETS + "/{dataset_id}/definitions", list_definitions),
    Route("GET", _DATASETS + "/{dataset_id}/definitions/{version}", get_definition),
    Route("POST", _SAVED, save_dataset, runs=Runs.ADD),
    Route("GET", _SAVED + "/{saved_id}", get_saved),
    Route("GET", _DATA_VERSION, get_data_version),
)
