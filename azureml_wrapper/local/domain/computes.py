"""Compute clusters (AmlCompute): what a config requests, and what this machine does not have of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import read_integer

# The SDK's documentation names it as the default (azureml/core/compute/amlcompute.py, provisioning_configuration).
DEFAULT_VM_SIZE = "STANDARD_NC6"
DEFAULT_IDLE_SECONDS = 120
# Microsoft Learn, "Manage and increase quotas and limits": nodes of one cluster, once raised by support.
MAX_NODES = 65_000

# Azure's message of 2020 said 2 to 16 characters; clusters with longer names have been made since.
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])")
_VM_SIZE = re.compile(r"STANDARD_[A-Z]{1,5}\d[A-Z0-9-]*(_[A-Z0-9]+)*")
_GPU_SIZE = re.compile(r"STANDARD_N[CDPGV]")
RESERVED = frozenset({"amlcompute", "local", "containerinstance"})


class Priority(str, Enum):
    """What Azure may do with the nodes."""

    DEDICATED = "Dedicated"  # the nodes stay until they are idle
    LOW_PRIORITY = "LowPriority"  # cheaper, and may be removed during a job


@dataclass(frozen=True, kw_only=True)
class VmSize:
    """One of Azure's machine sizes; memory in GB, temporary disk in MB."""

    name: str
    cores: int
    memory: float
    disk: int
    gpus: int = 0


