"""Secrets of a workspace's key vault."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from azureml_wrapper.local.domain.errors import Invalid

# Microsoft Learn, "Azure Key Vault keys, secrets, and certificates overview".
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_SECRET = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ACCOUNT_?KEY", re.IGNORECASE
)
VALUE_LIMIT = 25_000


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A named value, which `repr` does not show."""

    name: str
    value: str
    content_type: str | None
    created: datetime
    modified: datetime

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def is_secret_name(name: str) -> bool:
    """Whether a variable or argument with this name looks like a secret."""
    return _SECRET.search(name) is not None


def check_secret(name: str, value: object) -> str:
    """The value, or `Invalid` if a key vault would refuse the name or the value."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"Invalid secret name {name!r}: use 1 to 127 letters, digits and '-'.")
    if not isinstance(value, str):
        raise Invalid(f"The value of secret {name} must be a string.")
    if len(value.encode()) > VALUE_LIMIT:
        raise Invalid(f"The value of secret {name} is longer than {VALUE_LIMIT} bytes.")
    return value
