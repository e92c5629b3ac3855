"""Operations on artifacts: by origin, container and path first, then on those of a run."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Forbidden, Invalid, ServiceFault, Unsupported
from azureml_wrapper.local.domain.storage import CONTAINER, RUN_ORIGIN, Artifact, Place, clean_path, of_run
from azureml_wrapper.local.http.messages import (
    Request,
    Response,
    empty,
    file_response,
    json_response,
    object_list,
    string,
)
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.artifact import wire
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.query import Page

# Allows to create and fill a file, not to delete it.
WRITE = "racw"
# The SDK sends at most 50 (azureml/_restclient/artifacts_client.py).
BATCH_LIMIT = 1000


def list_artifacts(context: Context, request: Request) -> Response:
    return json_response(wire.page(_page(context, request)))


def list_contents(context: Context, request: Request) -> Response:
    """The files in a folder with the addresses to read them; empty if none match."""
    return json_response(_contents(context, request, _page(context, request)))


def get_artifact(context: Context, request: Request) -> Response:
    return json_response(wire.artifact(context.artifacts.get(request.workspace, _place(request), request["path"])))


def get_content(context: Context, request: Request) -> Response:
    found = context.artifacts.get(request.workspace, _place(request), request["path"])
    return json_response(_content(context, request, found))


def get_write_address(context: Context, request: Request) -> Response:
    """An address to write a file to: log files that grow (azureml/_run_impl/file_watcher.py)."""
    place, path = _place(request), request["path"]
    # A GET, but with this address the file can be changed.
    _guard_change(context, request)
    context.blobs.ensure_container(request.workspace.storage_account, CONTAINER)
    address = context.artifacts.url(request.workspace, place, path, permissions=WRITE, for_sdk=True)
    return json_response(wire.content(place, path, address))


def create_artifacts(context: Context, request: Request) -> Response:
    if request.query.get("datastorename"):
        raise Unsupported("The local service keeps artifacts only in its own store; remove datastore_name.")
    _guard_place(context, request)
    return _announce(context, request, _place(request))


def delete_artifact(context: Context, request: Request) -> Response:
    _guard_change(context, request)
    context.artifacts.delete(request.workspace, _place(request), request["path"])
    return empty()


def delete_artifacts(context: Context, request: Request) -> Response:
    """Delete every file of a container."""
    place = _place(request)
    _guard_change(context, request)
    while found := context.artifacts.page(request.workspace, place).items:
        for item in found:
            context.artifacts.delete(request.workspace, place, item.path)
    return empty()


def download(context: Context, request: Request) -> Response:
    found = context.artifacts.get(request.workspace, _place(request), request["path"])
    return file_response(context.artifacts.file(request.workspace, found), length=found.size)


def upload(context: Context, request: Request) -> Response:
    """Create a file from the body, or with `append=true` append the body to one."""
    if request.body_file is None:
        raise Invalid("The upload has no body.")
    append = request.query.get("append", "").lower() == "true"
    if append:
        _guard_change(context, request)
    _guard_place(context, request)
    stored = context.artifacts.write(
        request.workspace, _place(request), request["path"], request.body_file, append=append
    )
    return json_response(wire.artifact(stored))


def _guard_place(context: Context, request: Request) -> None:
    """Raise if a run's token would add files to another run. It may add those of a model (origin LocalUpload)."""
    place = _place(request)
    if request.identity.is_run and place.origin == RUN_ORIGIN:
        run_id = place.container.removeprefix("dcid.")
        context.runs.get(request.workspace_id, run_id)
        context.guard_run(request.identity, request.workspace_id, run_id)


def _guard_change(context: Context, request: Request) -> None:
    """Raise if a run's token would change or delete files that are not those of a run of its family."""
    if request.identity.is_run and _place(request).origin != RUN_ORIGIN:
        raise Forbidden(f"The token of run {request.identity.run_id} may change the files of its own runs only.")
    _guard_place(context, request)


def _announce(context: Context, request: Request, place: Place) -> Response:
    """Check that files may be uploaded, and return the addresses to upload them to."""
    items = object_list(request.json_object().get("paths"), "paths", BATCH_LIMIT)
    paths = [string(item, "path") or "" for item in items]
    now = offset_time(context.clock.now())
    answer: dict[str, dict[str, Any]] = {"artifacts": {}, "artifactContentInformation": {}, "errors": {}}
    for path in paths:
        try:
            context.artifacts.check_free(request.workspace, place, path)
            address = context.artifacts.url(request.workspace, place, path, permissions=WRITE, for_sdk=True)
        except ServiceFault as fault:
            answer["errors"][path] = wire.fault(fault)
            continue
        # The client looks up the path as it wrote it.
        answer["artifacts"][path] = wire.announced(place, clean_path(path), now)
        answer["artifactContentInformation"][path] = wire.content(place, clean_path(path), address)
    return json_response(answer)


