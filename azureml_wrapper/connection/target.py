"""Which Azure ML answers: the only module that decides between Azure and the local one.

A config with `subscription_id: "local"`, the variable AZUREML_WRAPPER_TARGET=local or an explicit `target="local"`
means the local Azure ML; everything else is Azure. Both give a real `azureml.core.Workspace`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

LOCAL = "local"
# The Azure region of a workspace that has to be created.
DEFAULT_LOCATION = "eastus"
TARGET_VARIABLE = "AZUREML_WRAPPER_TARGET"
Target = Literal["azure", "local"]


@dataclass(frozen=True)
class Scope:
    """The three names of a workspace, as every config has them."""

    subscription_id: str
    resource_group: str
    name: str


@dataclass(frozen=True)
class Access:
    """How the services of a workspace are asked without the SDK, whose import takes longer than most answers."""

    address: str
    token: Callable[[], str] = field(repr=False)


def choose_target(subscription_id: str, target: str | None = None) -> Target:
    """ "local" or "azure": the explicit argument wins, then AZUREML_WRAPPER_TARGET, then the subscription."""
    chosen = target or os.environ.get(TARGET_VARIABLE) or (LOCAL if subscription_id == LOCAL else "azure")
    if chosen not in ("azure", "local"):
        raise ValueError(f"target is {chosen!r}; allowed are 'azure' and 'local'.")
    return "local" if chosen == "local" else "azure"
