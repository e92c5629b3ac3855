"""Registered environments and their versions. The executor builds them."""

from __future__ import annotations

import hmac
from typing import Any

from azureml_wrapper.local.domain.environments import EnvironmentVersion, Prebuild
from azureml_wrapper.local.domain.errors import Invalid, Unauthenticated, Unsupported
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.environment_definitions import conda_name, read_environment


def environment_json(record: EnvironmentVersion, workspace: Workspace) -> dict[str, Any]:
    """A definition with its name and version."""
    place = f"azureml://locations/{workspace.location}/workspaces/{workspace.workspace_id}"
    return {
        "name": record.name,
        "version": record.version,
        "assetId": f"{place}/environments/{record.name}/versions/{record.version}",
        **record.definition,
    }


def image_json(record: EnvironmentVersion) -> dict[str, Any]:
    """What Azure reports for an environment whose image has not been built."""
    python = record.definition.get("python") or {}
    return {
        "imageExistsInRegistry": False,
        "ingredients": {"dockerfile": None},
        "pythonEnvironment": {
            "interpreterPath": python.get("interpreterPath") or "python",
            "condaEnvironmentPath": None,
        },
        "dockerImage": {
            "name": f"azureml/{conda_name(python.get('condaDependencies') or {})}",
            "registry": {"address": None, "username": None, "password": None},
        },
        "vulnerabilityFindings": None,
    }


def read_labels(body: object) -> list[str]:
    """The labels in a request such as `{"Labels": ["stable"]}`."""
    labels = body.get("Labels", body.get("labels")) if isinstance(body, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise Invalid("Labels must be a list of strings.")
    return labels


def list_environments(context: Context, request: Request) -> Response:
    environments = context.environments.latest(request.workspace_id)
    return json_response({"value": [environment_json(e, request.workspace) for e in environments]})


def get_environment(context: Context, request: Request) -> Response:
    return json_response(environment_json(_find(context, request), request.workspace))


def get_labelled(context: Context, request: Request) -> Response:
    found = context.environments.by_label(request.workspace_id, request["environment"], request["label"])
    return json_response(environment_json(found, request.workspace))


def put_environment(context: Context, request: Request) -> Response:
    registered = context.environments.register(
        request.workspace_id,
        request["environment"],
        request.json(),
        version=request.parameters.get("version"),
    )
    return json_response(environment_json(registered, request.workspace))


def put_labels(context: Context, request: Request) -> Response:
    labels = read_labels(request.json())
    context.environments.label(request.workspace_id, request["environment"], request["version"], labels)
    return empty()


def get_image(context: Context, request: Request) -> Response:
    return json_response(image_json(_find(context, request)))


def start_build(context: Context, request: Request) -> Response:
    """Build an environment ahead of its runs (`Environment.build`): its interpreter, not an image."""
    environment = read_environment(_find(context, request).definition)
    compute = request.parameters.get("compute")
    if compute is not None and context.computes.find(request.workspace_id, compute) is None:
        # The SDK would report a 404 as an unknown environment.
        raise Invalid(f"Unknown compute target {compute!r}: create it, or leave out image_build_compute.")
    build = context.prebuilds.start(request.workspace_id, environment)
    return json_response({"location": _address(context, request, build)}, 202)


def get_build(context: Context, request: Request) -> Response:
    """The status of a build, and the address of its log."""
    build = context.prebuilds.get(request.workspace_id, request["build"])
    address = f"{_address(context, request, build)}/log/{context.addresses.open_key}"
    return json_response({"status": build.state.value, "logUrl": address})


def get_build_log(context: Context, request: Request) -> Response:
    """The output of a build. The SDK reads it without a token, so the address has a key."""
    if not hmac.compare_digest(request["key"].encode(), context.addresses.open_key.encode()):
        raise Unauthenticated("The key in the address of the build's log is not this service's.")
    build = context.prebuilds.get(request.workspace_id, request["build"])
    return Response(build.log.read_bytes(), media_type="text/plain; charset=utf-8")


def refuse_recipe(context: Context, request: Request) -> Response:
    """Refused: without an image, nothing can be built on the client's machine (`Environment.build_local`)."""
    environment = _find(context, request)
    raise Unsupported(
        f"The local service has no image for environment {environment.name}. Environment.build builds it on the "
        "service; otherwise its packages are installed when the first run uses it."
    )


def _address(context: Context, request: Request, build: Prebuild) -> str:
    return context.addresses.service("/environment/v2.0", request.workspace) + f"/builds/{build.build_id}"


def _find(context: Context, request: Request) -> EnvironmentVersion:
    return context.environments.get(request.workspace_id, request["environment"], request.parameters.get("version"))


_ENVIRONMENTS = "/environment/v1.0{workspace_scope}/environments"
_VERSION = _ENVIRONMENTS + "/{environment}/versions/{version}"
_BUILD = "/environment/v2.0{workspace_scope}/environments/{environment}/versions/{version}"
_BUILDS = "/environment/v2.0{workspace_scope}/builds"

ROUTES = (
    Route("GET", _ENVIRONMENTS + "/", list_environments),
    Route("GET", _ENVIRONMENTS, list_environments),
    Route("GET", _ENVIRONMENTS + "/{environment}", get_environment),
    Route("PUT", _ENVIRONMENTS + "/{environment}", put_environment, runs=Runs.ADD),
    Route("GET", _ENVIRONMENTS + "/{environment}/labels/{label}", get_labelled),
    Route("GET", _ENVIRONMENTS + "/{environment}/image", get_image),
    Route("GET", _VERSION, get_environment),
    Route("PUT", _VERSION, put_environment, runs=Runs.ADD),
    Route("PUT", _VERSION + "/metadata", put_labels),
    Route("GET", _VERSION + "/image", get_image),
    Route("POST", _VERSION + "/recipe", refuse_recipe),
    Route("POST", _ENVIRONMENTS + "/{environment}/recipe", refuse_recipe),
    Route("POST", _BUILD + "/image", start_build),
    Route("POST", _BUILD + "/imageoncompute/{compute}", start_build),
    Route("GET", _BUILDS + "/{build}", get_build),
    Route("GET", _BUILDS + "/{build}/log/{key}", get_build_log, public=True),
)
