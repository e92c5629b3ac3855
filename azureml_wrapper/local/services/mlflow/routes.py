"""The routes of MLflow's tracking service."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.mlflow import experiments, handlers


def _of_version(version: str) -> tuple[Route, ...]:
    api = f"/mlflow/{version}{{workspace_scope}}/api/2.0/mlflow"
    return (
        Route("POST", f"{api}/experiments/create", experiments.create),
        Route("GET", f"{api}/experiments/get", experiments.get),
        Route("GET", f"{api}/experiments/get-by-name", experiments.get_by_name),
        Route("POST", f"{api}/experiments/search", experiments.search, reads=True),
        Route("POST", f"{api}/experiments/delete", experiments.delete),
        Route("POST", f"{api}/experiments/restore", experiments.restore),
        Route("POST", f"{api}/experiments/set-experiment-tag", experiments.set_tag),
        Route("POST", f"{api}/runs/create", handlers.create),
        Route("GET", f"{api}/runs/get", handlers.get),
        Route("POST", f"{api}/runs/update", handlers.update),
        Route("POST", f"{api}/runs/search", handlers.search, reads=True),
        Route("POST", f"{api}/runs/log-metric", handlers.log_metric),
        Route("POST", f"{api}/runs/log-parameter", handlers.log_parameter),
        Route("POST", f"{api}/runs/log-batch", handlers.log_batch),
        Route("POST", f"{api}/runs/set-tag", handlers.set_tag),
        Route("POST", f"{api}/runs/delete-tag", handlers.delete_tag),
        Route("GET", f"{api}/metrics/get-history", handlers.get_history),
    )


# azureml-mlflow uses v1.0 or v2.0, depending on mlflow's version (azureml/mlflow/_store/azureml_reststore.py).
ROUTES = (*_of_version("v1.0"), *_of_version("v2.0"))
