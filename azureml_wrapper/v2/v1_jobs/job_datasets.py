"""Inputs and outputs of a job as SDK v1's datasets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.csv_datasets import find_dataset
from azureml_wrapper.assets.datastores import blob_client, get_datastore
from azureml_wrapper.errors import BadValue, UnregisteredDataset, did_you_mean
from azureml_wrapper.messages import inform, quiet_sdk
from azureml_wrapper.v2.job_data import DIRECT, DOWNLOAD, TABLE, UPLOAD, WRITABLE, DataInput, Output, StorePath
from azureml_wrapper.v2.references import Reference

if TYPE_CHECKING:
    from azureml.core import Workspace

# Where `az ml` uploads files of the user's machine, too.
UPLOADS = "LocalUpload"
# `az ml` says ${{name}}; SDK v1 has its own words.
_PLACES = {"${{name}}": "{run-id}", "${{output_name}}": "{output-name}"}
OWN_PLACE = "azureml/{run-id}/{output-name}/"


class Data:
    """The data of jobs. `datastore` is for outputs without a path; None is the workspace's default datastore."""

    def __init__(self, ws: Workspace, datastore: str | None = None) -> None:
        self.ws = ws
        self._default = datastore

    def input(self, name: str, item: DataInput) -> Any:
        """Return the SDK's named input; raises `NotRegistered` or `BadValue`, with the line of the file."""
        from azureml.data import TabularDataset
        from azureml.data.data_reference import DataReference

        if item.mode == WRITABLE and isinstance(item.path, StorePath):
            # Datasets are mounted read-only.
            store = self._store(item.path, item.where)
            return DataReference(store, data_reference_name=name, path_on_datastore=item.path.path, mode="mount")
        dataset = self._dataset(item)
        named = dataset.as_named_input(name)
        if item.mode == DIRECT or isinstance(dataset, TabularDataset):
            return named
        return named.as_download() if item.mode == DOWNLOAD else named.as_mount()

    def output(self, name: str, item: Output) -> Any:
        """Return the SDK's output: a folder that the job fills."""
        from azureml.data import OutputFileDatasetConfig

        output = OutputFileDatasetConfig(name, destination=self._destination(item))
        if item.name:
            output = output.register_on_complete(item.name)
        return output.as_upload(overwrite=True) if item.mode == UPLOAD else output.as_mount()

    def _destination(self, item: Output) -> tuple[Any, str]:
        if item.path is None:
            store = get_datastore(self.ws, self._default) if self._default else self.ws.get_default_datastore()
            return store, OWN_PLACE
        path = item.path.path
        for theirs, ours in _PLACES.items():
            path = path.replace(theirs, ours)
        return self._store(item.path, "an output"), path

    def _dataset(self, item: DataInput) -> Any:
        from azureml.core import Dataset

        if isinstance(item.path, Reference):
            return self._registered(item, item.path)
        if isinstance(item.path, StorePath):
            place: Any = (self._store(item.path, item.where), item.path.path)
        elif isinstance(item.path, Path):
            place = self._upload(item.path)
        else:
            place = str(item.path)
        # Missing files are noticed when the job starts; to look for them here would cost a request to the storage.
        return Dataset.File.from_files(path=place, validate=False)

    def _store(self, path: StorePath, where: str) -> Any:
        own = (self.ws.subscription_id, self.ws.resource_group, self.ws.name)
        if path.workspace and path.workspace != own:
            raise BadValue(
                f"{where}: the path belongs to workspace {'/'.join(path.workspace)}, not to {'/'.join(own)}."
            )
        return get_datastore(self.ws, path.datastore)

    def _registered(self, item: DataInput, reference: Reference) -> Any:
        found = self._find(item, reference)
        if found is None:
            known = list(self.ws.datasets)
            raise UnregisteredDataset(
                f"{item.where}: workspace {self.ws.name} has no dataset {reference}."
                f"{did_you_mean(reference.name, known)} There are: {', '.join(known) or 'none'}."
            )
        from azureml.data import TabularDataset

        if isinstance(found, TabularDataset) and item.kind != TABLE:
            raise BadValue(
                f"{item.where}: {reference} is a tabular dataset, which SDK v1 cannot mount as {item.kind}. "
                "Give type mltable; the script reads it through run.input_datasets."
            )
        return found

    def _find(self, item: DataInput, reference: Reference) -> Any:
        if reference.version is None:
            return find_dataset(self.ws, reference.name)
        if not reference.version.isdecimal():
            raise BadValue(f"{item.where}: {reference}: versions of datasets are numbers in SDK v1.")
        from azureml.core import Dataset
        from azureml.exceptions import UserErrorException

        try:
            with quiet_sdk():
                return Dataset.get_by_name(self.ws, reference.name, version=int(reference.version))
        except UserErrorException as error:
            # As in `find_dataset`.
            if "Cannot find dataset" not in str(error):
                raise
            return None

    def _upload(self, path: Path) -> tuple[Any, str]:
        """The place of a local file or folder in the default datastore; the same content is sent once."""
        datastore = self.ws.get_default_datastore()
        target = f"{UPLOADS}/{_digest(path)}/{path.name}"
        # Written last, so that an upload that broke off is done again.
        done = blob_client(datastore, f"{UPLOADS}/{_digest(path)}.complete")
        if not done.exists():
            inform(f"Uploading {path} to {datastore.name}.")
            for file, name in _files(path):
                with file.open("rb") as content:
                    blob_client(datastore, f"{target}/{name}" if name else target).upload_blob(
                        content, overwrite=True
                    )
            done.upload_blob(b"", overwrite=True)
        return datastore, target


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Every file with its name below the folder; a single file has none."""
    if path.is_file():
        yield path, ""
    else:
        yield from ((file, file.relative_to(path).as_posix()) for file in sorted(path.rglob("*")) if file.is_file())


def _digest(path: Path) -> str:
    """The SHA-256 of names and contents."""
    total = hashlib.sha256(path.name.encode())
    for file, name in _files(path):
        total.update(f"\0{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(2**20):
                total.update(block)
    return total.hexdigest()
