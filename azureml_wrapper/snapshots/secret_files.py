"""What looks like a secret: in a config by the names of its keys and by its values, and in a folder by its files.

A script folder is uploaded with everything that its ignore file does not list, and a snapshot is kept for as long as
its workspace. So files that look secret are left out, or refused, before anything is sent. Sources, notebooks and
data are not read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

_NAMES = re.compile(
    r"(?i)(^|[_.\-])(password|passwd|pwd|secret|api_?key|account_?key|access_?key|storage_?key|"
    r"secret_?key|private_?key|subscription_?key|sas|sas_?token|connection_?string|"
    r"(access|auth|bearer|refresh|github|hf)_?token)$"
)
_BY_NAME = "a password or a key, by its name"
# Shorter values are words that a config may contain by chance.
_SHORTEST = 8
_VALUES = (
    ("a key of a storage account", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==")),
    ("a connection string", re.compile(r"(?i)(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^;\s]{8}")),
    ("a shared access signature", re.compile(r"(?i)[?&]sig=[^&\s]{8}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
)
# Larger files are data.
_LARGEST = 100_000
# Files that hold nothing but secrets.
_KEPT_SECRET = re.compile(
    r"\.netrc|\.git-credentials|\.pgpass|\.pypirc|\.databrickscfg|.*\.(pfx|p12|jks)|id_(rsa|ed25519)"
)
# Files in which a key's name is enough, such as `.env` and `.azureml/datastore.json`, but not `.env.example`.
_SETTINGS = re.compile(
    r"(?i)\.env(\..+)?|.*\.env|.*(credential|secret|service_?principal).*\.(json|ya?ml|toml|ini|cfg|txt)"
)
_EXAMPLES = (".example", ".sample", ".template", ".dist")
# Files of which only the values are looked at.
_CONFIGS = (".json", ".yml", ".yaml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".pem", ".key")
# Files with addresses that may have a login in them.
_ADDRESSES = re.compile(r"(.*/)?(\.git/config|\.?pip\.(conf|ini)|requirements[^/]*\.txt|\.env[^/]*|[^/]*\.env)")
_LOGIN = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_PAIR = re.compile(r"""["']?([\w.\-]+)["']?[ \t]*[:=][ \t]*["']?([^"'\s,;}#]+)""")
# Values that stand for a secret: ${NAME}, $NAME, <key>, ***, and the like.
_PLACEHOLDER = re.compile(r"\$.*|<.*>?|%.*%|\{\{?.*|\*+|[xX.]+|null|None|true|false")


def find_secrets(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, what it looks like) of everything in a config that looks like a key; never the key itself."""
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if isinstance(item, str) and item and _NAMES.search(str(key).lstrip("-")):
                yield where, _BY_NAME
            else:
                yield from find_secrets(item, where)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from find_secrets(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield from ((path, what) for what, pattern in _VALUES if pattern.search(value))
        yield from (
            (path, f"the value of the variable {name}") for name in _secret_variables() if os.environ[name] in value
        )


def _secret_variables() -> Iterator[str]:
    """The variables that hold keys, by their names: a config may have their values through `${NAME}`."""
    return (name for name, value in os.environ.items() if len(value) >= _SHORTEST and _NAMES.search(name))


def secret_files(directory: Path, sizes: Mapping[Path, int]) -> dict[str, str]:
    """Those of a folder's files that look secret: path below the folder -> what each has, never the secret itself.

    Args:
        directory: The folder.
        sizes: The files to look at, with their sizes in bytes.
    """
    found = {}
    for file, size in sizes.items():
        name = file.relative_to(directory).as_posix()
        what = _secret_in(file, name, size)
        if what:
            found[name] = what
    return found


def sent_on_purpose(lines: Iterable[str]) -> set[str]:
    """The files that lines of an ignore file include by their whole path: `!.env`, `!/conf/store.json`."""
    named = (line.strip()[1:].lstrip("/") for line in lines if line.startswith("!"))
    return {re.sub(r"\\(.)", r"\1", name) for name in named}


def _secret_in(file: Path, name: str, size: int) -> str:
    """What a file looks like; empty if it does not look secret, or is none of those that are looked at."""
    path = PurePosixPath(name)
    if path.name.endswith(_EXAMPLES) or not size:
        return ""
    if _KEPT_SECRET.fullmatch(path.name):
        return "secrets, by its name"
    is_settings = bool(_SETTINGS.fullmatch(path.name)) or ".azureml" in path.parts[:-1]
    has_addresses = bool(_ADDRESSES.fullmatch(name))
    if size > _LARGEST or not (is_settings or has_addresses or path.suffix.lower() in _CONFIGS):
        return ""
    text = file.read_text(encoding="utf-8", errors="replace")
    return next(_secrets_of(text, by_name=is_settings, with_addresses=has_addresses), "")


def _secrets_of(text: str, *, by_name: bool, with_addresses: bool) -> Iterator[str]:
    yield from (what for what, pattern in _VALUES if pattern.search(text))
    if with_addresses:
        yield from ("a login in an address" for found in _LOGIN.finditer(text) if _is_value(found[1]))
    for key, value in _PAIR.findall(text) if by_name else ():
        if _NAMES.search(key) and _is_value(value):
            yield f"{key}, {_BY_NAME}"


def _is_value(text: str) -> bool:
    return not _PLACEHOLDER.fullmatch(text)
