"""The ASGI application: from bytes on a socket to a handler's response.

A request passes these steps, in this order: Host, route, token, body, handler. (A small body is read before the token
is checked. This joins two steps in a thread into one, and saves a fifth of a small request's time.) The handler runs
in a thread. A fault becomes Azure ML's error response, an unexpected error a 500 with its traceback in service.log.
"""

from __future__ import annotations

import errno
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Incoming
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import (
    Forbidden,
    Invalid,
    ServiceFault,
    Temporary,
    TooLarge,
    Unauthenticated,
    Unsupported,
    as_fault,
)
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.http.messages import Request, error_response
from azureml_wrapper.local.http.routing import Match, Router, Runs
from azureml_wrapper.local.tokens import BadToken, Identity, Tokens

log = logging.getLogger("azureml_wrapper.local")

# For bodies that are not streamed to a file: graphs, metric batches, snapshot trees. Azure's limit is 30 MB.
BODY_LIMIT = 64 * 1024 * 1024
# How many unknown operations are logged, and how many characters distinguish them.
MOST_UNKNOWN = 200
SPOOL_CHUNK = 4 * 1024 * 1024
SMALL_BODY = 256 * 1024
# Characters of a path in a message.
PATH_SHOWN = 300

# Raises a fault if the request is not allowed; gets the request without its body.
Authenticate = Callable[[Request, Match], Identity]
# Gets the request and the names of subscription, resource group and workspace in its path.
FindWorkspace = Callable[[Request, str, str, str], Workspace]
Answer = Callable[[ServiceFault, Request], Response]


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """A router with its authentication and its form of errors. There are two: the services and the storage."""

    router: Router
    authenticate: Authenticate
    answer_fault: Answer


class Application:
    """Serves `services` (bearer tokens) and `storage` (shared keys and signatures) on one port."""

    def __init__(
        self,
        context: Any,
        *,
        port: int,
        incoming: Path,
        services: Frontend,
        storage: Frontend,
        find_workspace: FindWorkspace,
    ) -> None:
        self._context, self._incoming = context, incoming
        self._services, self._storage, self._find_workspace = services, storage, find_workspace
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.last_request = time.monotonic()
        self._unknown: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.last_request = time.monotonic()
        incoming = Incoming(scope, receive)
        request = _head(incoming)
        try:
            response = await self._answer(request, incoming)
        except ClientDisconnect:
            return
        fault_point("http.handled")
        await response(scope, receive, send)
        self.last_request = time.monotonic()

    async def _answer(self, request: Request, incoming: Incoming) -> Response:
        frontend = self._storage if _is_storage(request) else self._services
        body_file: Path | None = None
        try:
            self._check_host(request)
            match = self._match(frontend, request)
            if _is_small(request) and not match.route.streams and not match.route.awaits:
                request = replace(request, body=await _read(incoming))
                return _private(
                    await run_in_threadpool(self._enter_and_handle, frontend, match, request), match, request
                )
            request = await run_in_threadpool(self._enter, frontend, match, request)
            if match.route.streams:
                body_file = self._incoming / uuid.uuid4().hex
                await _spool(incoming, body_file)
                fault_point("http.received")
                request = replace(request, body_file=body_file)
            else:
                request = replace(request, body=await _read(incoming))
            if match.route.awaits:
                await match.route.awaits(self._context, request)
            response = await run_in_threadpool(match.route.handler, self._context, request)
            return _private(response, match, request)
        except ServiceFault as fault:
            return frontend.answer_fault(fault, request)
        except OSError as error:
            return frontend.answer_fault(_os_fault(error, request), request)
        except ClientDisconnect:
            raise
        except Exception as error:  # the server's outermost handler
            log.exception("%s %s", request.method, request.path)
            surprise = ServiceFault(f"{type(error).__name__}: {error} (see service.log in the home folder)")
            return frontend.answer_fault(surprise, request)
        finally:
            if body_file:
                body_file.unlink(missing_ok=True)

    def _check_host(self, request: Request) -> None:
        # A web page in the user's browser must not reach the service under another name (DNS rebinding).
        if request.headers.get("host") not in self._hosts:
            raise Invalid(
                f"Invalid host {request.headers.get('host')!r}: expected one of {', '.join(sorted(self._hosts))}."
            )

    def _match(self, frontend: Frontend, request: Request) -> Match:
        match = frontend.router.match(request.method, request.raw_path, request.query)
        if match is None:
            operation = _operation(request)
            self._log_unknown(operation)
            raise Unsupported(
                frontend.router.refusal(request.raw_path)
                or f"The local service does not support {operation}. "
                "COVERAGE.md lists what it supports; Azure ML may support more."
            )
        return match

    def _log_unknown(self, operation: str) -> None:
        """Log each unknown operation once, and not endlessly many: that needs no token."""
        if operation[:MOST_UNKNOWN] not in self._unknown and len(self._unknown) < MOST_UNKNOWN:
            self._unknown.add(operation[:MOST_UNKNOWN])
            log.warning("unknown route: %s", operation)

    def _enter_and_handle(self, frontend: Frontend, match: Match, request: Request) -> Response:
        return match.route.handler(self._context, self._enter(frontend, match, request))

    def _enter(self, frontend: Frontend, match: Match, request: Request) -> Request:
        request = replace(request, parameters=match.parameters)
        request = replace(request, identity=frontend.authenticate(request, match))
        if request.identity.is_run and match.route.access is Runs.NOTHING:
            raise Forbidden(
                f"The token of run {request.identity.run_id} does not give access to {request.method} "
                f"{request.path}: a script may write to its own runs and their files, and add datasets, models, "
                "environments and runs. Do this in a program that is not a run."
            )
        if {"subscription", "resource_group", "workspace"} <= match.parameters.keys():
            names = (match.parameters[key] for key in ("subscription", "resource_group", "workspace"))
            request = replace(request, scope_workspace=self._find_workspace(request, *names))
            self._guard(match, request)
        return request

    def _guard(self, match: Match, request: Request) -> None:
        """A run's token writes only to its family. Batch routes call `guard_run` for each run in their body."""
        if request.identity.is_run and request.identity.workspace_id != request.workspace_id:
            raise Forbidden(f"The token of run {request.identity.run_id} belongs to another workspace.")
        run_id = match.parameters.get("run_id") or match.parameters.get("container", "").removeprefix("dcid.")
        if run_id and match.route.access is Runs.FAMILY:
            self._context.guard_run(request.identity, request.workspace_id, run_id)


