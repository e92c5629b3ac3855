"""Keys in a config: what is exported is committed, so that none may be in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAMES = re.compile(
    r"(?i)(^|[_.\-])(password|passwd|pwd|secret|api_?key|account_?key|access_?key|storage_?key|sas|sas_?token|"
    r"connection_?string|access_?token|auth_?token)$"
)
_VALUES = (
    ("a key of a storage account", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==")),
    ("a connection string", re.compile(r"(?i)(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^;\s]{8}")),
    ("a shared access signature", re.compile(r"(?i)[?&]sig=[^&\s]{8}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
)


def find(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(where, what it looks like) of everything that looks like a key; never the key itself."""
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if isinstance(item, str) and item and _NAMES.search(str(key).lstrip("-")):
                yield where, "a password or a key, by its name"
            else:
                yield from find(item, where)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from find(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield from ((path, what) for what, pattern in _VALUES if pattern.search(value))


def refusal(where: str, what: str) -> str:
    """The message for a place of which only is told what it looks like."""
    return (
        f"{where} looks like {what}. What is exported is meant to be committed, so nothing is written. Keep it in "
        "the workspace's Key Vault, and let the script fetch it (azure.keyvault.secrets.SecretClient)."
    )
