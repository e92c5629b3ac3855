"""What earlier transfers have learned: the MD5 of files that have not changed since.

A cached MD5 belongs to one state of a file: here to its size and its times (including that of its last change of any
kind), in the storage to its ETag. So the cache can be useless, but never wrong; two transfers may write it at once,
and it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from azureml_wrapper.file_lock import FileLock
from azureml_wrapper.messages import inform
from azureml_wrapper.transfer.local_files import LocalFile

HOME_VARIABLE = "AZUREML_WRAPPER_HOME"
VERSION = 1
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
        content = {"version": VERSION, "local": self.local, "remote": self.remote}
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
            if found["version"] != VERSION:
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
