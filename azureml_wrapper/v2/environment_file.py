"""Environments: an image, a conda file, or the name of one that is registered or curated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.environments import conda_dependencies, find_environment
from azureml_wrapper.assets.requirements import conda_content, read_conda
from azureml_wrapper.config import parsing
from azureml_wrapper.errors import AlreadyRegistered, ConfigError, UnregisteredEnvironment, did_you_mean
from azureml_wrapper.messages import quiet_sdk
from azureml_wrapper.v2.references import CURATED, Reference, environment_reference
from azureml_wrapper.v2.yaml_keys import (
    SCHEMA,
    Key,
    Keys,
    Noted,
    Place,
    Refused,
    existing_path,
    one_of,
    read_keys,
    text,
)

if TYPE_CHECKING:
    from azureml.core import Environment, Workspace

# What `az ml` calls an environment that only one job has.
ANONYMOUS = "CliV2AnonymousEnvironment"


def _conda(place: Place) -> dict[str, Any] | None:
    """The content of a conda file, given as a path or as it is."""
    try:
        if isinstance(place.value, dict):
            return conda_content(parsing.Document(place.value), str(place))
        # Conda's files have many suffixes; the content is YAML.
        path = existing_path(place)
        return read_conda(path) if path is not None and path.is_file() else None
    except ConfigError as error:
        place.fail(f"{place}: {error}" if isinstance(place.value, str) else str(error))
        return None


_BUILD = Refused("an image built from a Dockerfile; build and push it, and name it as `image`")
_INLINE: Keys = {
    "image": Key(read=text, becomes="`docker.base_image`; alone: the image has everything, nothing is installed"),
    "conda_file": Key(read=_conda, becomes="`python.conda_dependencies`, from a path or as a mapping"),
    "os_type": Key(read=one_of("linux"), becomes="linux only, as all of SDK v1's jobs"),
    "build": _BUILD,
    "inference_config": Refused("it is for online endpoints, and not for jobs"),
    "datastore": Refused("it is where a Dockerfile's folder would be uploaded"),
}
_KEPT = "SDK v1's environments have none"
KEYS: Keys = {
    "$schema": SCHEMA,
    "name": Key(read=text, becomes="the environment's name", needed=True),
    "version": Key(read=text, becomes="`version`; without it the next one"),
    **_INLINE,
    "description": Noted(_KEPT),
    "tags": Noted(_KEPT),
    "properties": Noted(_KEPT),
}
INLINE: Keys = {
    **_INLINE,
    "name": Key(read=text, becomes="the environment's name within the job"),
    "version": Noted("an environment within a job is not registered"),
    "description": Noted(_KEPT),
    "tags": Noted(_KEPT),
}


@dataclass(frozen=True, kw_only=True)
class EnvironmentFile:
    """The definition of an environment."""

    name: str = ANONYMOUS
    version: str | None = None
    image: str | None = None
    conda: dict[str, Any] | None = None

    def define(self) -> Environment:
        """Return the SDK's environment, not registered yet."""
        from azureml.core import Environment

        environment = Environment(self.name)
        if self.image:
            environment.docker.base_image = self.image
        if self.conda is None:
            # The image has everything; the SDK installs nothing.
            environment.python.user_managed_dependencies = True
        else:
            environment.python.conda_dependencies = conda_dependencies(self.conda)
        if self.version:
            environment.version = self.version
        return environment


def read(place: Place) -> EnvironmentFile:
    """Read a file of `az ml environment create`."""
    found = read_keys(place, KEYS)
    if (found["name"] or "").startswith((CURATED, "Microsoft")):
        place.at("name").fail(f"name is {found['name']!r}; Azure reserves names with this prefix. Use another name.")
    return _of(place, found, found["name"] or "")


def read_use(place: Place) -> EnvironmentFile | Reference | None:
    """Read the `environment` of a job: a reference or a definition."""
    if not isinstance(place.value, dict):
        return environment_reference(place)
    found = read_keys(place, INLINE)
    return _of(place, found, found["name"] or ANONYMOUS)


def _of(place: Place, found: dict[str, Any], name: str) -> EnvironmentFile:
    if isinstance(place.value, dict) and not place.value.keys() & {"image", "conda_file", "build"}:
        place.fail(f"{place} has neither image nor conda_file.")
    return EnvironmentFile(name=name, version=found.get("version"), image=found["image"], conda=found["conda_file"])


def create(ws: Workspace, wanted: EnvironmentFile) -> str:
    """Register the environment; `AlreadyRegistered` if the version exists with other content."""
    environment = wanted.define()
    try:
        with quiet_sdk():
            registered = environment.register(ws)
    except Exception as error:
        # The SDK raises a bare Exception (azureml/_restclient/environment_client.py).
        if "Code: 409" not in str(error):
            raise
        raise AlreadyRegistered(
            f"Environment {wanted.name!r} already has a version {wanted.version} with other content. "
            "Use another version, or leave it out for the next one."
        ) from error
    return f"Environment {registered.name!r}, version {registered.version}, is registered."


def provide(ws: Workspace, used: EnvironmentFile | Reference) -> Environment:
    """Return the SDK's environment for a job; `UnregisteredEnvironment` if the workspace does not have it."""
    if isinstance(used, EnvironmentFile):
        return used.define()
    found = find_version(ws, used)
    if found is None:
        known = list(ws.environments)
        raise UnregisteredEnvironment(
            f"Workspace {ws.name} has no environment {used}.{did_you_mean(used.name, known)} "
            "`aml environment create -f FILE` registers one."
        )
    return found


def find_version(ws: Workspace, used: Reference) -> Any:
    """Return the version that a reference names, or None."""
    if used.version is None:
        return find_environment(ws, used.name)
    from azureml.core import Environment

    try:
        return Environment.get(ws, used.name, version=used.version)
    except Exception as error:
        # As in `find_environment`.
        if "Code: 404" not in str(error):
            raise
        return None
