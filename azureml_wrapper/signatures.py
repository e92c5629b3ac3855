"""Signatures of storage requests: shared keys and shared access signatures, which both sides of a transfer make.

Microsoft Learn, "Authorize with Shared Key" and "Create a service SAS", as the SDK's own client computes them
(azureml/_vendor/azure_storage/blob/_shared). Pure functions of what is signed and the account's key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urlencode

SAS_VERSION = "2019-02-02"
# The standard headers in the string to sign, in order.
_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def sign(key: str, text: str) -> str:
    """HMAC-SHA256 in base64, with a base64 key."""
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256)
    return base64.b64encode(digest.digest()).decode()


def shared_key_text(
    method: str, account: str, raw_path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """The string that a client signs with its account's key; keys of `query` and `headers` are lowercase."""
    standard = {name: headers.get(name, "") for name in _SIGNED_HEADERS}
    if standard["content-length"] == "0":
        standard["content-length"] = ""
    if "x-ms-date" in headers:
        standard["date"] = ""
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-ms-"))
    lines = [method, *standard.values(), *(f"{name}:{value.strip()}" for name, value in own)]
    resource = f"/{account}{raw_path}" + "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    return "\n".join([*lines, resource])


@dataclass(frozen=True, kw_only=True)
class SharedAccess:
    """What a service SAS permits: `permissions` (letters of "racwdl…") on a blob, or on a container (no name)."""

    account: str
    container: str
    name: str = ""
    permissions: str = "r"
    start: datetime | None = None
    expiry: datetime
    version: str = SAS_VERSION

    def query(self, key: str) -> str:
        """The signed query string."""
        start = sas_time(self.start) if self.start else ""
        values = {
            "st": start,
            "se": sas_time(self.expiry),
            "sp": self.permissions,
            "sv": self.version,
            "sr": "b" if self.name else "c",
        }
        values["sig"] = sign(key, sas_text(values, self.account, self.container, self.name))
        return urlencode({name: value for name, value in values.items() if value})


def sas_text(query: Mapping[str, str], account: str, container: str, name: str) -> str:
    """The string that the `sig` of a service SAS signs, for versions 2018-11-09 to 2020-02-10 and from 2020-12-06."""
    whole = query.get("sr") == "c" or not name
    resource = f"/blob/{account}/{container}" + ("" if whole else f"/{name}")

    def get(*names: str) -> list[str]:
        return [query.get(name, "") for name in names]

    scope = [query.get("ses", "")] if query.get("sv", "") >= "2020-12-06" else []
    return "\n".join(
        [
            *get("sp", "st", "se"),
            resource,
            *get("si", "sip", "spr", "sv", "sr"),
            "",
            *scope,
            *get("rscc", "rscd", "rsce", "rscl", "rsct"),
        ]
    )


def sas_time(instant: datetime) -> str:
    """A time in a signature: in UTC, to the second."""
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_sas_text(query: Mapping[str, str], account: str) -> str:
    """The string that the `sig` of an account SAS signs."""
    names = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv")
    scope = [query.get("ses", "")] if query.get("sv", "") >= "2020-12-06" else []
    return "\n".join([account, *(query.get(name, "") for name in names), *scope, ""])
