"""Authentication of the storage side, before a request's body is read.

As in Azure there are three ways: a shared key (its header names the account), a shared access signature in the query
(the account is the one whose key made the signature, because the part of the address before the `@` never reaches the
service), and a bearer token.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from azureml_wrapper.local.domain.clock import parse_http_time, parse_time
from azureml_wrapper.local.domain.errors import Forbidden, Unauthenticated
from azureml_wrapper.local.domain.storage import CONTAINER, RUN_ORIGIN, without_dots
from azureml_wrapper.local.http.application import Authenticate
from azureml_wrapper.local.http.messages import Request
from azureml_wrapper.local.http.routing import Match, Runs
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.tokens import BadToken, Identity
from azureml_wrapper.signatures import account_sas_text, sas_text, shared_key_text, sign

# Maximum age of a signed request (Microsoft Learn, "Authorize with Shared Key").
SKEW = timedelta(minutes=15)


def authenticator(context: Context) -> Authenticate:
    """Authentication of the storage side."""

    def authenticate(request: Request, match: Match) -> Identity:
        kind, _, credential = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "sharedkey":
            return _shared_key(context, request, credential)
        if kind.lower() == "bearer":
            return _bearer(context, match, credential)
        if "sig" in request.query:
            return _signature(context, request, match)
        if kind:
            raise _refused(f"unsupported authorization {kind}; use SharedKey, Bearer or a signature")
        raise Unauthenticated(
            "The request has no account key, signature or token.", code="NoAuthenticationInformation"
        )

    return authenticate


def _shared_key(context: Context, request: Request, credential: str) -> Identity:
    account, _, signature = credential.partition(":")
    key = context.accounts.key(account)
    if key is None:
        raise _refused(f"storage account {account!r} is not registered with this service")
    text = shared_key_text(request.method, account, request.raw_path, request.query, request.headers)
    if not _same(sign(key, text), signature):
        raise _refused(f"the signature does not match the key of storage account {account!r}")
    _check_age(request, context.clock.now())
    return Identity(account=account)


def _check_age(request: Request, now: datetime) -> None:
    try:
        signed = parse_http_time(request.headers.get("x-ms-date") or request.headers["date"])
    except (KeyError, ValueError):
        raise _refused("the request has no date") from None
    if abs(now - signed) > SKEW:
        raise _refused(
            f"the request is older than 15 minutes: it was signed at {signed:%Y-%m-%dT%H:%M:%SZ}{_shows(now)}"
        )


def _bearer(context: Context, match: Match, token: str) -> Identity:
    try:
        identity = context.tokens.identify(token)
    except BadToken as error:
        raise _refused(str(error)) from error
    accounts = context.blobs.accounts(match.parameters["container"]) if "container" in match.parameters else []
    if identity.workspace_id:
        accounts = _within(context, identity.workspace_id, accounts)
    if len(accounts) != 1:
        raise _refused(
            "a bearer token names no account, and the container exists in none or several; use the account's key"
        )
    if identity.is_run and match.route.access is Runs.DATA:
        _guard_write(context, identity, match, accounts[0])
    return Identity(run_id=identity.run_id, workspace_id=identity.workspace_id, account=accounts[0])


def _guard_write(context: Context, identity: Identity, match: Match, account: str) -> None:
    """Raise unless a run writes to a datastore of its workspace; of the files of runs, to those of its family."""
    workspace_id, container = identity.workspace_id or "", match.parameters["container"]
    origin, _, rest = without_dots(match.parameters["name"]).partition("/")
    stores = {(store.account, store.container) for store in context.datastores.all(workspace_id)}
    has_artifacts = (account, container) == (context.workspaces.by_id(workspace_id).storage_account, CONTAINER)
    if has_artifacts and origin == RUN_ORIGIN:
        context.guard_run(identity, workspace_id, rest.partition("/")[0].removeprefix("dcid."))
    elif has_artifacts or (account, container) not in stores:
        raise Forbidden(
            f"The token of run {identity.run_id} may write to the datastores of its workspace and to the files of "
            f"its own runs, not to {container}/{match.parameters['name']}."
        )


def _within(context: Context, workspace_id: str, accounts: list[str]) -> list[str]:
    """The accounts that a run of the workspace may use: the workspace's own, else those of its datastores."""
    own = context.workspaces.by_id(workspace_id).storage_account
    known = {datastore.account for datastore in context.datastores.all(workspace_id)}
    return [own] if own in accounts else [account for account in accounts if account in known]


