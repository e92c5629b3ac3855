"""Workspaces, the scopes of all other names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from azureml_wrapper.local.domain.errors import Invalid

# Subscription, resource group and name of the workspace that every home has.
DEFAULT_NAME = "local"

# Microsoft Learn, "Azure Machine Learning limits": 3 to 33 characters; real names start at 2 (docs of 2023-09).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,32}")
# Microsoft Learn, "Naming rules and restrictions for Azure resources", Microsoft.Resources.
_GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
_SUBSCRIPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ResourceGroup:
    """A name that groups workspaces; it has no other meaning here."""

    subscription: str
    name: str
    location: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """The ARM id."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One Azure ML workspace of the local service.

    `workspace_id` is a GUID that no other store has ever had: the SDK caches snapshots by it
    (azureml/_restclient/snapshots_client.py), so a fresh store must not reuse one.
    """

    workspace_id: str
    subscription: str
    resource_group: str
    name: str
    location: str
    created: datetime
    tags: dict[str, str] = field(default_factory=dict)
    friendly_name: str = ""
    description: str = ""

    @property
    def scope(self) -> str:
        """The ARM id, which is also a part of every service's paths."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    @property
    def storage_account(self) -> str:
        """The account of the default datastores, snapshots and artifacts; each workspace has its own."""
        return f"local{self.workspace_id.replace('-', '')[:16]}"


def check_workspace_name(name: str) -> None:
    """Raise `Invalid` for a name that Azure would refuse."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Invalid workspace name {name!r}: use 2 to 33 letters, digits, '-' and '_', "
            "starting with a letter or a digit."
        )


def check_group_name(subscription: str, name: str) -> None:
    """Raise `Invalid` for a subscription or resource group that Azure would refuse."""
    if not _SUBSCRIPTION.fullmatch(subscription):
        raise Invalid(f"Invalid subscription {subscription!r}: use 1 to 64 letters, digits and '-'.")
    if not _GROUP.fullmatch(name):
        raise Invalid(
            f"Invalid resource group name {name!r}: use 1 to 90 letters, digits, '_', '-', '.' and parentheses, "
            "not ending with '.'."
        )


# Microsoft Learn, "Azure Key Vault keys, secrets, and certificates overview".
_SECRET_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
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
    if not _SECRET_NAME.fullmatch(name):
        raise Invalid(f"Invalid secret name {name!r}: use 1 to 127 letters, digits and '-'.")
    if not isinstance(value, str):
        raise Invalid(f"The value of secret {name} must be a string.")
    if len(value.encode()) > VALUE_LIMIT:
        raise Invalid(f"The value of secret {name} is longer than {VALUE_LIMIT} bytes.")
    return value
