"""Which interpreter a script runs in, and why.

The service's own interpreter is taken where it has what the environment asks for; else an environment is built
(builds.py). What can be neither had nor built is refused, by name; what is merely different is said in the log.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid

# Packages that hold no code for a script, or only what the machines of the cloud need.
CLOUD_PACKAGES = frozenset(
    {
        "azureml-defaults",
        "azureml-sdk",
        "azureml-dataset-runtime",
        "azureml-telemetry",
        "azureml-model-management-sdk",
        "azureml-inference-server-http",
        "inference-schema",
        "applicationinsights",
        "gunicorn",
    }
)
# A script talks to the service through this one; every other SDK package goes with it.
SDK_CORE = "azureml-core"
_CONDA = re.compile(r"(?:[^:\s]+::)?(?P<name>[A-Za-z0-9_.-]+?)\s*(?P<version>[=<>!~ ].*)?", re.DOTALL)


class Installed(Protocol):
    """What an interpreter has."""

    @property
    def python(self) -> str:
        """Its version: `3.11.4`."""

    def version(self, name: str) -> str | None:
        """The installed version of a distribution, None where it is not installed."""

    def requires(self, name: str) -> Sequence[str]:
        """The requirements of an installed distribution, those of its extras included."""


class OwnPackages:
    """What the service's own interpreter has."""

    @property
    def python(self) -> str:
        return platform.python_version()

    def version(self, name: str) -> str | None:
        return _installed_version(name, _folder_times())

    def requires(self, name: str) -> Sequence[str]:
        return metadata.requires(name) or ()


