"""Reads the settings of a project's jobs in `.azureml`: workspace, compute target, datastore, environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.config import parsing
from azureml_wrapper.config.job_models import ComputeFile, DatastoreFile, EnvironmentFile
from azureml_wrapper.config.loader import load
from azureml_wrapper.config.models import WorkspaceConfig
from azureml_wrapper.config.workspace_files import find
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import BadValue, ConfigNotFound

FOLDER = ".azureml"
# Keys by which to recognize a definition that the SDK's `Environment.save_to_directory` has written.
_SDK_KEYS = ("python", "docker")


@dataclass(frozen=True)
class Settings:
    """The settings of a job.

    Attributes:
        scope: The workspace.
        compute: The name of a compute target.
        datastore: None for the workspace's default one.
        environment: A name, packages to register under a name, or a definition of the SDK's.
        private: Files with secrets, which must not be uploaded with the scripts.
    """

    scope: Scope
    compute: str
    datastore: DatastoreFile | None
    environment: EnvironmentFile | Mapping[str, Any]
    private: tuple[Path, ...] = ()


def read_settings(
    *, workspace: str | None, compute_target: str | None, datastore: str | None, environment: str | None
) -> Settings:
    """Read the four settings, each a file, a name in the workspace, or None for the nearest file in `.azureml`.

    Raises:
        ConfigError: A file is missing (that of the datastore may be) or invalid.
    """
    store, file = _datastore(datastore)
    return Settings(
        scope=_scope(workspace),
        compute=_compute(compute_target),
        datastore=store,
        environment=_environment(environment),
        private=(file,) if file and store and store.account_key and _is_written(file, store.account_key) else (),
    )


def nearest(name: str) -> Path | None:
    """Return `.azureml/<name>` of the current folder or the nearest one above it, if it exists."""
    here = Path.cwd()
    places = (folder / FOLDER / name for folder in (here, *here.parents))
    return next((place for place in places if place.is_file()), None)


def _scope(given: str | None) -> Scope:
    file = _as_file(given)
    found, _ = load(WorkspaceConfig, file or find())
    return Scope(found.subscription_id, found.resource_group, found.ws_name if file or not given else given)


def _compute(given: str | None) -> str:
    file = _as_file(given)
    if given and not file:
        return given
    return load(ComputeFile, file or _required("compute_target", '{"compute_target": "NAME"}'))[0].compute_target


def _datastore(given: str | None) -> tuple[DatastoreFile | None, Path | None]:
    file = _as_file(given)
    if given and not file:
        return DatastoreFile(datastore_name=given), None
    file = file or nearest("datastore.json")
    return (load(DatastoreFile, file)[0], file) if file else (None, None)


def _environment(given: str | None) -> EnvironmentFile | Mapping[str, Any]:
    file = _as_file(given)
    if given and not file:
        return EnvironmentFile(name=given)
    file = file or _required("environment", '{"name": "NAME", "dependencies": ["numpy"]}')
    data = parsing.read(file).data
    if isinstance(data, Mapping) and any(isinstance(data.get(key), Mapping) for key in _SDK_KEYS):
        if not data.get("name"):
            raise BadValue(f"{file} defines an environment without a name. Add the key 'name'.")
        return data
    found, _ = load(EnvironmentFile, file)
    beside = {
        name: file.parent / path
        for name, path in (("requirements", found.requirements), ("conda_file", found.conda_file))
        if path is not None
    }
    return found.model_copy(update=beside)


def _as_file(given: str | None) -> Path | None:
    """The file that an option names; None if it names something in the workspace."""
    if not given:
        return None
    path = Path(given).expanduser()
    return path if path.suffix.lower() in parsing.READERS or path.is_file() else None


def _required(name: str, example: str) -> Path:
    file = nearest(f"{name}.json")
    if file is None:
        raise ConfigNotFound(
            f"{FOLDER}/{name}.json not found in {Path.cwd()} or above it. Create it ({example}), or set --{name} to "
            "a file or to a name in the workspace."
        )
    return file


def _is_written(file: Path, secret: str) -> bool:
    """Whether the file contains the secret itself, however it is escaped, not the name of a variable."""
    return bool(parsing.read(file).data["account_key"] == secret)