def _signature(context: Context, request: Request, match: Match) -> Identity:
    account = _signer(context, request, match)
    if account is None:
        raise _refused("the signature matches no account's key for this address")
    _check_times(request.query, context.clock.now())
    _check_kind(request.query, match)
    given = request.query.get("sp", "")
    wanted = needed_permissions(request.method, request.query, is_blob="name" in match.parameters)
    creates = "c" in given and wanted == "w" and not _exists(context, account, match)
    if not creates and not set(wanted) & set(given):
        raise Forbidden(
            f"{request.method} requires one of the permissions {wanted!r}; the signature has {given!r}.",
            code="AuthorizationPermissionMismatch",
        )
    return Identity(account=account)


def _exists(context: Context, account: str, match: Match) -> bool:
    name = without_dots(match.parameters["name"])
    return context.blobs.stat(account, match.parameters["container"], name) is not None


def _signer(context: Context, request: Request, match: Match) -> str | None:
    """The account whose key made the signature, or for which a user registered this very SAS token."""
    container, name = match.parameters.get("container", ""), match.parameters.get("name", "")
    query, signature = request.query, request.query["sig"]
    is_of_account = "ss" in query
    if not container and not is_of_account:
        return None
    # As in Azure, whoever has an account's key learns that a container does not exist.
    for account in (container and context.blobs.accounts(container)) or context.accounts.names():
        text = account_sas_text(query, account) if is_of_account else sas_text(query, account, container, name)
        if _same(sign(context.accounts.ensure(account), text), signature):
            return account
    return next(
        (account for account, token in context.datastores.tokens(container) if _same_token(token, query)), None
    )


def _check_kind(query: Mapping[str, str], match: Match) -> None:
    """Raise if the SAS of an account is not for blobs, or not for what the request names (Microsoft Learn)."""
    if "ss" not in query:
        return
    if "b" not in query["ss"]:
        raise Forbidden(
            f"The request requires a signature for the service 'b'; this one is for {query['ss']!r}.",
            code="AuthorizationServiceMismatch",
        )
    kind = "o" if "name" in match.parameters else "c" if "container" in match.parameters else "s"
    if kind not in query.get("srt", ""):
        raise Forbidden(
            f"The request requires a signature for the resource type {kind!r}; this one is for "
            f"{query.get('srt', '')!r}.",
            code="AuthorizationResourceTypeMismatch",
        )


def _same_token(token: str, query: Mapping[str, str]) -> bool:
    values = {name.lower(): value for name, value in parse_qsl(token)}
    return bool(values.get("sig")) and _same(
        "\n".join(f"{name}={values[name]}" for name in sorted(values)),
        "\n".join(f"{name}={query.get(name, '')}" for name in sorted(values)),
    )


def _check_times(query: Mapping[str, str], now: datetime) -> None:
    try:
        start, end = parse_time(query.get("st")), parse_time(query.get("se"))
    except ValueError:
        raise _refused("invalid time in the signature") from None
    if end is None or now >= end:
        raise _refused(f"the signature expired at {query.get('se')}{_shows(now)}")
    if start is not None and now < start:
        raise _refused(f"the signature is not valid before {query.get('st')}{_shows(now)}")


def _shows(now: datetime) -> str:
    return f"; the clock of the service shows {now:%Y-%m-%dT%H:%M:%SZ}"


def needed_permissions(method: str, query: Mapping[str, str], *, is_blob: bool) -> str:
    """Permissions of which a signature must have one (Microsoft Learn, "Create a service SAS", "Account SAS")."""
    comp = query.get("comp", "").lower()
    if method in ("GET", "HEAD"):
        return "r" if is_blob else "l" if comp == "list" else "rl"
    if not is_blob:
        # Only the SAS of an account may create and delete containers.
        return "" if "ss" not in query else "d" if method == "DELETE" else "cw"
    return "d" if method == "DELETE" else "aw" if comp == "appendblock" else "w"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refused(reason: str) -> Forbidden:
    return Forbidden(f"Server failed to authenticate the request: {reason}.", code="AuthenticationFailed")
