"""What an environment consists of, as SDK v2 writes it: an image, and the packages that are installed into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from azureml_wrapper.assets.environments import SDK_PACKAGE, Packages, _existing, _read_requirements
from azureml_wrapper.config.parsing import CoreLoader

# Not the interpreter's, as for `register_env`: the file would change with the machine that writes it.
DEFAULT_PYTHON = "3.10"
# SDK v1's image for environments that name none (azureml/core/environment.py, DEFAULT_CPU_IMAGE); the SDK appends a
# date.
DEFAULT_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"


def content_of_environment(packages: Packages) -> dict[str, Any]:
    """The image and its packages; an image without packages is complete."""
    image = packages.docker_image or DEFAULT_IMAGE
    if packages.docker_image and not (packages.dependencies or packages.requirements or packages.conda_file):
        return {"image": image}
    return {"image": image, "conda_file": _conda(packages)}


def _conda(packages: Packages) -> dict[str, Any]:
    pip = [*_read_requirements(packages.requirements), *packages.dependencies]
    if packages.conda_file is not None:
        text = _existing(packages.conda_file).read_text(encoding="utf-8-sig")
        found = yaml.load(text, Loader=CoreLoader)  # noqa: S506 - a safe one
        content: dict[str, Any] = dict(found) if isinstance(found, Mapping) else {}
        others = [each for each in content.get("dependencies", []) if not isinstance(each, dict)]
        pip = [
            *(item for each in content.get("dependencies", []) if isinstance(each, dict) for item in each["pip"]),
            *pip,
        ]
        return {**content, "dependencies": [*others, {"pip": pip}] if pip else others}
    if not any(package.lower().startswith("azureml") for package in pip):
        pip.append(SDK_PACKAGE)
    version = packages.python_version or DEFAULT_PYTHON
    return {"channels": ["conda-forge"], "dependencies": [f"python={version}", "pip", {"pip": pip}]}
