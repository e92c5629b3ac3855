"""Tokens: who may use the service, and as whom.

The service has one secret, stored in its home (mode 0600). Whoever can read it can create user tokens; the service
creates run tokens for the jobs that it starts. Both are JSON Web Tokens signed with HS256, because the SDK decodes
its token (`exp`, `tid`, `oid`). Standard library only, because clients and the service load this module at start.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.local.faultpoints import wall_clock
from azureml_wrapper.local.home import LEAST_SECRET

TENANT = "00000000-0000-0000-0000-0000000000aa"
USER = "00000000-0000-0000-0000-0000000000bb"
# Of tokens that no client names one for.
DEFAULT_AUDIENCE = "azureml"
USER_LIFETIME = 24 * 3600
# Azure's default limit for a run, 30 days.
RUN_LIFETIME = 30 * 24 * 3600


class BadToken(ValueError):
    """The token comes from another service, or has expired."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who sent a request: the user of this machine, a run, or whoever has access to the storage account `account`.

    `python` is the interpreter of the user's program, empty if it is unknown: only the wrapper sends it.
    """

    run_id: str | None = None
    workspace_id: str | None = None
    subscriptions: tuple[str, ...] = ()
    creates_workspaces: bool = False
    account: str = ""
    program: str | None = None
    python: str = ""

    @property
    def is_run(self) -> bool:
        return self.run_id is not None


class Tokens:
    """Creates and checks tokens with the secret of one service; `ValueError` if the secret is too short."""

    def __init__(self, secret: str) -> None:
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"The service's secret is too short: at least {LEAST_SECRET} characters are needed.")
        self._secret = secret.encode()

    def user(
        self,
        audience: str = DEFAULT_AUDIENCE,
        *,
        subscriptions: Sequence[str] = (),
        creates_workspaces: bool = False,
        program: str | None = None,
        python: str = "",
        now: float | None = None,
    ) -> str:
        """A token for the user of this machine.

        The service adds `subscriptions` to those that it lists. The SDK refuses others, so this is how a config with
        the id of a real subscription runs unchanged on the local service. With `creates_workspaces` it creates a
        missing workspace when it is asked for it, and reports that to `program` (store/programs.py). `python` is the
        interpreter of the program that sends the token.
        """
        claims: dict[str, Any] = {"aud": audience, "role": "Contributor", "subscriptions": list(subscriptions)}
        if creates_workspaces:
            claims |= {"creates_workspaces": True, "program": program}
        if python:
            claims["python"] = python
        return self._mint(claims, USER_LIFETIME, now)

    def run(self, workspace_id: str, run_id: str, now: float | None = None) -> str:
        """A token with which a run may write to itself, its ancestors and its descendants."""
        claims = {"aud": DEFAULT_AUDIENCE, "role": "Contributor", "workspaceId": workspace_id, "run_id": run_id}
        return self._mint(claims, RUN_LIFETIME, now)

    def identify(self, token: str, now: float | None = None) -> Identity:
        """Who a token belongs to; raise `BadToken` if another secret signed it or it has expired."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            raise BadToken("The token does not come from this service.")
        claims = json.loads(_decode(signed.partition(".")[2]))
        moment = now or wall_clock()
        if claims["exp"] < moment:
            raise BadToken(
                f"The token expired at {_shown(claims['exp'])}; the clock of the service shows {_shown(moment)}. "
                "Start the program or the run again, and set the clock if it is wrong."
            )
        return Identity(
            run_id=claims.get("run_id"),
            workspace_id=claims.get("workspaceId"),
            subscriptions=tuple(claims.get("subscriptions") or ()),
            creates_workspaces=bool(claims.get("creates_workspaces")),
            program=claims.get("program"),
            python=str(claims.get("python") or ""),
        )

    def key(self, purpose: str) -> str:
        """An unguessable part of an address, for clients that send no token (discovery, the web pages)."""
        digest = hmac.new(self._secret, f"key:{purpose}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def _mint(self, claims: dict[str, Any], lifetime: int, now: float | None) -> str:
        start = int(now or wall_clock())
        times = {"iat": start, "nbf": start, "exp": start + lifetime}
        body = {**claims, **times, "iss": "azureml", "tid": TENANT, "oid": USER, "name": "local"}
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(body)}"
        return f"{signed}.{self._sign(signed)}"

    def _sign(self, text: str) -> str:
        return _base64(hmac.new(self._secret, text.encode(), hashlib.sha256).digest())


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
