"""azure-ai-ml, the SDK v2: loads files with it, and submits exported jobs through its MLClient.

It is imported only here, and only when needed (it takes four seconds).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.config import parsing
from azureml_wrapper.connection import credentials
from azureml_wrapper.connection.local import CLOUD_VARIABLE
from azureml_wrapper.connection.ml_client import module_of
from azureml_wrapper.connection.target import LOCAL, Scope, check_subscription, choose_target
from azureml_wrapper.errors import BadArgument, BadValue, ConnectionFailed, RunFailed
from azureml_wrapper.messages import quiet_sdk
from azureml_wrapper.snapshots.script_folder import check_secrets
from azureml_wrapper.v2.export.exporting import choose, pipeline_file
from azureml_wrapper.v2.lint import COMPUTE, DATASTORE, ENVIRONMENT, JOB, SCHEDULE, kind_of

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

_LOADERS = {
    COMPUTE: ("azure.ai.ml", "load_compute"),
    DATASTORE: ("azure.ai.ml", "load_datastore"),
    ENVIRONMENT: ("azure.ai.ml", "load_environment"),
    JOB: ("azure.ai.ml", "load_job"),
    # azure-ai-ml does not export it.
    SCHEDULE: ("azure.ai.ml.entities._load_functions", "load_schedule"),
}
_MESSAGES = 12
_ONLY_V1 = (
    "The local Azure ML speaks SDK v1. Name a workspace in Azure, without --local and AZUREML_WRAPPER_TARGET=local, "
    "or run this one without --target v2."
)


def load(file: Path) -> Any:
    """Load a file with azure-ai-ml; `BadValue` has its complaints."""
    data = parsing.read(file).data
    if not isinstance(data, dict):
        raise BadValue(f"{file} is not a file of `az ml`: must be a mapping of keys.")
    module, name = _LOADERS[kind_of(data)]
    with plain_errors(str(file)):
        loaded = getattr(module_of(module), name)(file)
        _validate(file, loaded)
    return loaded


@contextlib.contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turn SDK v2's errors into ours, and hold back its notices of experimental classes."""
    errors = _errors()
    try:
        with quiet_sdk():
            yield
    except errors["invalid"] as error:
        raise BadValue(f"{what}: {_message(error)}") from error
    except errors["refused"] as error:
        raise ConnectionFailed(f"{what}: {_message(error)}") from error


@contextlib.contextmanager
def _cloud_restored() -> Iterator[None]:
    """Restore the variable that an MLClient sets when it is created."""
    before = os.environ.get(CLOUD_VARIABLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(CLOUD_VARIABLE, None)
        else:
            os.environ[CLOUD_VARIABLE] = before


def _errors() -> dict[str, tuple[type[Exception], ...]]:
    """Two families: marshmallow's, and azure-ai-ml's own, which derives from azure-core's."""
    invalid, core = module_of("azure.ai.ml.exceptions"), module_of("azure.core.exceptions")
    schema = module_of("marshmallow.exceptions")
    return {
        "invalid": (schema.ValidationError, invalid.ValidationException, invalid.JobException),
        "refused": (core.AzureError,),
    }


def _validate(file: Path, loaded: Any) -> None:
    """Validate offline; computes, datastores, environments and sweeps have no validation."""
    check = getattr(loaded, "_validate", None)
    result = check() if check else None
    if result is not None and not result.passed:
        raise BadValue(f"{file}: " + "; ".join(f"{key}: {text}" for key, text in result.error_messages.items()))


def _message(error: Exception) -> str:
    """Return the readable part of a message: without links, and without JSON inside JSON."""
    text = str(getattr(error, "message", "") or error)
    text = re.split(r"\n\s*(?:Details:.*\n)?.*?(?:Visit this link|For more details|If using the CLI)", text)[0]
    with contextlib.suppress(ValueError):
        text = "; ".join(_flat(json.loads(text), ""))
    lines = [
        line.strip() for line in re.sub(r"\x1b\[\d*m", "", text).replace('\\"', '"').splitlines() if line.strip()
    ]
    return "\n  ".join(lines[:_MESSAGES])


def _flat(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, path)
    else:
        yield f"{path}: {value}" if path else str(value)


@dataclass(frozen=True)
class Submitted:
    """A job of SDK v2. `raw` is what MLClient returned."""

    client: Any
    raw: Any

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.raw.name)

    @property
    def portal_url(self) -> str | None:
        """The address of the job's page; None if the service reports none."""
        return getattr(self.raw, "studio_url", None)

    def wait(self) -> None:
        """Show what the job prints until it ends; raises `RunFailed` if it fails."""
        failure = module_of("azure.ai.ml.exceptions").JobException
        with plain_errors(f"Job {self.name}"):
            try:
                self.client.jobs.stream(self.name)
            except failure as error:
                raise RunFailed(f"Job {self.name}: {error}") from error


