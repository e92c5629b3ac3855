"""Operations on environments."""

from __future__ import annotations

from azureml_wrapper.local.domain.environments import EnvironmentVersion
from azureml_wrapper.local.domain.errors import Unsupported
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.environment import wire


def list_environments(context: Context, request: Request) -> Response:
    environments = context.environments.latest(request.workspace_id)
    return json_response({"value": [wire.environment(e, request.workspace) for e in environments]})


def get_environment(context: Context, request: Request) -> Response:
    return json_response(wire.environment(_find(context, request), request.workspace))


def get_labelled(context: Context, request: Request) -> Response:
    found = context.environments.by_label(request.workspace_id, request["environment"], request["label"])
    return json_response(wire.environment(found, request.workspace))


def put_environment(context: Context, request: Request) -> Response:
    registered = context.environments.register(
        request.workspace_id,
        request["environment"],
        request.json(),
        version=request.parameters.get("version"),
    )
    return json_response(wire.environment(registered, request.workspace))


def put_labels(context: Context, request: Request) -> Response:
    labels = wire.read_labels(request.json())
    context.environments.label(request.workspace_id, request["environment"], request["version"], labels)
    return empty()


def get_image(context: Context, request: Request) -> Response:
    return json_response(wire.image(_find(context, request)))


def refuse_build(context: Context, request: Request) -> Response:
    """Refused, because nothing is built ahead of time."""
    environment = _find(context, request)
    raise Unsupported(
        f"The local service does not build images. The packages of environment {environment.name} are installed "
        "when the first run uses it."
    )


def _find(context: Context, request: Request) -> EnvironmentVersion:
    return context.environments.get(request.workspace_id, request["environment"], request.parameters.get("version"))


_ENVIRONMENTS = "/environment/v1.0{workspace_scope}/environments"
_VERSION = _ENVIRONMENTS + "/{environment}/versions/{version}"
_BUILD = "/environment/v2.0{workspace_scope}/environments/{environment}/versions/{version}"

ROUTES = (
    Route("GET", _ENVIRONMENTS + "/", list_environments),
    Route("GET", _ENVIRONMENTS, list_environments),
    Route("GET", _ENVIRONMENTS + "/{environment}", get_environment),
    Route("PUT", _ENVIRONMENTS + "/{environment}", put_environment),
    Route("GET", _ENVIRONMENTS + "/{environment}/labels/{label}", get_labelled),
    Route("GET", _ENVIRONMENTS + "/{environment}/image", get_image),
    Route("GET", _VERSION, get_environment),
    Route("PUT", _VERSION, put_environment),
    Route("PUT", _VERSION + "/metadata", put_labels),
    Route("GET", _VERSION + "/image", get_image),
    Route("POST", _VERSION + "/recipe", refuse_build),
    Route("POST", _ENVIRONMENTS + "/{environment}/recipe", refuse_build),
    Route("POST", _BUILD + "/image", refuse_build),
    Route("POST", _BUILD + "/imageoncompute/{compute}", refuse_build),
)
