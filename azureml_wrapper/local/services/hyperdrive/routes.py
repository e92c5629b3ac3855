"""`/hyperdrive/v1.0` — sweeps (azureml/train/restclients/hyperdrive/rest_client.py).

The SDK sends the whole scope, `subscriptions/…/experiments/name`, as one percent-encoded part of the path.
"""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.hyperdrive import handlers

_SCOPE = "/hyperdrive/v1.0/{experiment_scope}"

# The scope is not that of `{workspace_scope}`, by which a run's token is held to its own workspace.
ROUTES = (
    Route("POST", _SCOPE + "/runs", handlers.create, for_users=True),
    Route("POST", _SCOPE + "/hdruns/{run_id}", handlers.create_named, for_users=True),
    Route("POST", _SCOPE + "/runs/{run_id}", handlers.create_below, for_users=True),
    Route("POST", _SCOPE + "/runs/{run_id}/cancel", handlers.cancel, for_users=True),
)
