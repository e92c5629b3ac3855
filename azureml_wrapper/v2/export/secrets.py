"""Keys and passwords in a config: exported files are committed, so they must not contain any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

_NAMES = re.compile(
    r"(?i)(^|[_.\-])(password|passwd|pwd|secret|api_?key|account_?key|access_?key|storage_?key|"
    r"secret_?key|private_?key|subscription_?key|sas|sas_?token|connection_?string|"
    r"(access|auth|bearer|refresh|github|hf)_?token)$"
)
# Shorter values are words that a config may contain by chance.
_LEAST = 8
_VALUES = (
    ("a key of a storage account", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==")),
    ("a connection string", re.compile(r"(?i)(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^;\s]{8}")),
    ("a shared access signature", re.compile(r"(?i)[?&]sig=[^&\s]{8}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
)


def find(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, what it looks like) of everything that looks like a key; never the key itself."""
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
        yield from ((path, f"the value of the variable {name}") for name in _variables() if os.environ[name] in value)


def _variables() -> Iterator[str]:
    """The variables that hold keys, by their names: a config may have their values through `${NAME}`."""
    return (name for name, value in os.environ.items() if len(value) >= _LEAST and _NAMES.search(name))


def refusal(where: str, what: str) -> str:
    """The message, which says what the value looks like but not the value."""
    return (
        f"{where} looks like {what}. Exported files are meant to be committed, so nothing was written. Keep it in "
        "the workspace's Key Vault, and let the script read it (azure.keyvault.secrets.SecretClient)."
    )
