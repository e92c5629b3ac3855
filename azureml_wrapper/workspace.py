"""WorkspaceWrapper: a workspace, and what is registered in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets import compute_targets, csv_datasets, datastores, environments
from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.target import DEFAULT_LOCATION, LOCAL, Scope, choose_target, is_local_workspace
from azureml_wrapper.errors import BadArgument, ConfigNotFound

if TYPE_CHECKING:
    from azureml.core import Datastore, Environment, Workspace
    from azureml.core.compute import AmlCompute
    from azureml.data import TabularDataset

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.transfer import Direction, TransferReport

PathLike = str | os.PathLike[str]


class WorkspaceWrapper:
    """A workspace in Azure, or on the local Azure ML where `subscription_id` is "local".

    Nothing is connected before `.ws` is first used. `auth` is an authentication object of the SDK, or "cli" (the
    login of `az`), "browser", "managed-identity" or "service-principal"; by default the first that works. `target` is
    "local" or "azure"; by default `subscription_id` decides. `workspace` is a connected Workspace to use instead. A
    workspace that does not exist is created in the Azure region `location`.
    """

    def __init__(
        self,
        ws_name: str,
        resource_group: str,
        subscription_id: str,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        for key, value in (
            ("ws_name", ws_name),
            ("resource_group", resource_group),
            ("subscription_id", subscription_id),
        ):
            if not isinstance(value, str) or not value:
                raise BadArgument(f"{key} must be a text that is not empty, not {value!r}.")
        self.scope = Scope(subscription_id, resource_group, ws_name)
        self._connection = {"auth": auth, "target": target, "location": location}
        self._workspace = workspace

    @classmethod
    def from_config(
        cls,
        config: Config = None,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> WorkspaceWrapper:
        """Open the workspace that a config names.

        Args:
            config: A mapping, the path of a .json or .yml file, or None for the nearest `.azureml/config.json`. The
                config of a pipeline or of a step works as well.
            auth: See the class, as for the other keywords.

        Raises:
            ConfigError: The config is missing or invalid. The message lists all problems.
        """
        from azureml_wrapper.config.loader import load
        from azureml_wrapper.config.models import WorkspaceConfig

        found, _ = load(WorkspaceConfig, config)
        names = (found.ws_name, found.resource_group, found.subscription_id)
        return cls(*names, auth=auth, target=target, workspace=workspace, location=location)

    @classmethod
    def from_workspace(cls, workspace: Workspace) -> WorkspaceWrapper:
        """A wrapper around a Workspace that is connected already."""
        return cls(workspace.name, workspace.resource_group, workspace.subscription_id, workspace=workspace)

    @property
    def ws(self) -> Workspace:
        """The SDK's own `azureml.core.Workspace`, connected once per process; `ConnectionFailed` where that fails."""
        return self._workspace if self._workspace is not None else connect(self.scope, **self._connection)

    @property
    def is_local(self) -> bool:
        """Whether the local Azure ML answers. Does not connect."""
        if self._workspace is not None:
            return is_local_workspace(self._workspace)
        return choose_target(self.scope.subscription_id, self._connection["target"]) == LOCAL

    def register_env(
        self,
        name: str,
        dependencies: Sequence[str] | None = None,
        *,
        requirements: PathLike | None = None,
        conda_file: PathLike | None = None,
        docker_image: str | None = None,
        python_version: str | None = None,
    ) -> Environment:
        """Register an environment of pip packages, and of those of a requirements or conda file; a new version where
        it has changed.

        azureml-defaults is added where no package of Azure ML is named, for scripts need it there. `python_version`
        is this interpreter's unless given. A `docker_image` alone is taken to have everything in it.
        """
        wanted = environments.packages(
            dependencies,
            requirements=Path(requirements) if requirements else None,
            conda_file=Path(conda_file) if conda_file else None,
            docker_image=docker_image,
            python_version=python_version,
        )
        return environments.register_environment(self.ws, name, wanted)

    def register_blob_datastore(
        self, name: str, container_name: str, storage_name: str, storage_key: str
    ) -> Datastore:
        """Register a container of a storage account; `AlreadyRegistered` where the name stands for another one.

        `BadName` where the name has other characters than small letters, digits and "_": Azure ML refuses those.
        """
        return datastores.register_blob_datastore(self.ws, name, container_name, storage_name, storage_key)

    def unregister_blob_datastore(self, name: str) -> None:
        """Forget a datastore; the data in it stay. `UnregisteredDatastore` where there is none of that name."""
        datastores.get_datastore(self.ws, name).unregister()

    def register_csv(
        self,
        datastore_name: str,
        dataset_name: str,
        *,
        source: PathLike | None = None,
        delimiter: str = ",",
        encoding: str = "utf8",
        multi_line: bool = False,
    ) -> TabularDataset:
        """Register `<dataset_name>.csv` of a datastore as the tabular dataset `dataset_name`.

        `dataset_name` may be given with or without ".csv". `source` is a local file to upload first, as
        `<dataset_name>.csv`. Other content or other settings make a new version. `multi_line` allows line breaks
        within quotes. Raises `BadData` for an empty file and for one with another delimiter or encoding.
        """
        how = csv_datasets.Csv(delimiter=delimiter, encoding=encoding, multi_line=multi_line)
        return csv_datasets.register_csv(self.ws, datastore_name, dataset_name, Path(source) if source else None, how)

    def register_compute(
        self,
        name: str,
        compute_size: str = compute_targets.DEFAULT_SIZE,
        compute_min_nodes: int = 0,
        compute_max_nodes: int = 1,
        *,
        vm_priority: str = "dedicated",
        idle_seconds: int = 1800,
    ) -> AmlCompute:
        """Create a cluster of `compute_min_nodes` to `compute_max_nodes` machines, and wait until it is there.

        `vm_priority` is "dedicated" or "lowpriority". `AlreadyRegistered` where it exists with other settings.
        """
        wanted = compute_targets.Cluster(
            vm_size=compute_size,
            min_nodes=compute_min_nodes,
            max_nodes=compute_max_nodes,
            vm_priority=vm_priority,
            idle_seconds=idle_seconds,
        )
        return compute_targets.register_compute(self.ws, name, wanted)

    def sync_folder(
        self,
        local: PathLike,
        datastore_name: str,
        *,
        target: str = "",
        direction: Direction = "up",
        delete: bool = False,
        show_progress: bool | None = None,
    ) -> TransferReport:
        """Make the folder `target` of a blob datastore like a local folder ("up"), or the local one like it ("down").

        Unchanged files are skipped, by size and MD5. Nothing is removed but with `delete`, which removes at the
        destination what the source does not have. A bar is shown on a terminal, or as `show_progress` says. Returns
        what was done: `uploaded`, `downloaded`, `copied` (renamed), `skipped`, `deleted`, `bytes`, `seconds`. The
        rules are those of `azureml_wrapper.transfer`. Raises `TransferFailed`; then start it again, and it goes on.
        """
        from azureml_wrapper.transfer import sync_folder

        datastore = datastores.get_datastore(self.ws, datastore_name)
        return sync_folder(
            local, datastore, target=target, direction=direction, delete=delete, show_progress=show_progress
        )

    def __repr__(self) -> str:
        scope = self.scope
        return f"WorkspaceWrapper({scope.name!r}, {scope.resource_group!r}, {scope.subscription_id!r})"


def open_workspace(ws_config: Config = None, **connection: Any) -> WorkspaceWrapper:
    """Open the workspace of a pipeline configuration file, which names none itself.

    Args:
        ws_config: A config that names the workspace. Default: the nearest `.azureml/config.json`. The local Azure ML
            needs none: without one, its workspace is "local".
        connection: Keywords of WorkspaceWrapper. A connected `workspace` wins.
    """
    if (connected := connection.get("workspace")) is not None:
        return WorkspaceWrapper.from_workspace(connected)
    try:
        return WorkspaceWrapper.from_config(ws_config, **connection)
    except ConfigNotFound:
        if ws_config is not None or choose_target("", connection.get("target")) != LOCAL:
            raise
        return WorkspaceWrapper(LOCAL, LOCAL, LOCAL, **connection)
