"""Environments: what a script needs to run, and the names that they may have.

Definitions are stored and served as the SDK describes them; services/environment_definitions.py reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

Definition = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_RESERVED_PREFIXES = ("AzureML", "Microsoft")
CURATED_PREFIX = "AzureML-"
_IN_REGISTRY = re.compile(
    r"azureml://registries/azureml/environments/(?P<name>[^/@:]+)(/(versions/(?P<version>[^/]+)|labels/latest))?",
    re.IGNORECASE,
)


class BuildState(Enum):
    """How far a build is that was started ahead of a run."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(kw_only=True)
class Prebuild:
    """A build that was started ahead of a run; `log` is the file with its output."""

    build_id: str
    workspace_id: str
    log: Path
    state: BuildState = BuildState.RUNNING


@dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """What a definition asks for.

    Args:
        pip: Requirements as pip reads them, with their hashes.
        pip_options: Options for the whole list (`--index-url …`), one each.
        unreadable: A sentence for each invalid line, without passwords.
        conda: Conda's own specifications, without python and pip.
        python: A version or a condition on it, None if the user did not choose.
        image: None for Azure's bare base images.
        user_managed: Nothing is installed; the interpreter is used as it is.
        conda_file: The content of a conda environment file with all packages.
        content: The definition without its names, for comparisons.
    """

    pip: tuple[str, ...] = ()
    pip_options: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    python: str | None = None
    image: str | None = None
    dockerfile: str | None = None
    user_managed: bool = False
    interpreter: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    conda_file: Mapping[str, Any] = field(default_factory=dict, repr=False)
    content: Definition = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class EnvironmentVersion:
    """A registered definition."""

    name: str
    version: str
    definition: Definition
    labels: tuple[str, ...] = ()


def in_registry(name: str) -> tuple[str, str | None] | None:
    """The curated name and version of `azureml://registries/azureml/environments/NAME/(versions/N|labels/latest)`."""
    found = _IN_REGISTRY.fullmatch(name)
    return (f"{CURATED_PREFIX}{found['name'].removeprefix(CURATED_PREFIX)}", found["version"]) if found else None


def check_environment_name(name: str) -> None:
    """Raise `Invalid` for a name that Azure refuses, in its words."""
    if name.startswith(_RESERVED_PREFIXES):
        prefix = next(prefix for prefix in _RESERVED_PREFIXES if name.startswith(prefix))
        raise Invalid(
            f"Environment name can not start with the prefix {prefix}. "
            "To alter a curated environment first create a copy of it."
        )
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise Invalid(
            f"Invalid environment name {name[:300]!r}: use 1 to 255 letters, digits, dashes, underscores and dots."
        )
