"""Environments: what a script needs to run, as the SDK describes it (azureml/core/environment.py).

`packages` reads a definition for whoever has to provide it; everything else here is about names and versions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid

Definition = dict[str, Any]

# What the SDK writes where nobody chose a Python: Environment() and CondaDependencies.create() differ in it
# (azureml/_project/base_project_files/conda_dependencies.yml, azureml/core/conda_dependencies.py).
SDK_DEFAULT_PYTHONS = ("3.8.13", "3.10.18")
# Azure's base images hold an operating system, conda and MPI, but no packages; the SDK names one in each definition.
_BASE_IMAGE = re.compile(r"mcr\.microsoft\.com/azureml/(openmpi|base|intelmpi|minimal)[^/]*", re.IGNORECASE)
# Added by CondaDependencies to every list of pip packages; they name PyPI itself.
_SDK_PIP_OPTIONS = (
    "--find-links https://pypi.python.org/simple/index.html",
    "--extra-index-url https://pypi.python.org/simple",
)
_COMMENT = re.compile(r"(^|\s+)#.*$")
_CONDA_NAME = re.compile(r"(?:[^:\s]+::)?(?P<name>[A-Za-z0-9_.-]+?)\s*(?P<version>[=<>!~ ].*)?", re.DOTALL)
# Lines that name a file or folder of the machine where the environment was written.
_FILE_OPTION = re.compile(r"(-r|-c|-e|--requirement|--constraint|--editable)\b")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_RESERVED_PREFIXES = ("AzureML", "Microsoft")

# Curated names that public examples use, and what the image of each is there for.
_CURATED: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "AzureML-Minimal": (None, ("azureml-defaults",)),
    "AzureML-Tutorial": (None, ("azureml-defaults", "pandas", "scikit-learn", "matplotlib", "joblib")),
    "AzureML-sklearn-1.5": (None, ("azureml-defaults", "pandas", "scikit-learn~=1.5.0")),
    "AzureML-sklearn-1.0-ubuntu20.04-py38-cpu": ("3.8", ("azureml-defaults", "pandas", "scikit-learn~=1.0.0")),
    "AzureML-lightgbm-3.3": (None, ("azureml-defaults", "pandas", "scikit-learn", "lightgbm~=3.3.0")),
}
CURATED_VERSION = "1"
# Curated images for GPUs and with other frameworks, whose packages are nothing that pip could install here: the
# script runs in the service's own interpreter, with what that has, and its log says so. Names from Azure's public
# examples.
_CURATED_IMAGES = (
    "AzureML-pytorch-1.7-ubuntu18.04-py37-cuda11-gpu",
    "AzureML-pytorch-1.8-ubuntu18.04-py37-cuda11-gpu",
    "AzureML-pytorch-1.9-ubuntu18.04-py37-cuda11-gpu",
    "AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu",
    "AzureML-ACPT-pytorch-1.11-py38-cuda11.3-gpu",
    "AzureML-ACPT-pytorch-1.12-py38-cuda11.6-gpu",
    "AzureML-ACPT-pytorch-1.13-py38-cuda11.7-gpu",
    "AzureML-acpt-pytorch-2.2-cuda12.1",
    "AzureML-tensorflow-2.4-ubuntu18.04-py37-cuda11-gpu",
    "AzureML-tensorflow-2.5-ubuntu20.04-py38-cuda11-gpu",
    "AzureML-tensorflow-2.7-ubuntu20.04-py38-cuda11-gpu",
    "AzureML-tensorflow-2.12-cuda11",
    "AzureML-tensorflow-2.16-cuda11",
    "AzureML-sklearn-0.24-ubuntu18.04-py37-cpu",
    "AzureML-lightgbm-3.2-ubuntu18.04-py37-cpu",
)
_CURATED_REGISTRY = "mcr.microsoft.com/azureml/curated"


@dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """What a definition asks for.

    `pip` are requirements as pip reads them, `pip_options` options of the whole list (`--index-url …`), `unreadable`
    lines that name files which are not part of the definition (`-r …`). `conda` are conda's own specifications,
    without python and pip. `python` is a version or a condition on it, None where nobody chose. `image` is None for
    Azure's bare base images. `user_managed`: nothing is to be installed, the interpreter is taken as it is.
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
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class EnvironmentVersion:
    """A registered definition."""

    name: str
    version: str
    definition: Definition
    labels: tuple[str, ...] = ()


def packages(definition: Mapping[str, Any]) -> EnvironmentSpec:
    """What a definition asks for; `Invalid` where it cannot be read."""
    python = _part(definition, "python")
    docker = _part(definition, "docker")
    user_managed = bool(_get(python, "userManagedDependencies"))
    image = _text(docker, "baseImage")
    return EnvironmentSpec(
        **({} if user_managed else _conda(_part(python, "condaDependencies"))),
        user_managed=user_managed,
        interpreter=_text(python, "interpreterPath"),
        image=None if image is None or _BASE_IMAGE.match(image) else image,
        dockerfile=_text(docker, "baseDockerfile"),
        variables={str(key): str(value) for key, value in _part(definition, "environmentVariables").items()},
    )