@lru_cache(maxsize=512)
def _installed_version(name: str, _: tuple[int, ...]) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _folder_times() -> tuple[int, ...]:
    """They change when something is installed or removed; to read the packages for each step takes longer."""
    return tuple(os.stat(path).st_mtime_ns for path in sys.path if os.path.isdir(path))  # noqa: PTH112, PTH116


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`interpreter`, or where it is None what to build: pip `requirements`, or with `conda` the whole definition.

    `reasons` are sentences for the log: why this one, and what differs from what was asked for.
    """

    interpreter: Path | None = None
    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    python: str | None = None
    conda: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Findings:
    """What was found out about the packages of an environment."""

    missing: list[str] = field(default_factory=list)  # why the own interpreter does not do
    notes: list[str] = field(default_factory=list)  # what differs
    pinned: list[str] = field(default_factory=list)  # conda packages that pip can provide as well


def choose(spec: EnvironmentSpec, installed: Installed, *, has_conda: bool = False) -> Choice:
    """Decide; `Invalid` where a package can be neither had nor installed."""
    notes = list(_container_notes(spec))
    if spec.user_managed:
        return _user_managed(spec, notes)
    if spec.unreadable:
        raise Invalid(
            f"The environment's pip line {spec.unreadable[0]!r} names a file that is not part of the environment. "
            "Put the requirements themselves into it: Environment.from_pip_requirements(name, file) does."
        )
    found = _Findings(notes=notes)
    _check_pip(spec, installed, found)
    if spec.conda:
        _check_conda(spec, installed, found, has_conda=has_conda)
    return _choice(spec, installed, found)


def _choice(spec: EnvironmentSpec, installed: Installed, found: _Findings) -> Choice:
    if not found.missing:
        if spec.python and not _is_python(spec.python, installed.python):
            found.notes.append(f"Python {spec.python} is asked for, this is {installed.python}.")
        asked = len(spec.pip) + len(spec.conda)
        why = f"it has all {asked} packages of the environment" if asked else "the environment asks for no packages"
        return Choice(
            interpreter=Path(sys.executable),
            reasons=(f"Interpreter: {sys.executable} (Python {installed.python}), because {why}.", *found.notes),
        )
    conda = bool(spec.conda) and not found.pinned
    return Choice(
        requirements=(*spec.pip, *found.pinned),
        options=spec.pip_options,
        python=spec.python,
        conda=conda,
        reasons=(f"An environment of its own is used, because {'; '.join(found.missing)}.", *found.notes),
    )


def _user_managed(spec: EnvironmentSpec, notes: list[str]) -> Choice:
    """The interpreter that the user names; in Azure `python` is the image's, here the service's."""
    named = spec.interpreter or "python"
    path = Path(named) if os.sep in named else Path(sys.executable)
    if not os.access(path, os.X_OK):
        raise Invalid(f"The user-managed environment's interpreter {named} is not on this machine.")
    return Choice(
        interpreter=path, reasons=(f"Interpreter: {path}, because the environment is user-managed.", *notes)
    )


def _container_notes(spec: EnvironmentSpec) -> Iterator[str]:
    if spec.image:
        yield f"The docker image {spec.image} is not used: the local service runs scripts without containers."
    if spec.dockerfile:
        yield "The environment's dockerfile is not built: the local service runs scripts without containers."


def _check_pip(spec: EnvironmentSpec, installed: Installed, found: _Findings) -> None:
    for line in spec.pip:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            found.missing.append(f"{line} can only be had by installing it")
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _check_requirement(requirement, installed, found)


def _check_requirement(requirement: Requirement, installed: Installed, found: _Findings) -> None:
    name = requirement.name.lower().replace("_", "-")
    version = installed.version(name)
    if name in CLOUD_PACKAGES and version is None and installed.version(SDK_CORE):
        found.notes.append(f"{requirement} is there for Azure's machines; it is not needed here.")
    elif requirement.url:
        found.missing.append(f"{requirement} can only be had by installing it")
    elif version is None:
        found.missing.append(f"{requirement} is not installed")
    elif not requirement.specifier.contains(version, prereleases=True):
        _judge_version(requirement, name, version, found)
    else:
        found.missing.extend(_missing_of_extras(requirement, name, installed))


def _judge_version(requirement: Requirement, name: str, version: str, found: _Findings) -> None:
    if name.startswith("azureml-"):
        # The SDK of a script talks to this service, which speaks the protocol of the last one.
        found.notes.append(f"{requirement} is asked for, {version} is used.")
    else:
        found.missing.append(f"{requirement} is asked for and {version} is installed")


def _missing_of_extras(requirement: Requirement, name: str, installed: Installed) -> Iterator[str]:
    for extra in sorted(requirement.extras):
        for line in installed.requires(name):
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                continue
            if needed.marker.evaluate({"extra": extra}) and not _has(needed, installed):
                yield f"{needed.name}{needed.specifier} of {requirement.name}[{extra}] is not installed"


def _has(requirement: Requirement, installed: Installed) -> bool:
    version = installed.version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _check_conda(spec: EnvironmentSpec, installed: Installed, found: _Findings, *, has_conda: bool) -> None:
    """Conda packages: those of the same name that the interpreter has do, else conda has to build all of it."""
    pinned, lacking = [], []
    for package in spec.conda:
        requirement = conda_requirement(package)
        if requirement and _has(requirement, installed):
            pinned.append(f"{requirement.name}=={installed.version(requirement.name)}")
        else:
            lacking.append(package)
    if not lacking:
        found.pinned.extend(pinned)
    elif has_conda:
        found.missing.append(f"conda has to provide {', '.join(lacking)}")
    else:
        raise Invalid(
            f"The environment asks conda for {', '.join(lacking)}, and this machine has no conda "
            f"(micromamba, mamba or conda), nor does {sys.executable} have a package of that name and version. "
            "Install one of them, or ask pip for the package."
        )


def conda_requirement(package: str) -> Requirement | None:
    """What conda's `channel::name=1.2=build` is to pip (`name==1.2.*`); None where it is nothing to pip."""
    found = _CONDA.fullmatch(package)
    if found is None:
        return None
    condition = (found["version"] or "").strip()
    if condition.startswith("=") and not condition.startswith("=="):
        # One "=" means "this and what it begins"; a build may follow.
        condition = f"=={condition[1:].split('=')[0].rstrip('.*')}.*"
    elif condition[:1].isdigit():
        condition = f"=={condition.split()[0]}"
    try:
        return Requirement(f"{found['name']}{condition}")
    except InvalidRequirement:
        return None


def _is_python(wanted: str, version: str) -> bool:
    condition = wanted if wanted[0] in "<>!~=" else f"=={wanted.rstrip('.*')}.*"
    try:
        return SpecifierSet(condition).contains(version)
    except InvalidSpecifier:
        return False
