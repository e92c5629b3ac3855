"""Single runs: `Experiment.submit(ScriptRunConfig)`, and how they are stopped."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.execution import handlers

_NAMED = "/execution/v1.0{workspace_scope}/experiments/{experiment}"
_BY_ID = "/execution/v1.0{workspace_scope}/experimentids/{experiment_id}"

ROUTES = (
    Route("POST", _NAMED + "/snapshotrun", handlers.submit),
    Route("POST", _BY_ID + "/snapshotrun", handlers.submit),
    Route("POST", _NAMED + "/localrun", handlers.prepare_local),
    # Ours: what `localrun` answers with calls it.
    Route("POST", _NAMED + "/runs/{run_id}/start", handlers.start_local),
    Route("POST", _NAMED + "/runs/{run_id}/cancel", handlers.cancel),
    Route("POST", _BY_ID + "/runs/{run_id}/cancel", handlers.cancel),
)
