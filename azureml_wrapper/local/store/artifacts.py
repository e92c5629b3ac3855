"""Artifacts as blobs of the workspace's account: outputs of jobs and uploads of the SDK side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.storage import CONTAINER, Artifact, Blob, Place, check_artifact_path
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.blobs import BlobStore
from azureml_wrapper.local.store.datastores import Signatures
from azureml_wrapper.local.store.query import Page

PAGE_SIZE = 1000


class ArtifactStore:
    """Files by place and path. The blobs are all there is: a file has no record in the database."""

    def __init__(self, blobs: BlobStore, signatures: Signatures) -> None:
        self._blobs, self._signatures = blobs, signatures

    def page(self, workspace: Workspace, place: Place, prefix: str = "", after: str = "") -> Page[Artifact]:
        """Files in the folder `prefix` (or the file of that name) in alphabetical order, starting behind `after`."""
        account = workspace.storage_account
        if not self._blobs.has_container(account, CONTAINER):
            return Page([])
        folder = prefix.strip("/")
        below = place.root + (f"{folder}/" if folder else "")
        marker = place.name(after) if after else ""
        found = self._blobs.page(account, CONTAINER, below, marker=marker, limit=PAGE_SIZE)
        items = [_artifact(place, blob) for blob in found if isinstance(blob, Blob)]
        more = items[-1].path if len(found) >= PAGE_SIZE and items else None
        # Slashes at the end do not make it a folder: the SDK appends two to the prefix of `download_files`.
        itself = self.find(workspace, place, folder) if folder and not after else None
        return Page([itself, *items] if itself else items, more)

    def paths(self, workspace: Workspace, place: Place, folder: str) -> Iterator[str]:
        """The path of every file in a folder and its subfolders."""
        if self._blobs.has_container(workspace.storage_account, CONTAINER):
            start = f"{place.root}{folder}/"
            for name in self._blobs.names(workspace.storage_account, CONTAINER, start):
                yield name.removeprefix(place.root)

    def find(self, workspace: Workspace, place: Place, path: str) -> Artifact | None:
        blob = self._blobs.stat(workspace.storage_account, CONTAINER, place.name(path))
        return _artifact(place, blob) if blob else None

    def get(self, workspace: Workspace, place: Place, path: str) -> Artifact:
        found = self.find(workspace, place, path)
        if found is None:
            raise NotFound(f"ArtifactId {place.name(path)} was not found.")
        return found

    def file(self, workspace: Workspace, artifact: Artifact) -> Path:
        """The file on this machine."""
        return self._blobs.path(workspace.storage_account, CONTAINER, artifact.artifact_id)

    def check_free(self, workspace: Workspace, place: Place, path: str) -> None:
        """Raise `Conflict`, in Azure's words, if the file exists: artifacts are never replaced.

        Raises:
            Invalid: The path is absolute, or leaves the run's files.
        """
        check_artifact_path(path)
        self._blobs.ensure_container(workspace.storage_account, CONTAINER)
        self._blobs.path(workspace.storage_account, CONTAINER, place.name(path))
        if self.find(workspace, place, path):
            raise Conflict(f"Resource Conflict: ArtifactId {place.name(path)} already exists.")

    def write(self, workspace: Workspace, place: Place, path: str, source: Path, *, append: bool = False) -> Artifact:
        """Move `source` to a new file, or append its bytes to an existing one."""
        check_artifact_path(path)
        account, name = workspace.storage_account, place.name(path)
        if append:
            self._blobs.ensure_container(account, CONTAINER)
            return _artifact(place, self._blobs.append(account, CONTAINER, name, source))
        self.check_free(workspace, place, path)
        return _artifact(place, self._blobs.put_file(account, CONTAINER, name, source))

    def delete(self, workspace: Workspace, place: Place, path: str) -> None:
        if not self._blobs.delete(workspace.storage_account, CONTAINER, place.name(path)):
            raise NotFound(f"ArtifactId {place.name(path)} was not found.")

    def url(
        self, workspace: Workspace, place: Place, path: str, *, permissions: str = "r", for_sdk: bool = False
    ) -> str:
        """The file's address for some hours: to read it, or with "rcw" also to write it (see `Signatures.url`)."""
        account, name = workspace.storage_account, place.name(path)
        return self._signatures.url(account, CONTAINER, name, permissions=permissions, for_sdk=for_sdk)


def _artifact(place: Place, blob: Blob) -> Artifact:
    return Artifact(
        place=place,
        path=blob.name.removeprefix(place.root),
        size=blob.size,
        etag=blob.etag,
        created=blob.created,
    )