def bearer(tokens: Tokens) -> Authenticate:
    """Authentication of the services: a bearer token of this service, unless the route is public."""

    def authenticate(request: Request, match: Match) -> Identity:
        if match.route.public:
            return Identity()
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise Unauthenticated(f"{request.method} {request.path} requires a bearer token of this service.")
        try:
            return tokens.identify(token)
        except BadToken as error:
            raise Unauthenticated(str(error)) from error

    return authenticate


def json_faults(clock: Clock) -> Answer:
    """Faults as Azure ML's JSON."""

    def answer(fault: ServiceFault, request: Request) -> Response:
        component = request.path.split("/")[1] if request.path.count("/") else "local"
        return error_response(fault, clock.now(), component)

    return answer


def _head(incoming: Incoming) -> Request:
    raw_path = incoming.scope.get("raw_path", b"").decode("latin-1") or incoming.url.path
    return Request(
        method=incoming.method,
        path=incoming.url.path,
        raw_path=raw_path,
        query={key.lower(): value for key, value in incoming.query_params.multi_items()},
        headers={key.lower(): value for key, value in incoming.headers.items()},
    )


def _private(response: Response, match: Match, request: Request) -> Response:
    """An address with a key in it goes to no other site, and what it gives into no cache.

    Not if a client of the storage asks: it would take the header for a property of the blob.
    """
    if match.route.public or ("sig" in request.query and "x-ms-version" not in request.headers):
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _operation(request: Request) -> str:
    """Method and path, with the parameters by which storage distinguishes operations of one path."""
    chosen = "&".join(f"{name}={request.query[name]}" for name in ("restype", "comp") if request.query.get(name))
    path = request.path if len(request.path) <= PATH_SHOWN else f"{request.path[:PATH_SHOWN]}…"
    return f"{request.method} {path}{'?' if chosen else ''}{chosen}"


def _is_storage(request: Request) -> bool:
    # Only storage clients send x-ms-version or sign the query, so a container's name cannot hide a service.
    return (
        "x-ms-version" in request.headers
        or "sig" in request.query
        or request.headers.get("authorization", "").lower().startswith("sharedkey")
    )


def _is_small(request: Request) -> bool:
    """Whether the body is known to be small."""
    length = request.headers.get("content-length", "" if "transfer-encoding" in request.headers else "0")
    return length.isascii() and length.isdigit() and int(length) <= SMALL_BODY


async def _read(incoming: Incoming) -> bytes:
    parts, size = [], 0
    async for chunk in incoming.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise TooLarge(f"The body is too large: at most {BODY_LIMIT // 2**20} MiB are allowed.")
        parts.append(chunk)
    return b"".join(parts)


async def _spool(incoming: Incoming, path: Path) -> None:
    """Write the body to a file, a few megabytes at a time to save memory."""
    with path.open("wb") as file:
        waiting = bytearray()
        async for chunk in incoming.stream():
            waiting += chunk
            if len(waiting) >= SPOOL_CHUNK:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(file.write, bytes(waiting))


def _os_fault(error: OSError, request: Request) -> ServiceFault:
    if error.errno == errno.ENAMETOOLONG:
        return Invalid(f"A name in {request.path[:200]}… is too long for the file system.")
    fault = as_fault(error)
    if isinstance(fault, Temporary):
        log.warning("%s %s: %s", request.method, request.path, error)
    else:
        log.exception("%s %s", request.method, request.path)
    return fault
