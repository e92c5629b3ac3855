"""Environments: the work of `register_env`."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import BadArgument, BadValue, ConfigNotFound
from azureml_wrapper.messages import inform, quiet_sdk

if TYPE_CHECKING:
    from azureml.core import Environment, RunConfiguration, Workspace

# Scripts need it to log metrics and to read datasets (azureml/core/conda_dependencies.py adds it by default, too).
SDK_PACKAGE = "azureml-defaults"
# Lines of a requirements file for which pip reads another file.
_ELSEWHERE = re.compile(r"-[rc]|--(requirement|constraint)\b|(-e|--editable)(?![ =]*\w+\+)|file:|\.{0,2}/|\.{1,2}$")


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What an environment consists of: pip packages, files that list packages, a docker image."""

    dependencies: tuple[str, ...] = ()
    requirements: Path | None = None
    conda_file: Path | None = None
    docker_image: str | None = None
    python_version: str | None = None

    def define(self, name: str) -> Environment:
        """Return the SDK's environment, not registered yet."""
        from azureml.core import Environment

        environment = Environment(name)
        if self.docker_image:
            environment.docker.base_image = self.docker_image
        if self.docker_image and not (self.dependencies or self.requirements or self.conda_file):
            # Nothing is installed into the image.
            environment.python.user_managed_dependencies = True
        else:
            environment.python.conda_dependencies = self._conda()
        return environment

    def _conda(self) -> Any:
        from azureml.core.conda_dependencies import CondaDependencies

        packages = [*_read_requirements(self.requirements), *self.dependencies]
        if self.conda_file is None:
            if not any(package.lower().startswith("azureml") for package in packages):
                packages.append(SDK_PACKAGE)
            version = self.python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
            return CondaDependencies.create(pip_packages=packages, python_version=version)
        conda = CondaDependencies(conda_dependencies_file_path=str(_existing(self.conda_file)))
        for package in packages:
            conda.add_pip_package(package)
        if self.python_version:
            conda.set_python_version(self.python_version)
        return conda


def check_is_list(dependencies: Sequence[str] | None) -> None:
    """Raise `BadArgument` for a string."""
    if isinstance(dependencies, str):
        raise BadArgument(
            f"dependencies must be a list of packages, got the string {dependencies!r}. Use [{dependencies!r}]."
        )


def packages(dependencies: Sequence[str] | None, **others: Any) -> Packages:
    """Return the packages; `BadArgument` if `dependencies` is a string, which is easily mistaken for a list."""
    check_is_list(dependencies)
    return Packages(dependencies=tuple(dependencies or ()), **others)


def register_environment(ws: Workspace, name: str, wanted: Packages) -> Environment:
    """Register an environment; unchanged, it keeps its version."""
    environment = wanted.define(name)
    found = find_environment(ws, name)
    if found is not None and _essence(found) == _essence(environment):
        inform(f"Environment {name!r} is already registered, unchanged: version {found.version}.")
        return found
    registered = environment.register(ws)
    inform(f"Environment {name!r}: registered version {registered.version}.")
    return registered


def find_environment(ws: Workspace, name: str) -> Any:
    """The newest version of an environment, or None."""
    from azureml.core import Environment

    try:
        with quiet_sdk():
            return Environment.get(ws, name)
    except Exception as error:
        # The SDK raises a bare Exception (azureml/_restclient/environment_client.py).
        if "Code: 404" not in str(error):
            raise
        return None


def _essence(environment: Any) -> tuple[Any, ...]:
    """The content of an environment, without the names, versions and ids that the service adds."""
    conda = environment.python.conda_dependencies
    content = dict(conda.as_dict()) if conda is not None else {}
    content.pop("name", None)
    managed = bool(environment.python.user_managed_dependencies)
    return managed, environment.docker.base_image, {} if managed else _plain(content)


def _plain(value: Any) -> Any:
    """Turn the containers of a YAML library into plain lists and dicts."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else str(value)


def _read_requirements(file: Path | None) -> list[str]:
    """The lines of a requirements file, without comments; `BadValue` if one names a file of this machine."""
    if file is None:
        return []
    found = []
    for number, line in enumerate(_existing(file).read_text(encoding="utf-8-sig").splitlines(), 1):
        package = line.split(" #")[0].strip()
        if _ELSEWHERE.match(package):
            raise BadValue(
                f"{file}, line {number}: {package!r} names a file or folder of this machine, which Azure ML does not "
                "get. List the packages instead."
            )
        if package and not package.startswith("#"):
            found.append(package)
    return found


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ConfigNotFound(f"{file} does not exist. Pass a file that lists the packages of an environment.")
    return file


def step_configuration(environment: Environment) -> RunConfiguration:
    """Return a run configuration for a step in an environment."""
    from azureml.core.runconfig import DockerConfiguration

    configuration = new_run_configuration()
    configuration.environment = environment
    # As the SDK's steps do by default (pipeline/core/_python_script_step_base.py).
    configuration.docker = DockerConfiguration(use_docker=True)
    return configuration


def new_run_configuration() -> RunConfiguration:
    """Return a new run configuration: a copy, because the SDK parses YAML for milliseconds to create one."""
    return copy.deepcopy(_pristine())


@cache
def _pristine() -> RunConfiguration:
    from azureml.core import RunConfiguration

    return RunConfiguration()
