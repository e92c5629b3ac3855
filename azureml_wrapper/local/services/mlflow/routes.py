"""MLflow's operations, and those that are refused by the name of their feature."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Refusal, Route, Runs
from azureml_wrapper.local.services.mlflow import experiments, handlers, search

# azureml-mlflow uses v1.0 or v2.0, depending on mlflow's version (azureml/mlflow/_store/azureml_reststore.py).
_ROOTS = tuple(f"/mlflow/{version}{{workspace_scope}}/api/2.0" for version in ("v1.0", "v2.0"))

_LOGGED_MODELS = (
    "Azure ML does not support the logged models of MLflow 3, which log_model, models of autolog() and "
    'list_artifacts(path) use; neither does the local service. Install a version that works: "mlflow<3" (1.30 to '
    "2.22 were tried). With mlflow 3, use autolog(log_models=False), and save_model with log_artifacts."
)
_REGISTRY = (
    "The local service does not support MLflow's model registry. Log the model, and register it with the SDK: "
    "run.register_model(name, model_path) or Model.register(workspace, path, name)."
)
_TRACES = (
    "Azure ML does not support traces of MLflow; neither does the local service. Log metrics or a table instead."
)
_RENAMING = (
    "Azure ML does not support renaming experiments; neither does the local service. Create an experiment with the "
    "new name."
)
_FEATURES = {
    "logged-models": _LOGGED_MODELS,
    "runs/outputs": _LOGGED_MODELS,
    "registered-models": _REGISTRY,
    "model-versions": _REGISTRY,
    "traces": _TRACES,
    "experiments/update": _RENAMING,
}


def _of_version(root: str) -> tuple[Route, ...]:
    api = f"{root}/mlflow"
    return (
        Route("POST", f"{api}/experiments/create", experiments.create_experiment, runs=Runs.ADD),
        Route("GET", f"{api}/experiments/get", experiments.get_experiment),
        Route("GET", f"{api}/experiments/get-by-name", experiments.get_experiment_by_name),
        Route("GET", f"{api}/experiments/list", experiments.list_experiments),
        Route("POST", f"{api}/experiments/search", experiments.search_experiments, runs=Runs.READ),
        Route("POST", f"{api}/experiments/delete", experiments.delete_experiment),
        Route("POST", f"{api}/experiments/restore", experiments.restore_experiment),
        Route("POST", f"{api}/experiments/set-experiment-tag", experiments.set_experiment_tag),
        Route("POST", f"{api}/experiments/delete-experiment-tag", experiments.delete_experiment_tag),
        Route("POST", f"{api}/runs/create", handlers.create_run, runs=Runs.FAMILY),
        Route("GET", f"{api}/runs/get", handlers.get_run),
        Route("POST", f"{api}/runs/update", handlers.update_run, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/delete", handlers.delete_run, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/restore", handlers.restore_run, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/search", search.search_runs, runs=Runs.READ),
        Route("POST", f"{api}/runs/log-metric", handlers.log_metric, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/log-parameter", handlers.log_parameter, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/log-batch", handlers.log_batch, runs=Runs.FAMILY),
        # Azure's own addition to MLflow (azureml/mlflow/_protos/aml_service_pb2.py).
        Route("POST", f"{root}/preview/mlflow/runs/log-batch-async", handlers.log_batch_async, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/log-inputs", handlers.log_inputs, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/log-model", handlers.log_model, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/set-tag", handlers.set_run_tag, runs=Runs.FAMILY),
        Route("POST", f"{api}/runs/delete-tag", handlers.delete_run_tag, runs=Runs.FAMILY),
        Route("GET", f"{api}/metrics/get-history", handlers.get_metric_history),
    )


ROUTES = tuple(route for root in _ROOTS for route in _of_version(root))
# MLflow's own paths of some features begin with another number, such as api/3.0.
REFUSED = tuple(
    Refusal(f"{root.removesuffix('2.0')}{{number}}/mlflow/{path}", message)
    for root in _ROOTS
    for path, message in _FEATURES.items()
)