def _content(context: Context, request: Request, artifact: Artifact) -> wire.JSON:
    # azureml-mlflow, the only client with the path in the query, downloads from no other address
    # (azureml/mlflow/_client/artifact/_utils/blob_artifact_util.py). `Environment.add_private_pip_wheel` returns the
    # address without its signature, and this one must be the one to which it uploaded (executor/builds.py).
    for_sdk = "path" in request.query or artifact.place.origin == "Environment"
    address = context.artifacts.url(request.workspace, artifact.place, artifact.path, for_sdk=for_sdk)
    return wire.content(artifact.place, artifact.path, address)


def _contents(context: Context, request: Request, found: Page[Artifact]) -> wire.JSON:
    return wire.page(found, lambda artifact: _content(context, request, artifact))


def _page(context: Context, request: Request) -> Page[Artifact]:
    prefix = request.parameters.get("path", "")
    return context.artifacts.page(
        request.workspace, _place(request), prefix, request.query.get("continuationtoken", "")
    )


def _place(request: Request) -> Place:
    return Place(request["origin"], request["container"])


def list_run_artifacts(context: Context, request: Request) -> Response:
    return json_response(wire.page(_page_of_run(context, request)))


def list_run_contents(context: Context, request: Request) -> Response:
    return json_response(_contents(context, request, _page_of_run(context, request)))


def get_run_content(context: Context, request: Request) -> Response:
    return json_response(_content(context, request, _find_of_run(context, request)))


def get_run_address(context: Context, request: Request) -> Response:
    return json_response(_content(context, request, _find_of_run(context, request))["contentUri"])


def create_run_artifacts(context: Context, request: Request) -> Response:
    return _announce(context, request, of_run(context.runs.get(request.workspace_id, request["run_id"]).run_id))


def _find_of_run(context: Context, request: Request) -> Artifact:
    return context.artifacts.get(request.workspace, of_run(request["run_id"]), _path_of_run(request))


def _page_of_run(context: Context, request: Request) -> Page[Artifact]:
    place, prefix = of_run(request["run_id"]), _path_of_run(request)
    return context.artifacts.page(request.workspace, place, prefix, request.query.get("continuationtoken", ""))


def _path_of_run(request: Request) -> str:
    """The SDK sends it in the path, azureml-mlflow in the query."""
    return request.parameters.get("path") or request.query.get("path", "")


_ALL = "/artifact/v2.0{workspace_scope}/artifacts"
_PLACE = "{origin}/{container}"
_FILE = "{origin}/{container}/{path:rest}"


def _of_run(parent: str) -> tuple[Route, ...]:
    artifacts = f"/history/v1.0{{workspace_scope}}/{parent}/runs/{{run_id}}/artifacts"
    return (
        Route("GET", artifacts, list_run_artifacts),
        Route("GET", f"{artifacts}/path/{{path:rest}}", list_run_artifacts),
        Route("GET", f"{artifacts}/contentinfo/{{path:rest}}", get_run_content),
        Route("GET", f"{artifacts}/artifacturi/{{path:rest}}", get_run_address),
        Route("GET", f"{artifacts}/prefix/contentinfo/{{path:rest}}", list_run_contents),
        Route("GET", f"{artifacts}/path", list_run_artifacts),
        Route("GET", f"{artifacts}/contentinfo", get_run_content),
        Route("GET", f"{artifacts}/artifacturi", get_run_address),
        Route("GET", f"{artifacts}/prefix/contentinfo", list_run_contents),
        Route("POST", f"{artifacts}/batch/metadata", create_run_artifacts, runs=Runs.FAMILY),
    )


ROUTES = (
    Route("POST", f"{_ALL}/batch/metadata/{_PLACE}", create_artifacts, runs=Runs.FAMILY),
    Route("DELETE", f"{_ALL}/batch/{_PLACE}", delete_artifacts, runs=Runs.FAMILY),
    Route("GET", f"{_ALL}/metadata/{_FILE}", get_artifact),
    Route("DELETE", f"{_ALL}/metadata/{_FILE}", delete_artifact, runs=Runs.FAMILY),
    Route("GET", f"{_ALL}/contentinfo/{_FILE}", get_content),
    Route("GET", f"{_ALL}/write/{_FILE}", get_write_address),
    Route("GET", f"{_ALL}/prefix/contentinfo/{_FILE}", list_contents),
    Route("GET", f"{_ALL}/content/{_FILE}", download),
    Route("POST", f"{_ALL}/content/{_FILE}", upload, streams=True, runs=Runs.FAMILY),
    Route("GET", f"{_ALL}/{_PLACE}", list_artifacts),
    Route("GET", f"{_ALL}/{_FILE}", list_artifacts),
    *_of_run("experiments/{experiment}"),
    *_of_run("experimentids/{experiment_id}"),
)
