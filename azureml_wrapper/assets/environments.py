"""Environments: the work of `register_env`."""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import BadArgument, ConfigError
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from azureml.core import Environment, RunConfiguration, Workspace

# Scripts need it to log metrics and to read datasets (azureml/core/conda_dependencies.py adds it by default, too).
SDK_PACKAGE = "azureml-defaults"


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
        if self.is_image:
            # Nothing is installed into the image.
            environment.python.user_managed_dependencies = True
        else:
            environment.python.conda_dependencies = self._conda()
        return environment

    @property
    def is_image(self) -> bool:
        """Whether nothing is installed into the image."""
        return bool(self.docker_image) and not (self.dependencies or self.requirements or self.conda_file)

    def pip(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The content of the conda file, if there is one, and all pip lines, its own first.

        Raises:
            BadValue: With file and line: pip or conda do not take it, or an environment cannot carry it.
        """
        # Here, because it brings YAML, which importing the wrapper does not.
        from azureml_wrapper.assets import requirements

        conda = None if self.conda_file is None else requirements.read_conda(self.conda_file)
        lines = [
            *requirements.pip_of(conda or {}),
            *requirements.read_requirements(self.requirements, self.dependencies),
        ]
        hashed = requirements.check_hashes(lines)
        if conda is None and not any(name.startswith("azureml") for name in requirements.names_of(lines)):
            if hashed:
                inform(
                    f"{SDK_PACKAGE} is not added to packages with hashes. Scripts in Azure need it for metrics and "
                    "datasets: add it with its hashes."
                )
            else:
                lines.append(SDK_PACKAGE)
        return conda, lines

    def _conda(self) -> Any:
        from azureml.core.conda_dependencies import CondaDependencies

        from azureml_wrapper.assets.requirements import names_an_index, with_pip

        content, lines = self.pip()
        if content is not None:
            conda = conda_dependencies(with_pip(content, lines))
            if self.python_version:
                conda.set_python_version(self.python_version)
            return conda
        version = self.python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
        conda = CondaDependencies.create(pip_packages=[], python_version=version)
        # Two options that name PyPI, which the SDK drops, too, if it reads a requirements file.
        own = [] if names_an_index(lines) else list(conda.pip_options)
        # `add_pip_package` keeps one line a package, `set_pip_option` one of each option.
        conda.set_pip_requirements([*own, *lines])
        return conda


def conda_dependencies(content: Mapping[str, Any]) -> Any:
    """The content of a conda file as the SDK's object."""
    import yaml
    from azureml.core.conda_dependencies import CondaDependencies

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conda.yml"
        file.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
        try:
            return CondaDependencies(conda_dependencies_file_path=str(file))
        except ValueError as error:
            raise ConfigError(f"Invalid conda file: {error}") from error


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
