"""What to transfer: the two sides of a transfer, what is known of their files, and the steps that make them equal.

A cached MD5 belongs to one state of a file: here to its size and its times (including that of its last change of any
kind), in the storage to its ETag. So the cache can be useless, but never wrong; two transfers may write it at once,
and it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.file_lock import FileLock
from azureml_wrapper.messages import inform
from azureml_wrapper.transfer.blob_container import Blob, BlobContainer
from azureml_wrapper.transfer.http_client import Workers
from azureml_wrapper.transfer.local_files import LocalFile, hash_file
from azureml_wrapper.transfer.outcome import Outcome

HOME_VARIABLE = "AZUREML_WRAPPER_HOME"
CACHE_VERSION = 1
# Within one tick of its clock, a file system gives two changes of a file the same time.
TICK_NS = 100_000_000


@dataclass
class ChecksumCache:
    """`local`: name -> (size, mtime and ctime in ns, MD5); `remote`: name -> (ETag, MD5). MD5s are base64."""

    local: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    remote: dict[str, tuple[str, str]] = field(default_factory=dict)
    is_changed: bool = field(default=False, compare=False)

    def local_md5(self, name: str, file: LocalFile) -> str | None:
        """Return the MD5 of a file here, if it is known for this state of the file."""
        known = self.local.get(name)
        return known[3] if known and known[:3] == (file.size, file.mtime_ns, file.ctime_ns) else None

    def remote_md5(self, name: str, etag: str) -> str | None:
        """Return the MD5 of a file in the storage, if it is known for this ETag."""
        known = self.remote.get(name)
        return known[1] if known and etag and known[0] == etag else None

    def learn_local(self, name: str, file: LocalFile, md5: str) -> None:
        """Remember the MD5 of a file here, unless it has just changed: it could change again without a trace."""
        if time.time_ns() - file.mtime_ns > TICK_NS:
            self.is_changed = True
            self.local[name] = (file.size, file.mtime_ns, file.ctime_ns, md5)

    def learn_remote(self, name: str, etag: str, md5: str) -> None:
        """Remember the MD5 of a file in the storage."""
        if etag:
            self.is_changed = True
            self.remote[name] = (etag, md5)

    def keep(self, local: Container[str], remote: Container[str]) -> None:
        """Forget all files but these."""
        before = len(self.local) + len(self.remote)
        self.local = {name: known for name, known in self.local.items() if name in local}
        self.remote = {name: known for name, known in self.remote.items() if name in remote}
        self.is_changed |= len(self.local) + len(self.remote) < before

    def save(self, file: Path) -> None:
        """Write the cache if it has changed, whole or not at all; if that fails, the next transfer hashes again."""
        if not self.is_changed:
            return
        content = {"version": CACHE_VERSION, "local": self.local, "remote": self.remote}
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8", errors="surrogatepass")
            beside.replace(file)

    @classmethod
    def load(cls, file: Path) -> ChecksumCache:
        """Read the cache; an empty one if the file is missing or damaged."""
        try:
            found = json.loads(file.read_text(encoding="utf-8", errors="surrogatepass"))
            if found["version"] != CACHE_VERSION:
                return cls()
            local = {name: (int(a), int(b), int(c), str(md5)) for name, (a, b, c, md5) in found["local"].items()}
            remote = {name: (str(etag), str(md5)) for name, (etag, md5) in found["remote"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls()
        return cls(local, remote)


def cache_file(folder: Path, address: str) -> Path:
    """Return where the cache of a folder and its counterpart is kept.

    That is in AZUREML_WRAPPER_HOME, by default ~/.azureml_wrapper: a file in the folder would be transferred itself.
    """
    given = os.environ.get(HOME_VARIABLE)
    home = Path(given).expanduser() if given else Path.home() / ".azureml_wrapper"
    key = f"{folder.absolute()}\n{address}".encode("utf-8", "surrogatepass")
    return home.absolute() / "transfers" / f"{hashlib.sha256(key).hexdigest()[:32]}.json"


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Wait until no other transfer uses the cache `file`, and keep others waiting.

    If the file cannot be locked (some network drives), two transfers at once do the same work twice, without harm.
    """
    lock = FileLock(file.with_suffix(".lock"))
    try:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if holder := lock.try_acquire():
                inform(f"Another transfer of this folder is running ({holder}). Waiting until it has finished.")
                lock.acquire()
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Content:
    """What is known of a file's content, on either side; `md5` is base64, None if it is unknown."""

    size: int
    md5: str | None = None


