"""A folder of this machine and a folder of a datastore, and what is known of their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.container import Blob, BlobContainer
from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.facts import Facts
from azureml_wrapper.transfer.plan import File
from azureml_wrapper.transfer.scan import LocalFile
from azureml_wrapper.transfer.sending import hash_file
from azureml_wrapper.transfer.tally import Tally


@dataclass
class Pair:
    """`prefix` is the datastore's folder: empty, or with "/" at its end. `shown` as for `Progress`."""

    folder: Path
    container: BlobContainer
    prefix: str
    facts: Facts
    delete: bool = False
    shown: bool | None = None
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally(self.label)

    @property
    def label(self) -> str:
        there = f"{self.prefix} in {self.container.label}" if self.prefix else self.container.label
        return f"between {self.folder} and {there}"

    def listing(self) -> dict[str, Blob]:
        """The blobs of the datastore's folder, by their names in it."""
        return {blob.name[len(self.prefix) :]: blob for blob in self.container.list(self.prefix)}

    def there(self, blobs: Mapping[str, Blob]) -> dict[str, File]:
        known = self.facts.remote_md5
        return {name: File(blob.size, blob.md5 or known(name, blob.etag)) for name, blob in blobs.items()}

    def here(self, files: Mapping[str, LocalFile]) -> dict[str, File]:
        known = self.facts.local_md5
        return {name: File(file.size, known(name, file)) for name, file in files.items()}

    def hash(self, crew: Crew, names: Iterable[str], files: Mapping[str, LocalFile], known: dict[str, File]) -> None:
        """Find out the MD5 of files here, into `known`."""

        def work(name: str) -> tuple[str, str | None]:
            return name, self.tally.attempt(name, lambda: hash_file(files[name]))

        for name, md5 in crew.map(work, names):
            if md5 is not None:
                known[name] = File(files[name].size, md5)
                self.facts.learn_local(name, files[name], md5)

    def guard_delete(self, source: Mapping[str, File], target: Mapping[str, File]) -> None:
        """An empty source is a mistake more often than a wish."""
        if self.delete and target and not source:
            raise TransferFailed(
                f"Nothing is deleted {self.label}: there is no file at the source. Where you mean it, remove the "
                f"{len(target)} files of the destination yourself."
            )
