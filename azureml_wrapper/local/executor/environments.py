"""Chooses the interpreter that a script runs in.

It is the service's own if that has the packages of the environment; otherwise an environment is built (builds.py).
Packages that can be neither found nor built are refused by name; other differences are written to the log.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.executor.additions import UNKNOWN_TO_UV
from azureml_wrapper.local.executor.pythons import Python, choose_python, is_python, own_python
from azureml_wrapper.pip_lines import masked, parse

# Packages without code for scripts, or that only the cloud's machines need.
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
# Scripts talk to the service through this package; the other SDK packages come with it.
SDK_CORE = "azureml-core"
DATAPREP = "azureml-dataprep"
MLFLOW = "azureml-mlflow"
# With it, azureml-dataprep below 5 reads datasets.
DOTNET = "dotnetcore2"
_OLDEST_TESTED = {SDK_CORE: "1.34", MLFLOW: "1.40"}
# This package, which users of its repository install from its address.
WRAPPER = "azureml-wrapper"
_WRAPPER_ADDRESS = re.compile(r"git\+\S+/azureml[_-]wrapper(\.git)?/?([@#]\S*)?$")
_PACKAGE_OPTION = re.compile(r"(?<=\s)--(global-option|install-option)\b")
_CONDA = re.compile(r"(?:[^:\s]+::)?(?P<name>[A-Za-z0-9_.-]+?)\s*(?P<version>[=<>!~ ].*)?", re.DOTALL)


class Installed(Protocol):
    """The packages of an interpreter."""

    @property
    def python(self) -> str:
        """The version of Python: `3.11.4`."""

    def version(self, name: str) -> str | None:
        """The installed version of a distribution, None if it is not installed."""

    def requires(self, name: str) -> Sequence[str]:
        """The requirements of an installed distribution, including those of its extras."""


class OwnPackages:
    """The packages of the service's own interpreter."""

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
    """They change when a package is installed or removed. Reading the packages for each step takes longer."""
    return tuple(os.stat(path).st_mtime_ns for path in sys.path if os.path.isdir(path))  # noqa: PTH112, PTH116


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`interpreter`, or if it is None what to build: pip `requirements`, or with `conda` the whole definition.

    `python` is the one to build with; None if the environment names none, so that any will do.
    `reasons` are sentences for the log: why this one, and how it differs from the request. `other_python` says for
    the run's page which Python is used instead of the requested one; empty if it is that one.
    """

    interpreter: Path | None = None
    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    python: Python | None = None
    conda: bool = False
    reasons: tuple[str, ...] = ()
    other_python: str = ""


@dataclass(frozen=True)
class _Findings:
    """Findings about the packages of an environment."""

    missing: list[str] = field(default_factory=list)  # why the service's interpreter is not enough
    notes: list[str] = field(default_factory=list)  # differences from the request
    instead: list[str] = field(default_factory=list)  # what the service's interpreter has in place of packages
    pinned: list[str] = field(default_factory=list)  # conda packages that pip can provide, too


def choose(
    spec: EnvironmentSpec,
    installed: Installed,
    *,
    has_conda: bool = False,
    pythons: Callable[[], Sequence[Python]] = lambda: (own_python(),),
) -> Choice:
    """Choose an interpreter; `Invalid` if a package can be neither found nor installed.

    `pythons` finds those of the machine, the service's own first. It takes a while, so only builds ask for them.
    """
    notes = list(_container_notes(spec))
    if spec.user_managed:
        return _user_managed(spec, notes)
    if spec.unreadable:
        raise Invalid(f"The environment's pip line {spec.unreadable[0]}")
    found = _Findings(notes=notes)
    _check_hashes(spec)
    _check_pip(spec, installed, found)
    if spec.conda:
        _check_conda(spec, installed, found, has_conda=has_conda)
    choice = _build(spec, found, pythons) if found.missing else _own(spec, installed, found)
    return replace(choice, reasons=tuple(map(masked, choice.reasons)))


def _own(spec: EnvironmentSpec, installed: Installed, found: _Findings) -> Choice:
    other = ""
    if spec.python and not is_python(spec.python, installed.python):
        other = f"Python {spec.python} is requested, {installed.python} is used."
        found.instead.append(other)
    asked = len(spec.pip) + len(spec.conda)
    why = f"it has all {asked} packages of the environment" if asked else "the environment requests no packages"
    return Choice(
        interpreter=Path(sys.executable),
        reasons=(
            f"Interpreter: {sys.executable} (Python {installed.python}), because {why}.",
            *found.notes,
            *found.instead,
        ),
        other_python=other,
    )


def _build(spec: EnvironmentSpec, found: _Findings, pythons: Callable[[], Sequence[Python]]) -> Choice:
    conda = bool(spec.conda) and not found.pinned
    if not conda:
        found.notes.extend(_not_of_uv(spec))
    why = f"A separate environment is used, because {'; '.join(found.missing)}."
    python, other = None, ""
    if spec.python and not conda:
        # Conda installs the Python that it is asked for.
        python, because = choose_python(spec.python, pythons())
        why = f"{why} {because}"
        other = "" if is_python(spec.python, python.version) else because
    return Choice(
        requirements=(*spec.pip, *found.pinned),
        options=spec.pip_options,
        python=python,
        conda=conda,
        reasons=(why, *found.notes),
        other_python=other,
    )


def _not_of_uv(spec: EnvironmentSpec) -> Iterator[str]:
    """Notes on the options that uv does without; `Invalid` for those of a package, which change how it is built."""
    if ignored := [option for option in spec.pip_options if option.split()[0] in UNKNOWN_TO_UV]:
        yield f"{', '.join(ignored)} is not used: environments are built with uv, which has no such option."
    for text in spec.pip:
        if found := _PACKAGE_OPTION.search(text):
            raise Invalid(
                f"The environment's pip line {masked(text)!r} has {found[0]}: environments are built with uv, which "
                "has no such option. Install the package in an environment of your own (user_managed_dependencies)."
            )


def _user_managed(spec: EnvironmentSpec, notes: list[str]) -> Choice:
    """The interpreter that the user names; `python` is the image's in Azure, and the service's here."""
    named = spec.interpreter or "python"
    path = Path(named) if os.sep in named else Path(sys.executable)
    if not os.access(path, os.X_OK):
        raise Invalid(f"The user-managed environment's interpreter {named} does not exist on this machine.")
    return Choice(
        interpreter=path, reasons=(f"Interpreter: {path}, because the environment is user-managed.", *notes)
    )


def sdk_notes(interpreter: Path) -> Iterator[str]:
    """Which SDK an environment has, and what of it does not work with the local service (docs/local.md)."""
    # `azureml_core-1.56.0.dist-info`; reading the metadata of all packages takes longer.
    folders = interpreter.parent.parent.glob("lib/python3*/site-packages/*-*.dist-info")
    named = (folder.stem.partition("-") for folder in folders)
    versions = {name.lower().replace("_", "-"): version for name, _, version in named}
    sdk = [f"{name} {versions[name]}" for name in (SDK_CORE, DATAPREP, MLFLOW) if name in versions]
    if sdk:
        yield f"The environment's SDK: {', '.join(sdk)}."
    yield from (
        f"{name} {versions[name]} is older than {oldest}, the oldest that is tested with the local Azure ML."
        for name, oldest in _OLDEST_TESTED.items()
        if name in versions and Version(versions[name]) < Version(oldest)
    )
    if DOTNET in versions:
        yield (
            f"{DATAPREP} {versions.get(DATAPREP, '')} reads datasets with .NET, which the local Azure ML does not "
            "support: to_pandas_dataframe() and download() of a dataset fail in this script. Inputs that are mounted "
            "or downloaded for the run work. azureml-dataset-runtime>=1.55 needs no .NET."
        )


def _container_notes(spec: EnvironmentSpec) -> Iterator[str]:
    if spec.image:
        yield f"The docker image {spec.image} is not used: the local service runs scripts without containers."
    if spec.dockerfile:
        yield "The environment's dockerfile is not built: the local service runs scripts without containers."


def is_hashed(requirements: Iterable[str], options: Iterable[str]) -> bool:
    """Whether pip compares each package with a hash: it does for all if one has one."""
    return "--require-hashes" in options or any(line.hashed for text in requirements for line in parse(text))


def _check_hashes(spec: EnvironmentSpec) -> None:
    if not is_hashed(spec.pip, spec.pip_options):
        return
    for text in spec.pip:
        if not all(line.hashed for line in parse(text)):
            raise Invalid(
                f"The environment's pip line {masked(text)!r} has no --hash, but others have: pip needs all."
            )


def _check_pip(spec: EnvironmentSpec, installed: Installed, found: _Findings) -> None:
    for text in spec.pip:
        [line] = parse(text)
        requirement = line.parsed
        if requirement is None:
            if _WRAPPER_ADDRESS.match(line.requirement) and installed.version(WRAPPER):
                found.instead.append(_own_wrapper(line.requirement, installed))
                continue
            found.missing.append(f"{text} has to be installed")
            if line.editable:
                found.notes.append(
                    f"{line.requirement} is not editable: uv, which builds here, has no such packages."
                )
        elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            if line.hashed:
                found.missing.append(f"{requirement} has to be installed with its hash")
            else:
                _check_requirement(requirement, installed, found)


def _check_requirement(requirement: Requirement, installed: Installed, found: _Findings) -> None:
    name = requirement.name.lower().replace("_", "-")
    version = installed.version(name)
    if name in CLOUD_PACKAGES and version is None and installed.version(SDK_CORE):
        core = installed.version(SDK_CORE)
        pinned = f" Scripts use {SDK_CORE} {core} in place of the requested version." if requirement.specifier else ""
        found.instead.append(f"{requirement} is for Azure's machines; it is not needed here.{pinned}")
    elif name == WRAPPER and requirement.url and version:
        found.instead.append(_own_wrapper(str(requirement), installed))
    elif version is None and requirement.name in sys.stdlib_module_names:
        # Python finds its own module of that name first, whatever is installed.
        found.instead.append(f"{requirement} is part of Python itself.")
    elif requirement.url:
        found.missing.append(f"{requirement} has to be installed")
    elif version is None:
        found.missing.append(f"{requirement} is not installed")
    elif not requirement.specifier.contains(version, prereleases=True):
        _judge_version(requirement, name, version, found)
    else:
        found.missing.extend(_missing_of_extras(requirement, name, installed))


def _own_wrapper(line: str, installed: Installed) -> str:
    return f"{line} is requested, the service's own azureml_wrapper {installed.version(WRAPPER)} is used."


def _judge_version(requirement: Requirement, name: str, version: str, found: _Findings) -> None:
    if name.startswith("azureml-"):
        # A script's SDK talks to this service, which speaks the protocol of the last version.
        found.instead.append(f"{requirement} is requested, {version} is used.")
    else:
        found.missing.append(f"{requirement} is requested and {version} is installed")


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
    """Check conda packages: the interpreter's packages of the same names will do, else conda builds all of it."""
    pinned, lacking = [], []
    for package in spec.conda:
        requirement = conda_requirement(package)
        if requirement and _has(requirement, installed):
            # As asked, not as installed: a package without a version must not get the service's.
            pinned.append(str(requirement))
        else:
            lacking.append(package)
    if not lacking:
        found.pinned.extend(pinned)
    elif has_conda:
        found.missing.append(f"conda has to provide {', '.join(lacking)}")
    else:
        raise Invalid(
            f"The environment requests {', '.join(lacking)} from conda, but this machine has no conda "
            f"(micromamba, mamba or conda), and {sys.executable} has no package with that name and "
            "version. Install one of them, or request the package from pip."
        )


def conda_requirement(package: str) -> Requirement | None:
    """Conda's `channel::name=1.2=build` as a requirement of pip (`name==1.2.*`); None if it has none."""
    found = _CONDA.fullmatch(package)
    if found is None:
        return None
    condition = (found["version"] or "").strip()
    if condition.startswith("=") and not condition.startswith("=="):
        # One "=" means "this prefix"; a build may follow.
        condition = f"=={condition[1:].split('=')[0].rstrip('.*')}.*"
    elif condition[:1].isdigit():
        condition = f"=={condition.split()[0]}"
    try:
        return Requirement(f"{found['name']}{condition}")
    except InvalidRequirement:
        return None