@dataclass(frozen=True)
class Plan:
    """Names by what to do with them; `copy` has pairs (name at the target, new name)."""

    send: tuple[str, ...] = ()
    copy: tuple[tuple[str, str], ...] = ()
    skip: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def needs_hash(source: Mapping[str, Content], target: Mapping[str, Content]) -> list[str]:
    """Return the names in `source` whose content the target may already have: only their MD5 can tell.

    Those are files whose name and size the target has, and new names with the size of a file that only the target has
    and that may therefore have been renamed.
    """
    gone = {file.size for name, file in target.items() if name not in source and file.md5}
    return [
        name
        for name, file in source.items()
        if file.md5 is None
        and (_may_equal(file, target[name]) if name in target else file.size > 0 and file.size in gone)
    ]


def plan(source: Mapping[str, Content], target: Mapping[str, Content], *, delete: bool = False) -> Plan:
    """Return the steps that make `target` hold every file of `source`. No file is read, and no request is made.

    Files are equal if size and MD5 are; if the target's MD5 is unknown, the file is sent. If the target has the
    content of a new name under a name that `source` lacks, it is copied there.

    Args:
        delete: Remove what `source` does not have.
    """
    moved = {(file.size, file.md5): name for name, file in target.items() if name not in source and file.md5}
    send, copy, skip = [], [], []
    for name, file in source.items():
        if name in target and _equal(file, target[name]):
            skip.append(name)
        elif file.md5 and file.size and (file.size, file.md5) in moved:
            copy.append((moved[file.size, file.md5], name))
        else:
            send.append(name)
    extra = tuple(name for name in target if name not in source) if delete else ()
    return Plan(tuple(send), tuple(copy), tuple(skip), extra)


def _equal(one: Content, other: Content) -> bool:
    return one.size == other.size and one.md5 is not None and one.md5 == other.md5


def _may_equal(one: Content, other: Content) -> bool:
    return one.size == other.size and other.md5 is not None


@dataclass
class Endpoints:
    """The two sides of a transfer, and what comes of it.

    Args:
        folder: The folder on this machine.
        container: The container of the datastore.
        prefix: The folder of the datastore: empty, or ending with "/".
        cache: The MD5s that earlier transfers have learned.
        delete: Remove at the target what the source does not have.
        shown: Whether to show a progress bar; None shows one on a terminal.
    """

    folder: Path
    container: BlobContainer
    prefix: str
    cache: ChecksumCache
    delete: bool = False
    shown: bool | None = None
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.label)

    @property
    def label(self) -> str:
        """Both sides, for messages."""
        there = f"{self.prefix} in {self.container.label}" if self.prefix else self.container.label
        return f"between {self.folder} and {there}"

    def listing(self) -> dict[str, Blob]:
        """Return the blobs of the datastore's folder, by their names in it."""
        return {blob.name[len(self.prefix) :]: blob for blob in self.container.list(self.prefix)}

    def remote_content(self, blobs: Mapping[str, Blob]) -> dict[str, Content]:
        """Return what is known of the files in the storage."""
        known = self.cache.remote_md5
        return {name: Content(blob.size, blob.md5 or known(name, blob.etag)) for name, blob in blobs.items()}

    def local_content(self, files: Mapping[str, LocalFile]) -> dict[str, Content]:
        """Return what is known of the files here."""
        known = self.cache.local_md5
        return {name: Content(file.size, known(name, file)) for name, file in files.items()}

    def hash(
        self, workers: Workers, names: Iterable[str], files: Mapping[str, LocalFile], known: dict[str, Content]
    ) -> None:
        """Compute the MD5s of files here, and put them into `known`."""

        def work(name: str) -> tuple[str, str | None]:
            return name, self.outcome.attempt(name, lambda: hash_file(files[name]))

        for name, md5 in workers.map(work, names):
            if md5 is not None:
                known[name] = Content(files[name].size, md5)
                self.cache.learn_local(name, files[name], md5)

    def guard_delete(self, source: Mapping[str, Content], target: Mapping[str, Content]) -> None:
        """Raise `TransferFailed` if `delete` would empty the target: an empty source is most often a mistake."""
        if self.delete and target and not source:
            raise TransferFailed(
                f"Nothing was deleted {self.label}: the source has no files. If you mean it, delete the "
                f"{len(target)} files of the target yourself."
            )
