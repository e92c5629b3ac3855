"""Which Azure ML answers: the only module that decides between Azure and the local one.

A config with `subscription_id: "local"`, the variable AZUREML_WRAPPER_TARGET=local or an explicit `target="local"`
means the local Azure ML; everything else is Azure. Both give a real `azureml.core.Workspace`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

from azureml_wrapper.errors import BadValue, did_you_mean

if TYPE_CHECKING:
    from azureml.core import Workspace

# Also the subscription, and the region, of every workspace on the local service.
LOCAL = "local"
LOCAL_HOST = "127.0.0.1"
# The Azure region of a workspace that has to be created.
DEFAULT_LOCATION = "eastus"
TARGET_VARIABLE = "AZUREML_WRAPPER_TARGET"
Target = Literal["azure", "local"]
_TARGETS = ("azure", "local")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Scope:
    """The three names of a workspace, as every config has them."""

    subscription_id: str
    resource_group: str
    name: str

    @property
    def is_local(self) -> bool:
        """Whether the names themselves mean the local service; no subscription of Azure has this id."""
        return self.subscription_id == LOCAL

    @property
    def path(self) -> str:
        """The workspace's part of the address in every service."""
        return (
            f"/subscriptions/{quote(self.subscription_id)}/resourceGroups/{quote(self.resource_group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(self.name)}"
        )


@dataclass(frozen=True)
class Access:
    """How to reach the services of a workspace without the SDK, whose import takes longer than most answers.

    Attributes:
        address: Run history, and what is beside it.
        token: Returns a token for all of them.
        pipelines: Published pipelines and schedules; empty if not asked for.
        portal: Where the pages of runs are; empty if not asked for.
    """

    address: str
    token: Callable[[], str] = field(repr=False)
    pipelines: str = ""
    portal: str = ""


def choose_target(subscription_id: str | None, target: str | None = None) -> Target:
    """Return "local" or "azure": the explicit `target`, else AZUREML_WRAPPER_TARGET, else what the subscription says.

    Raises:
        BadValue: Another target is given (a ValueError).
    """
    chosen = target or os.environ.get(TARGET_VARIABLE) or (LOCAL if subscription_id == LOCAL else "azure")
    if chosen not in _TARGETS:
        source = "target" if target else f"The environment variable {TARGET_VARIABLE}"
        hint = did_you_mean(str(chosen), _TARGETS)
        raise BadValue(f"{source} must be 'azure' or 'local', got {chosen!r}.{hint}")
    return "local" if chosen == "local" else "azure"


def check_subscription(subscription_id: str) -> None:
    """Raise `BadValue` for an id that is not a GUID, as all of Azure are; the local one may play Azure's part."""
    if subscription_id != LOCAL and not _GUID.fullmatch(subscription_id):
        raise BadValue(
            f"subscription_id must be the GUID of a subscription of Azure, or {LOCAL!r} for the local Azure ML; got "
            f"{subscription_id!r}.{did_you_mean(subscription_id, [LOCAL])}"
        )


def is_local_workspace(workspace: Workspace) -> bool:
    """Whether a connected workspace is on the local service, however it was connected."""
    return bool(workspace.location == LOCAL)


def is_local_address(address: str) -> bool:
    """Whether an address of Azure ML's services is one of the local service."""
    return urlsplit(address).hostname == LOCAL_HOST
