"""Submit exported jobs through SDK v2's MLClient."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.connection import credentials
from azureml_wrapper.connection.target import LOCAL, Scope, choose_target
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


def open_client(scope: Scope, *, auth: Any = None, **options: Any) -> Any:
    """Create an MLClient for a workspace.

    As whom: `credential` among the options; else `auth`, or AZUREML_WRAPPER_AUTH, by the names that the
    credentials know;
    else the service principal of the environment; else azure-identity's DefaultAzureCredential.
    """
    if choose_target(scope.subscription_id) == LOCAL:
        raise BadArgument(_ONLY_V1)
    credential = options.pop("credential", None) or _credential(auth)
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
    **choices: Any,
) -> Submitted:
    """Export the pipeline and submit it; `client` is a ready MLClient, `choices` are those of `to_v2`.

    Raises `BadValue` for what azure-ai-ml refuses, `ConnectionFailed` for what the service does.
    """
    values = pipeline._assign(parameters)
    wanted = choose(experiment_name=experiment_name, parameters=values, **choices)
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