def normalise(sent: object) -> Definition:
    """A definition as it is kept: keys begin in lower case, and the conda environment is named by its content."""
    if not isinstance(sent, dict):
        raise Invalid("An environment needs a definition.")
    kept = {key[:1].lower() + key[1:]: value for key, value in sent.items()}
    python = kept.get("python")
    if isinstance(python, dict) and isinstance(python.get("condaDependencies"), dict):
        named = {**python["condaDependencies"], "name": conda_name(python["condaDependencies"])}
        kept["python"] = {**python, "condaDependencies": named}
    packages(kept)
    return {key: value for key, value in kept.items() if key not in ("name", "version", "assetId")}


def conda_name(dependencies: Mapping[str, Any]) -> str:
    """`azureml_<md5>`: Azure's name for a conda environment of this content."""
    content = {key: value for key, value in dependencies.items() if key != "name"}
    digest = hashlib.md5(json.dumps(content, sort_keys=True).encode(), usedforsecurity=False)
    return f"azureml_{digest.hexdigest()}"


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
            f"The environment name {name[:300]!r} may only have letters, digits, dashes, underscores and dots, "
            "at most 255 of them."
        )


def curated() -> list[EnvironmentVersion]:
    """The environments that every workspace has."""
    return [
        EnvironmentVersion(
            name=name, version=CURATED_VERSION, definition=_curated_definition(python, pip), labels=("latest",)
        )
        for name, (python, pip) in _CURATED.items()
    ] + [
        EnvironmentVersion(name=name, version=CURATED_VERSION, definition=_curated_image(name), labels=("latest",))
        for name in _CURATED_IMAGES
    ]


def _curated_definition(python: str | None, pip: tuple[str, ...]) -> Definition:
    interpreter = [f"python={python}"] if python else []
    return normalise(
        {
            "python": {
                "interpreterPath": "python",
                "userManagedDependencies": False,
                "condaDependencies": {"channels": ["conda-forge"], "dependencies": [*interpreter, {"pip": [*pip]}]},
                "baseCondaEnvironment": None,
            },
            "environmentVariables": {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
            "docker": {
                "baseImage": None,
                "platform": {"os": "Linux", "architecture": "amd64"},
                "baseDockerfile": None,
                "baseImageRegistry": {"address": None, "username": None, "password": None},
                "enabled": False,
                "arguments": [],
            },
            "spark": {"repositories": [], "packages": [], "precachePackages": True},
            "inferencingStackVersion": None,
        }
    )


def _curated_image(name: str) -> Definition:
    """An image that has everything: nothing is installed into it."""
    definition = _curated_definition(None, ())
    image = f"{_CURATED_REGISTRY}/{name.removeprefix('AzureML-').lower()}"
    return {
        **definition,
        "python": {**definition["python"], "userManagedDependencies": True, "condaDependencies": None},
        "docker": {**definition["docker"], "baseImage": image},
    }


def _conda(dependencies: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `EnvironmentSpec` that come from `condaDependencies`."""
    pip: list[str] = []
    conda: list[str] = []
    for entry in _list(dependencies, "dependencies"):
        if isinstance(entry, Mapping):
            pip += _list(entry, "pip")
        else:
            conda.append(str(entry).strip())
    python, others = _split_python(conda)
    lines = list(_pip_lines(pip))
    return {
        "pip": tuple(line for line in lines if not line.startswith("-")),
        "pip_options": tuple(line for line in lines if line.startswith("-") and not _FILE_OPTION.match(line)),
        "unreadable": tuple(line for line in lines if _FILE_OPTION.match(line)),
        "conda": tuple(others),
        "channels": tuple(str(channel) for channel in _list(dependencies, "channels")),
        "python": python,
    }


def _split_python(conda: Iterable[str]) -> tuple[str | None, list[str]]:
    """The wanted Python, and conda's packages without python and pip."""
    python, others = None, []
    for entry in conda:
        found = _CONDA_NAME.fullmatch(entry)
        name = found["name"].lower() if found else entry
        if name == "python" and found:
            python = (found["version"] or "").strip().removeprefix("==").removeprefix("=") or None
        elif name != "pip":
            others.append(entry)
    return (None if python in SDK_DEFAULT_PYTHONS else python), others


def _pip_lines(entries: Iterable[object]) -> Iterator[str]:
    """The lines of a pip list that mean something."""
    for entry in entries:
        for line in str(entry).splitlines():
            text = _COMMENT.sub("", line).strip()
            if text and text not in _SDK_PIP_OPTIONS:
                yield text


def _get(mapping: Mapping[str, Any], key: str) -> Any:
    """A value by its key, the first letter in upper or lower case: services and run configurations differ in it."""
    return mapping.get(key, mapping.get(key[:1].upper() + key[1:]))


def _text(mapping: Mapping[str, Any], key: str) -> str | None:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"The environment's {key!r} is not a text.")
    return value


def _part(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, Mapping):
        raise Invalid(f"The environment's {key!r} is not a mapping.")
    return value or {}


def _list(mapping: Mapping[str, Any], key: str) -> list[Any]:
    value = _get(mapping, key)
    if value is not None and not isinstance(value, list):
        raise Invalid(f"The environment's {key!r} is not a list.")
    return value or []
