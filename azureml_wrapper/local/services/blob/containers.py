"""Operations on containers and accounts."""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.limits import is_number
from azureml_wrapper.local.http.messages import Request, Response, empty
from azureml_wrapper.local.services.blob import wire
from azureml_wrapper.local.services.context import Context

# Azure's maximum.
PAGE = 5000

_SERVICE_PROPERTIES = (
    "<StorageServiceProperties><Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read>"
    "<Write>false</Write><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>"
    "<DefaultServiceVersion>2021-08-06</DefaultServiceVersion></StorageServiceProperties>"
)


def list_blobs(context: Context, request: Request) -> Response:
    account, container = _where(context, request)
    query, limit = request.query, _limit(request)
    marker = wire.name_of(query["marker"]) if query.get("marker") else ""
    items = context.blobs.page(
        account,
        container,
        query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        marker=marker,
        limit=limit + 1,
    )
    more = wire.marker_of(items[limit - 1].name) if len(items) > limit else ""
    endpoint = context.addresses.blob(account, "", "").rstrip("/") + "/"
    return wire.xml(wire.listing(request, items[:limit], endpoint=endpoint, limit=limit, next_marker=more))


def create_container(context: Context, request: Request) -> Response:
    if wire.metadata(request):
        raise Unsupported("The local storage does not store metadata of containers.")
    account, container = request.identity.account, request["container"]
    if not context.blobs.ensure_container(account, container):
        raise Conflict("The specified container already exists.", code="ContainerAlreadyExists")
    return empty(201, _properties(context, account, container))


def container_properties(context: Context, request: Request) -> Response:
    """Get Container Properties, Get Container Metadata (always empty)."""
    return empty(200, _properties(context, *_where(context, request)))


def delete_container(context: Context, request: Request) -> Response:
    context.blobs.delete_container(*_where(context, request))
    return empty(202)


def list_containers(context: Context, request: Request) -> Response:
    account, prefix = request.identity.account, request.query.get("prefix", "")
    names = [name for name in context.blobs.containers(account) if name.startswith(prefix)]
    found = [(name, *context.blobs.container_version(account, name)) for name in names]
    return wire.xml(wire.containers(found, context.addresses.blob(account, "", "").rstrip("/") + "/"))


def service_properties(_: Context, __: Request) -> Response:
    return wire.xml(_SERVICE_PROPERTIES)


def account_information(_: Context, __: Request) -> Response:
    return empty(200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"})


def _where(context: Context, request: Request) -> tuple[str, str]:
    account, container = request.identity.account, request["container"]
    if not context.blobs.has_container(account, container):
        raise NotFound("The specified container does not exist.", code="ContainerNotFound")
    return account, container


def _properties(context: Context, account: str, container: str) -> dict[str, str]:
    return wire.container_properties(*context.blobs.container_version(account, container))


def _limit(request: Request) -> int:
    text = request.query.get("maxresults") or str(PAGE)
    if not is_number(text) or int(text) < 1:
        raise Invalid(
            f"Invalid maxresults {text[:80]!r}: expected an integer ≥ 1.", code="OutOfRangeQueryParameterValue"
        )
    return min(int(text), PAGE)
