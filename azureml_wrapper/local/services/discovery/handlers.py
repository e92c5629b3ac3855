"""Clients send no token here, so each address holds a key that only this home's clients know."""

from __future__ import annotations

import hmac

from azureml_wrapper.local.domain.errors import Unauthenticated
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.discovery import wire


def get_services(context: Context, request: Request) -> Response:
    """The addresses of all services."""
    _check_key(request, context.addresses.open_key)
    return json_response(wire.services(context.addresses))


def get_cloud(context: Context, request: Request) -> Response:
    """The addresses of the cloud: ARM, storage, login."""
    _check_key(request, context.addresses.open_key)
    return json_response([wire.cloud(context.addresses)])


def get_token(context: Context, request: Request) -> Response:
    """A token of the user, for programs that bring no authentication of their own."""
    _check_key(request, context.addresses.key)
    return json_response(wire.msi_token(context.tokens.user(), context.clock.now()))


def _check_key(request: Request, key: str) -> None:
    if not hmac.compare_digest(request["key"].encode(), key.encode()):
        raise Unauthenticated(f"{request.path.split('/')[1]}: the key in the address is not this service's.")
