"""The workspace's key vault."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.credential import handlers

ALL = "/credential/v2.0{workspace_scope}/secrets"

ROUTES = (
    Route("PUT", ALL, handlers.put_secret),
    Route("GET", ALL, handlers.list_secrets),
    Route("PUT", ALL + ":putbatch", handlers.put_secrets),
    Route("POST", ALL + ":getbatch", handlers.get_secrets, reads=True),
    Route("POST", ALL + ":deletebatch", handlers.delete_secrets),
    Route("GET", ALL + "/{secret}", handlers.get_secret),
    Route("DELETE", ALL + "/{secret}", handlers.delete_secret),
)
