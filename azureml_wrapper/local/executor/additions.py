"""What uv gets for an environment's packages: pip's options, and what Azure's own builds have beside the packages.

The newest SDK: pip, with which Azure builds, tries the newest release of each package first. uv's order differs:
given `azureml-defaults`, whose requirement of azureml-core has no lower bound, and an older pandas, it chooses an SDK
that is years old. Tools: conda's Python comes with pip, setuptools and wheel, and azureml-core 1.51 to 1.60 imports
`pkg_resources`, which setuptools 82 no longer has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

SETUPTOOLS = "setuptools<81"
TOOLS = ("pip", SETUPTOOLS, "wheel")
# The last releases of azureml-core, by Python (the release history of azureml-core on PyPI).
_NEWEST_CORE = 61
_NEWEST_CORE_OF_37 = 55
_NEWEST_RELEASE = 62
# Packages whose releases do not go along with those of azureml-core.
_INDEPENDENT = re.compile(r"azureml-(mlflow|dataprep|inference|metrics|evaluate|fsspec|model-management)")
# uv has these as arguments only.
_FLAGS = {"--pre": ("--prerelease", "allow"), "--trusted-host": ("--allow-insecure-host", "{value}")}
# They choose between files of one version, or are about pip itself.
UNKNOWN_TO_UV = ("--prefer-binary", "--use-feature")
_NAME = re.compile(r"(?:[^:\s]+::)?([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Packages to install together; `note` says how they differ from those of the attempt before."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    note: str = ""


def attempts(requirements: Sequence[str], options: Iterable[str]) -> Iterator[Attempt]:
    """What to install, best first: the next one is for packages that contradict the additions."""
    asked = tuple(requirements)
    # Without an index there may be nothing but the packages that the environment names.
    tools = () if "--no-index" in options else missing_tools(asked)
    floors = core_floors(asked)
    yield Attempt(requirements=(*asked, *tools), constraints=floors)
    if floors:
        note = f"The packages contradict {floors[0].split(';')[0]}: an older SDK is allowed."
        yield Attempt(requirements=(*asked, *tools), note=note)
    if tools:
        yield Attempt(requirements=asked, note=f"The packages contradict {', '.join(tools)}: they are left out.")


def uv_options(options: Iterable[str]) -> tuple[list[str], list[str]]:
    """uv's arguments for pip's options, and the options that uv reads from a file, too.

    uv warns about the others, and does without them.
    """
    flags, others = [], []
    for option in options:
        name, _, value = option.partition(" ")
        if name in _FLAGS:
            flags += [word.format(value=value) for word in _FLAGS[name]]
        elif name not in UNKNOWN_TO_UV:
            others.append(option)
    if any(option.startswith("--extra-index-url ") for option in others):
        # As pip: the best version of all indexes.
        flags += ["--index-strategy", "unsafe-best-match"]
    return flags, others


def missing_tools(requirements: Iterable[str]) -> tuple[str, ...]:
    """The tools of conda's Python that the requirements do not name."""
    named = {_name(line) for line in requirements}
    return tuple(tool for tool in TOOLS if _name(tool) not in named)


def core_floors(requirements: Iterable[str]) -> tuple[str, ...]:
    """Constraints that keep azureml-core at the newest release that the requirements of Azure ML's packages allow."""
    release = _NEWEST_RELEASE
    for requirement in _parsed(requirements):
        name = requirement.name.lower().replace("_", "-")
        if not name.startswith("azureml-") or _INDEPENDENT.match(name):
            continue
        newest = _newest_release(requirement)
        if newest is None:
            return ()
        release = min(release, newest)
    return (
        f'azureml-core>=1.{min(release, _NEWEST_CORE)}; python_version >= "3.8"',
        f'azureml-core>=1.{min(release, _NEWEST_CORE_OF_37)}; python_version == "3.7"',
    )


def with_conda_tools(file: Mapping[str, Any]) -> dict[str, Any]:
    """A conda file with the tools that pip packages need; newer Pythons of conda have no setuptools."""
    entries = list(file.get("dependencies") or [])
    pip = [line for entry in entries if isinstance(entry, Mapping) for line in entry.get("pip") or []]
    named = {_name(str(line)) for line in (*pip, *(entry for entry in entries if isinstance(entry, str)))}
    added = [tool for tool in ("pip", SETUPTOOLS) if _name(tool) not in named]
    return {**file, "dependencies": [*added, *entries]}


def _newest_release(requirement: Requirement) -> int | None:
    """The minor version of the newest 1.x that is allowed; None if it is unknown."""
    if requirement.url:
        return None
    named = [spec.version.removesuffix(".*") for spec in requirement.specifier]
    versions = [*(f"1.{minor}.0" for minor in range(_NEWEST_RELEASE + 1)), *filter(_is_version, named)]
    allowed = [Version(version) for version in versions if requirement.specifier.contains(version, prereleases=True)]
    return max(allowed).minor if allowed else None


def _is_version(text: str) -> bool:
    return re.fullmatch(r"1(\.\d+)+(\.post\d+)?", text) is not None


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found[1].lower().replace("_", "-") if found else ""
