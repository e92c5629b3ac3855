"""Submit exported jobs through SDK v2's MLClient."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection import credentials
from azureml_wrapper.connection.target import LOCAL, Scope, check_subscription, choose_target
from azureml_wrapper.errors import BadArgument, RunFailed
from azureml_wrapper.v2 import sdk
from azureml_wrapper.v2.export.exporting import choose, pipeline_file

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

_ONLY_V1 = (
    "The local Azure ML speaks SDK v1. Name a workspace in Azure, without --local and AZUREML_WRAPPER_TARGET=local, "
    "or run this one without --target v2."
)


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
        failure = sdk.module_of("azure.ai.ml.exceptions").JobException
        with sdk.plain_errors(f"Job {self.name}"):
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
    with sdk.plain_errors("MLClient"):
        return sdk.module_of("azure.ai.ml").MLClient(
            credential, scope.subscription_id, scope.resource_group, scope.name, **options
        )


def _credential(auth: Any) -> Any:
    if auth is not None and not isinstance(auth, str):
        raise BadArgument(
            f"auth is a {type(auth).__name__}, which is of SDK v1. Give SDK v2 a ready MLClient: submit(…, client=…)."
        )
    library = sdk.module_of("azure.identity")
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
    with tempfile.TemporaryDirectory() as folder:
        job = sdk.load(pipeline_file(pipeline.definition, pipeline.workspace.scope, Path(folder), wanted))
        with sdk.plain_errors(f"Workspace {pipeline.workspace.scope.name}"):
            return Submitted(client, client.jobs.create_or_update(job))


def check(pipeline: PipelineWrapper, experiment_name: str, parameters: Mapping[str, Any]) -> None:
    """Load the job with azure-ai-ml; nothing is sent."""
    wanted = choose(experiment_name=experiment_name, parameters=pipeline._assign(parameters))
    with tempfile.TemporaryDirectory() as folder:
        sdk.load(pipeline_file(pipeline.definition, pipeline.workspace.scope, Path(folder), wanted))
