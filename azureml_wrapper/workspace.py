"""WorkspaceWrapper: a workspace, and what you register in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets import compute_targets, csv_datasets, datastores, environments
from azureml_wrapper.config.arguments import check_call
from azureml_wrapper.config.workspace_files import plain_names
from azureml_wrapper.connection.connections import access_of, connect, connected, open_services
from azureml_wrapper.connection.target import DEFAULT_LOCATION, LOCAL, Scope, choose_target, is_local_workspace
from azureml_wrapper.errors import BadArgument, ConfigNotFound

if TYPE_CHECKING:
    from azureml.core import Datastore, Environment, Workspace
    from azureml.core.compute import AmlCompute
    from azureml.data import TabularDataset

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.connection.target import Access
    from azureml_wrapper.transfer import Direction, TransferReport

PathLike = str | os.PathLike[str]


class WorkspaceWrapper:
    """A workspace in Azure, or on the local Azure ML.

    Connects when `.ws` is first used, and creates the workspace if it does not exist.

    Args:
        ws_name: Name of the workspace.
        resource_group: Its resource group.
        subscription_id: Id of the subscription; "local" for the local Azure ML.
        auth: Authentication object of the SDK, or "cli" (the login of `az`), "browser", "managed-identity" or
            "service-principal". Default: the first that works.
        target: "local" or "azure". Default: AZUREML_WRAPPER_TARGET, else what `subscription_id` says.
        workspace: A connected `azureml.core.Workspace` to use instead.
        location: Azure region of a workspace that has to be created.

    Raises:
        BadArgument: A name is not a string, or empty (a TypeError).
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
                raise BadArgument(f"{key} must be a non-empty string, got {value!r}.")
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
            auth, target, workspace, location: As for the class.

        Raises:
            ConfigError: The config is missing or invalid. The message lists all problems.
        """
        names = plain_names(config)
        if names is None:
            from azureml_wrapper.config.loader import load
            from azureml_wrapper.config.models import WorkspaceConfig

            found, _ = load(WorkspaceConfig, config)
            names = (found.ws_name, found.resource_group, found.subscription_id)
        return cls(*names, auth=auth, target=target, workspace=workspace, location=location)

    @classmethod
    def from_workspace(cls, workspace: Workspace) -> WorkspaceWrapper:
        """Wrap a Workspace that is connected already.

        Args:
            workspace: The `azureml.core.Workspace`.
        """
        return cls(workspace.name, workspace.resource_group, workspace.subscription_id, workspace=workspace)

    @property
    def ws(self) -> Workspace:
        """The SDK's own `azureml.core.Workspace`, connected once per process; `ConnectionFailed` if that fails."""
        return self._workspace if self._workspace is not None else connect(self.scope, **self._connection)

    def _connected(self) -> Workspace | None:
        """The SDK's Workspace if this process has connected to it already."""
        return self._workspace if self._workspace is not None else connected(self.scope, **self._connection)

    def _services(self) -> Access:
        """The workspace's services, for what only reads; imports no SDK if that is possible."""
        if self._workspace is not None:
            return access_of(self._workspace)
        return open_services(self.scope, **self._connection)

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
        """Register an environment, or its next version if the packages have changed.

        Args:
            name: Name of the environment.
            dependencies: Pip packages, as in a requirements file. azureml-defaults, which scripts need in Azure, is
                added unless a package of Azure ML is listed.
            requirements: Requirements file with further packages.
            conda_file: Conda file with further packages.
            docker_image: Base image. Without packages, the image must contain all of them.
            python_version: Such as "3.10". Default: that of this interpreter, or of the conda file.

        Returns:
            The SDK's Environment, unchanged if the packages are.

        Raises:
            BadArgument: `dependencies` is a string instead of a list (a TypeError).
            BadValue: With file and line: pip does not take it, or it names a file of this machine (a ValueError).
            ConfigNotFound: A file does not exist (a FileNotFoundError).
        """
        environments.check_is_list(dependencies)
        check_call("RegisterEnv", locals())
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
        """Register a blob container of a storage account as a datastore.

        Args:
            name: Name of the datastore: lowercase letters, digits and "_".
            container_name: Name of the container.
            storage_name: Name of the storage account.
            storage_key: Access key of the storage account.

        Returns:
            The SDK's datastore.

        Raises:
            AlreadyRegistered: A datastore of this name has other settings (a ValueError).
            BadName: The name has other characters, which Azure ML refuses (a ValueError).
        """
        check_call("RegisterBlobDatastore", locals())
        return datastores.register_blob_datastore(self.ws, name, container_name, storage_name, storage_key)

    def unregister_blob_datastore(self, name: str) -> None:
        """Unregister a datastore; the data in it is kept. Reports if it is not registered.

        Args:
            name: Name of the datastore.

        Raises:
            UnregisteredDatastore: No datastore has this name, but one has a similar name (a NameError).
        """
        datastores.unregister_datastore(self.ws, name)

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

        Args:
            datastore_name: Blob datastore that has the file.
            dataset_name: Name of the dataset, with or without ".csv".
            source: Local file to upload first, as `<dataset_name>.csv`.
            delimiter: Character between two values.
            encoding: "utf8", "utf8bom" (both with or without a byte order mark), "iso88591", "latin1",
                "windows1252", "ascii" or "utf16" (little-endian): those that datasets can read.
            multi_line: Allow line breaks within quotes; reading takes longer then.

        Returns:
            The SDK's TabularDataset; a new version if settings or content have changed.

        Raises:
            BadData: The file is missing or empty, or has another delimiter or encoding, or lines that end with CR
                alone; or the encoding is unknown (a ValueError).
            UnregisteredDatastore: The workspace has no datastore of this name (a NameError).
        """
        check_call("RegisterCsv", locals())
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
        """Create a compute cluster, and wait until it exists.

        Args:
            name: Name of the compute target.
            compute_size: Size of the machines, such as "STANDARD_NC6".
            compute_min_nodes: Machines that are always kept running.
            compute_max_nodes: Machines that run at the same time, at most.
            vm_priority: "dedicated" or "lowpriority".
            idle_seconds: Seconds after which an idle machine is released.

        Returns:
            The SDK's AmlCompute; the existing one if it has the same settings.

        Raises:
            AlreadyRegistered: A compute target of this name has other settings (a ValueError).
            ConfigError: An argument is invalid (a ValueError or a TypeError).
            BadName: Azure ML refuses the name (a ValueError).
        """
        check_call("RegisterCompute", locals())
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
        """Synchronize a local folder and a folder of a blob datastore, by the rules of `azureml_wrapper.transfer`.

        Args:
            local: The local folder.
            datastore_name: Blob datastore.
            target: Folder of the datastore. Default: the whole container.
            direction: "up" uploads new and changed files, "down" downloads them. Unchanged ones, by size and MD5,
                are skipped.
            delete: Also delete at the destination what the source does not have.
            show_progress: Show a progress bar. Default: on a terminal.

        Returns:
            What was done: `uploaded`, `downloaded`, `copied` (renamed), `skipped`, `deleted`, `bytes`, `seconds`.

        Raises:
            TransferFailed: Files could not be transferred (an OSError). Call again to resume.
            UnregisteredDatastore: The workspace has no datastore of this name (a NameError).
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