def open_client(scope: Scope, *, auth: Any = None, credential: Any = None, **options: Any) -> Any:
    """Create an MLClient for a workspace in Azure.

    Args:
        scope: The names of the workspace.
        auth: How to log in: "cli", "browser", "managed-identity" or "service-principal". Default:
            AZUREML_WRAPPER_AUTH, else the service principal of the environment, else azure-identity's
            DefaultAzureCredential.
        credential: A credential of azure-identity, instead of `auth`.
        options: Further keywords of azure-ai-ml's MLClient.

    Raises:
        BadArgument: The workspace is on the local Azure ML, or `auth` is an object of SDK v1 (a TypeError).
        LoginFailed: The login cannot be used here.
    """
    if choose_target(scope.subscription_id) == LOCAL:
        raise BadArgument(_ONLY_V1)
    check_subscription(scope.subscription_id)
    credential = credential or _credential(auth)
    with plain_errors("MLClient"), _cloud_restored():
        return module_of("azure.ai.ml").MLClient(
            credential, scope.subscription_id, scope.resource_group, scope.name, **options
        )


def _credential(auth: Any) -> Any:
    if auth is not None and not isinstance(auth, str):
        raise BadArgument(
            f"auth is a {type(auth).__name__}, which is of SDK v1. Give SDK v2 a ready MLClient: submit(…, client=…)."
        )
    library = module_of("azure.identity")
    name = auth or os.environ.get(credentials.AUTH_VARIABLE)
    found = credentials.named(name) if name else credentials.principal()
    if found is None:
        return library.DefaultAzureCredential()
    if found.kind == "service principal":
        return library.ClientSecretCredential(found.tenant, found.client, found.secret)
    if found.kind == "managed identity":
        return library.ManagedIdentityCredential(**({"client_id": found.client} if found.client else {}))
    if found.kind == "browser":
        return library.InteractiveBrowserCredential(**({"tenant_id": found.tenant} if found.tenant else {}))
    return library.AzureCliCredential()


def submit(
    pipeline: PipelineWrapper,
    experiment_name: str,
    *,
    client: Any = None,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    compute: Mapping[str, Any] | None = None,
    file_datasets: Sequence[str] = (),
    shim: bool = True,
) -> Submitted:
    """Export the pipeline and submit it with SDK v2.

    Args:
        pipeline: The pipeline.
        experiment_name: Experiment of the job.
        client: A ready MLClient. Default: one for the pipeline's workspace, see `open_client`.
        parameters: Values for `pipeline_parameters`.
        environment, compute, file_datasets, shim: As for `PipelineWrapper.to_v2`.

    Returns:
        The job.

    Raises:
        BadValue: azure-ai-ml refuses the job (a ValueError).
        SecretInFolder: A file of a script folder looks secret (a ValueError).
        ConnectionFailed: The service does not answer, or refuses the job.
    """
    wanted = choose(
        experiment_name=experiment_name,
        parameters=pipeline._assign(parameters),
        environment=environment,
        compute=compute,
        file_datasets=file_datasets,
        shim=shim,
    )
    if client is None:
        workspace = pipeline.workspace
        # Without a connection, which SDK v2 does not need.
        if workspace.is_local:
            raise BadArgument(_ONLY_V1)
        client = open_client(workspace.scope, auth=workspace._connection["auth"])
    _check_folders(pipeline)
    with tempfile.TemporaryDirectory() as folder:
        job = load(pipeline_file(pipeline.definition, pipeline.workspace.scope, Path(folder), wanted))
        with plain_errors(f"Workspace {pipeline.workspace.scope.name}"):
            return Submitted(client, client.jobs.create_or_update(job))


def _check_folders(pipeline: PipelineWrapper) -> None:
    """Raise `SecretInFolder` if azure-ai-ml would upload a file that looks secret."""
    ignore = module_of("azure.ai.ml._utils._asset_utils").get_ignore_file
    for directory in dict.fromkeys(step.directory for step in pipeline.definition.steps):
        check_secrets(directory, ignore(directory).is_file_excluded)


def check(pipeline: PipelineWrapper, experiment_name: str, parameters: Mapping[str, Any]) -> None:
    """Load the job with azure-ai-ml; nothing is sent."""
    wanted = choose(experiment_name=experiment_name, parameters=pipeline._assign(parameters))
    _check_folders(pipeline)
    with tempfile.TemporaryDirectory() as folder:
        load(pipeline_file(pipeline.definition, pipeline.workspace.scope, Path(folder), wanted))
