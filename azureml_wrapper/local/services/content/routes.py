"""Snapshots of script folders (contract: azureml/_restclient/snapshots_client.py)."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.content import handlers

_V1 = "/content/v1.0{workspace_scope}/snapshots"
_V2 = "/content/v2.0{workspace_scope}/snapshots"

ROUTES = (
    Route("GET", _V1 + "/latest/metadata", handlers.get_latest),
    Route("GET", _V1 + "/{snapshot_id}/metadata", handlers.get_snapshot),
    Route("POST", _V2 + "/getblob", handlers.get_upload_addresses),
    Route("POST", _V2 + "/archive", handlers.take_archive, streams=True),
    Route("POST", _V2 + "/{snapshot_id}", handlers.create_snapshot),
    Route("POST", _V2 + "/{snapshot_id}/zip", handlers.zip_snapshot, reads=True),
)
