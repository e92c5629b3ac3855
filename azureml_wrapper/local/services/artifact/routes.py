"""The routes of artifacts."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.artifact import handlers

_ALL = "/artifact/v2.0{workspace_scope}/artifacts"
_PLACE = "{origin}/{container}"
_FILE = "{origin}/{container}/{path:rest}"


def _of_run(parent: str) -> tuple[Route, ...]:
    artifacts = f"/history/v1.0{{workspace_scope}}/{parent}/runs/{{run_id}}/artifacts"
    return (
        Route("GET", artifacts, handlers.list_run_artifacts),
        Route("GET", f"{artifacts}/path/{{path:rest}}", handlers.list_run_artifacts),
        Route("GET", f"{artifacts}/contentinfo/{{path:rest}}", handlers.get_run_content),
        Route("GET", f"{artifacts}/artifacturi/{{path:rest}}", handlers.get_run_address),
        Route("GET", f"{artifacts}/prefix/contentinfo/{{path:rest}}", handlers.list_run_contents),
        Route("GET", f"{artifacts}/path", handlers.list_run_artifacts),
        Route("GET", f"{artifacts}/contentinfo", handlers.get_run_content),
        Route("GET", f"{artifacts}/artifacturi", handlers.get_run_address),
        Route("GET", f"{artifacts}/prefix/contentinfo", handlers.list_run_contents),
        Route("POST", f"{artifacts}/batch/metadata", handlers.create_run_artifacts),
    )


ROUTES = (
    Route("POST", f"{_ALL}/batch/metadata/{_PLACE}", handlers.create_artifacts),
    Route("DELETE", f"{_ALL}/batch/{_PLACE}", handlers.delete_artifacts),
    Route("GET", f"{_ALL}/metadata/{_FILE}", handlers.get_artifact),
    Route("DELETE", f"{_ALL}/metadata/{_FILE}", handlers.delete_artifact),
    Route("GET", f"{_ALL}/contentinfo/{_FILE}", handlers.get_content),
    Route("GET", f"{_ALL}/write/{_FILE}", handlers.get_write_address),
    Route("GET", f"{_ALL}/prefix/contentinfo/{_FILE}", handlers.list_contents),
    Route("GET", f"{_ALL}/content/{_FILE}", handlers.download),
    Route("POST", f"{_ALL}/content/{_FILE}", handlers.upload, streams=True),
    Route("GET", f"{_ALL}/{_PLACE}", handlers.list_artifacts),
    Route("GET", f"{_ALL}/{_FILE}", handlers.list_artifacts),
    *_of_run("experiments/{experiment}"),
    *_of_run("experimentids/{experiment_id}"),
)
