"""Environment definitions as the SDK writes them (azureml/core/environment.py).

Shared by the services for environments, single runs and pipelines.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from azureml_wrapper import pip_lines
from azureml_wrapper.local.domain.environments import Definition, EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.pip_lines import PipLine

# What the SDK writes if the user did not choose a Python: Environment() and CondaDependencies.create() differ
# (azureml/_project/base_project_files/conda_dependencies.yml, azureml/core/conda_dependencies.py).
SDK_DEFAULT_PYTHONS = ("3.8.13", "3.10.18")
# Azure's base images hold an operating system, conda and MPI, but no packages; the SDK names one in each definition.
_BASE_IMAGE = re.compile(r"mcr\.microsoft\.com/azureml/(openmpi|base|intelmpi|minimal)[^/]*", re.IGNORECASE)
# Added by CondaDependencies to every list of pip packages; they name PyPI itself.
_SDK_PIP_OPTIONS = (
    "--find-links https://pypi.python.org/simple/index.html",
    "--extra-index-url https://pypi.python.org/simple",
)
# Pip lines that need the library's whole reader: a second or two of work, ten times what people write.
LINES_LIMIT = 1000
# What registering a definition adds to it.
_NAMES = ("name", "version", "assetId")
_CONDA_NAME = re.compile(r"(?:[^:\s]+::)?(?P<name>[A-Za-z0-9_.-]+?)\s*(?P<version>[=<>!~ ].*)?", re.DOTALL)


def read_environment(definition: Mapping[str, Any]) -> EnvironmentSpec:
    """What a definition asks for; `Invalid` if it cannot be read."""
    python = _part(definition, "python")
    docker = _part(definition, "docker")
    user_managed = bool(_get(python, "userManagedDependencies"))
    image = _text(docker, "baseImage")
    conda = _part(python, "condaDependencies")
    return EnvironmentSpec(
        **({} if user_managed else _conda(conda)),
        user_managed=user_managed,
        interpreter=_text(python, "interpreterPath"),
        image=None if image is None or _BASE_IMAGE.match(image) else image,
        dockerfile=_text(docker, "baseDockerfile"),
        variables={str(key): str(value) for key, value in _part(definition, "environmentVariables").items()},
        conda_file=conda,
        content=_without_names(definition),
    )


def _without_names(definition: Mapping[str, Any]) -> Definition:
    """A definition without what registering it changes."""
    kept = {key: value for key, value in definition.items() if key not in _NAMES}
    python = kept.get("python")
    if isinstance(python, Mapping) and isinstance(python.get("condaDependencies"), Mapping):
        conda = {key: value for key, value in python["condaDependencies"].items() if key != "name"}
        kept["python"] = {**python, "condaDependencies": conda}
    return kept


def normalise(sent: object) -> Definition:
    """A definition as it is stored: keys start in lowercase, and the conda environment is named by its content."""
    if not isinstance(sent, dict):
        raise Invalid("An environment needs a definition.")
    kept = {key[:1].lower() + key[1:]: value for key, value in sent.items()}
    python = kept.get("python")
    if isinstance(python, dict) and isinstance(python.get("condaDependencies"), dict):
        named = {**python["condaDependencies"], "name": conda_name(python["condaDependencies"])}
        kept["python"] = {**python, "condaDependencies": named}
    read_environment(kept)
    return {key: value for key, value in kept.items() if key not in _NAMES}


def conda_name(dependencies: Mapping[str, Any]) -> str:
    """`azureml_<md5>`: Azure's name for a conda environment of this content."""
    content = {key: value for key, value in dependencies.items() if key != "name"}
    digest = hashlib.md5(json.dumps(content, sort_keys=True).encode(), usedforsecurity=False)
    return f"azureml_{digest.hexdigest()}"


def _conda(dependencies: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `EnvironmentSpec` that come from the conda dependencies."""
    pip: list[str] = []
    conda: list[str] = []
    for entry in _list(dependencies, "dependencies"):
        if isinstance(entry, Mapping):
            pip += _list(entry, "pip")
        else:
            conda.append(str(entry).strip())
    python, others = _split_python(conda)
    # A build writes the entries into one file (conda/env/installers/pip.py), so one may continue another.
    text = "\n".join(map(str, pip))
    if (count := pip_lines.count_costly(text)) > LINES_LIMIT:
        raise Invalid(
            f"The environment has {count} pip lines with options, markers, extras or addresses: at most "
            f"{LINES_LIMIT} are allowed. Install them in a base image, or build a package that requires them."
        )
    lines = pip_lines.parse(text)
    options = [option for line in lines for option in (*line.options, *_addresses(line))]
    return {
        "pip": tuple(_requirement(line) for line in lines if line.requirement and not _problem(line)),
        "pip_options": tuple(option for option in options if option not in _SDK_PIP_OPTIONS),
        "unreadable": tuple(pip_lines.masked(problem) for problem in map(_problem, lines) if problem),
        "conda": tuple(others),
        "channels": tuple(str(channel) for channel in _list(dependencies, "channels")),
        "python": python,
    }


def _split_python(conda: Iterable[str]) -> tuple[str | None, list[str]]:
    """The requested Python, and conda's packages without python and pip."""
    python, others = None, []
    for entry in conda:
        found = _CONDA_NAME.fullmatch(entry)
        name = found["name"].lower() if found else entry
        if name == "python" and found:
            python = (found["version"] or "").strip().removeprefix("==").removeprefix("=") or None
        elif name != "pip":
            others.append(entry)
    return (None if python in SDK_DEFAULT_PYTHONS else python), others


def _requirement(line: PipLine) -> str:
    return f"-e {line.requirement}" if line.editable else line.text


def _addresses(line: PipLine) -> Iterator[str]:
    """The lists of packages on the web that a line includes."""
    return (f"{option} {name}" for option, name in line.files if _is_address(name))


def _problem(line: PipLine) -> str:
    """Why a line cannot be used, empty if it can; a folder of packages of this machine can."""
    if line.problem:
        return f"{line.text!r} is not a line that pip takes: {line.problem}."
    if any(not _is_address(name) for _, name in line.files) or (line.editable and line.local):
        return f"{line.text!r} names a file, which is not part of the environment. List its packages."
    return ""


def _is_address(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def _get(mapping: Mapping[str, Any], key: str) -> Any:
    """A value by its key; the first letter may be uppercase: services and run configurations differ in it."""
    return mapping.get(key, mapping.get(key[:1].upper() + key[1:]))


def _text(mapping: Mapping[str, Any], key: str) -> str | None:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"The environment's {key!r} must be a string.")
    return value


def _part(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, Mapping):
        raise Invalid(f"The environment's {key!r} must be a mapping.")
    return value or {}


def _list(mapping: Mapping[str, Any], key: str) -> list[Any]:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, list):
        raise Invalid(f"The environment's {key!r} must be a list.")
    return value or []
