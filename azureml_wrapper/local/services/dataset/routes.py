"""The routes of datasets.

Contracts: azureml/_restclient/operations/dataset_operations.py, azureml/data/_restclient/dataset/operations.
"""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.dataset import handlers

_DATASETS = "/dataset/v1.0{workspace_scope}/datasets"
_SAVED = "/dataset/v1.0{workspace_scope}/saveddatasets"
_DATA_VERSION = "/data/v1.0{workspace_scope}/dataversion/{name}/versions/{version}"

ROUTES = (
    Route("GET", _DATASETS, handlers.list_datasets),
    Route("POST", _DATASETS, handlers.register_dataset),
    Route("GET", _DATASETS + "/query/name={name}", handlers.get_by_name),
    Route("GET", _DATASETS + "/query/savedDatasetId={saved_id}", handlers.list_by_saved_id),
    Route("GET", _DATASETS + "/{dataset_id}", handlers.get_dataset),
    Route("PUT", _DATASETS + "/{dataset_id}", handlers.describe_dataset),
    Route("DELETE", _DATASETS + "/{name}", handlers.unregister_dataset),
    Route("GET", _DATASETS + "/{dataset_id}/definitions", handlers.list_definitions),
    Route("GET", _DATASETS + "/{dataset_id}/definitions/{version}", handlers.get_definition),
    Route("POST", _SAVED, handlers.save_dataset),
    Route("GET", _SAVED + "/{saved_id}", handlers.get_saved),
    Route("GET", _DATA_VERSION, handlers.get_data_version),
)