# The sizes that `AmlCompute.supported_vmsizes` lists (Microsoft Learn, "Sizes for virtual machines"). Others are
# accepted, too.
VM_SIZES = tuple(
    VmSize(name=name, cores=cores, memory=memory, disk=disk, gpus=gpus)
    for name, cores, memory, disk, gpus in (
        ("Standard_D1_v2", 1, 3.5, 51200, 0),
        ("Standard_D2_v2", 2, 7, 102400, 0),
        ("Standard_D3_v2", 4, 14, 204800, 0),
        ("Standard_D4_v2", 8, 28, 409600, 0),
        ("Standard_D11_v2", 2, 14, 102400, 0),
        ("Standard_D12_v2", 4, 28, 204800, 0),
        ("Standard_D13_v2", 8, 56, 409600, 0),
        ("Standard_D14_v2", 16, 112, 819200, 0),
        ("Standard_DS1_v2", 1, 3.5, 7168, 0),
        ("Standard_DS2_v2", 2, 7, 14336, 0),
        ("Standard_DS3_v2", 4, 14, 28672, 0),
        ("Standard_DS4_v2", 8, 28, 57344, 0),
        ("Standard_DS5_v2", 16, 56, 114688, 0),
        ("Standard_DS11_v2", 2, 14, 28672, 0),
        ("Standard_DS12_v2", 4, 28, 57344, 0),
        ("Standard_DS13_v2", 8, 56, 114688, 0),
        ("Standard_DS14_v2", 16, 112, 229376, 0),
        ("Standard_D2s_v3", 2, 8, 16384, 0),
        ("Standard_D4s_v3", 4, 16, 32768, 0),
        ("Standard_D8s_v3", 8, 32, 65536, 0),
        ("Standard_E4s_v3", 4, 32, 65536, 0),
        ("Standard_E8s_v3", 8, 64, 131072, 0),
        ("Standard_F2s_v2", 2, 4, 16384, 0),
        ("Standard_F4s_v2", 4, 8, 32768, 0),
        ("Standard_F8s_v2", 8, 16, 65536, 0),
        ("Standard_F16s_v2", 16, 32, 131072, 0),
        ("Standard_NC6", 6, 56, 389120, 1),
        ("Standard_NC12", 12, 112, 696320, 2),
        ("Standard_NC24", 24, 224, 1474560, 4),
        ("Standard_NC6s_v3", 6, 112, 344064, 1),
        ("Standard_NC12s_v3", 12, 224, 688128, 2),
        ("Standard_NC24s_v3", 24, 448, 1376256, 4),
        ("Standard_NC4as_T4_v3", 4, 28, 184320, 1),
        ("Standard_NC24ads_A100_v4", 24, 220, 65536, 1),
        ("Standard_ND40rs_v2", 40, 672, 2969600, 8),
        ("Standard_NV6", 6, 56, 389120, 1),
    )
)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A cluster of at most `max_nodes` nodes. Here, that many jobs may run at the same time."""

    name: str
    created: datetime
    modified: datetime
    vm_size: str = DEFAULT_VM_SIZE
    priority: Priority = Priority.DEDICATED
    min_nodes: int = 0
    max_nodes: int = 1
    idle_seconds: int = DEFAULT_IDLE_SECONDS
    location: str = "local"
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    subnet: str | None = None
    identity: dict[str, Any] | None = None
    admin: str | None = None
    remote_login: str = "NotSpecified"

    @property
    def has_gpu(self) -> bool:
        return _GPU_SIZE.match(self.vm_size) is not None

    @property
    def differences(self) -> tuple[str, ...]:
        """What this machine does not have of the request, one sentence each, for logs and pages."""
        found = {
            f"Compute {self.name} is {self.vm_size} in Azure; here a job sees this machine's processors and memory"
            + (", and its GPU only if it has one." if self.has_gpu else "."): True,
            f"Compute {self.name} has low priority in Azure; here no job is preempted.": self.is_low_priority,
            f"Compute {self.name} is in a virtual network in Azure; here it is not.": self.subnet is not None,
            f"Compute {self.name} has an identity in Azure; here it has none.": self.identity is not None,
        }
        return tuple(text for text, applies in found.items() if applies)

    @property
    def is_low_priority(self) -> bool:
        return self.priority is Priority.LOW_PRIORITY


def check_compute(compute: Compute) -> None:
    """Raise `Invalid` for a cluster that Azure would refuse."""
    if not _NAME.fullmatch(compute.name) or compute.name.lower() in RESERVED:
        raise Invalid(
            f"Compute name {compute.name!r} is invalid. It can include letters, digits and dashes. It must start "
            "with a letter, end with a letter or digit, and be between 2 and 32 characters in length; "
            f"{', '.join(sorted(RESERVED))} are reserved."
        )
    if not _VM_SIZE.fullmatch(compute.vm_size):
        raise Invalid(
            f"VM size {compute.vm_size!r} does not exist. Sizes look like STANDARD_D2_V2; "
            "AmlCompute.supported_vmsizes(workspace) lists the usual ones."
        )
    _check_scale(compute)


def _check_scale(compute: Compute) -> None:
    if compute.min_nodes < 0 or compute.max_nodes < 1:
        raise Invalid(
            f"Compute {compute.name} has minNodeCount {compute.min_nodes} and maxNodeCount {compute.max_nodes}; "
            "they must be at least 0 and 1."
        )
    if compute.max_nodes > MAX_NODES:
        raise Invalid(f"Compute {compute.name} has maxNodeCount {compute.max_nodes}; the maximum is {MAX_NODES}.")
    if compute.min_nodes > compute.max_nodes:
        raise Invalid(
            f"Compute {compute.name} has minNodeCount {compute.min_nodes}, "
            f"which is more than maxNodeCount {compute.max_nodes}."
        )


def parse_priority(text: str | None) -> Priority:
    """`dedicated` or `lowpriority`, in any case; dedicated by default."""
    for priority in Priority:
        if (text or Priority.DEDICATED).lower() == priority.lower():
            return priority
    raise Invalid(f"Unknown VM priority {text!r}; expected dedicated or lowpriority.")


def parse_duration(text: str | None) -> int:
    """Seconds of an ISO 8601 duration as Azure writes them: `PT120S`, `PT2M`, `PT1H30M`."""
    if not text:
        return DEFAULT_IDLE_SECONDS
    found = re.fullmatch(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?", text)
    if found is None or not any(found.groups()):
        raise Invalid(f"nodeIdleTimeBeforeScaleDown must be a duration such as PT120S, got {text!r}.")
    days, hours, minutes, seconds = (
        read_integer(part or 0, "nodeIdleTimeBeforeScaleDown") for part in found.groups()
    )
    return read_integer(((days * 24 + hours) * 60 + minutes) * 60 + seconds, "nodeIdleTimeBeforeScaleDown")
