"""What earlier transfers have learned: the MD5 of files that have not changed since.

A fact holds for one state of a file only: here for its size and its times, that of the last change of any kind
included, there for its ETag. So no fact can be wrong, it can only be useless; two transfers may write the file of
facts at once, and it may be deleted at any time.
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

from azureml_wrapper.messages import say
from azureml_wrapper.transfer.scan import LocalFile

HOME_VARIABLE = "AZUREML_WRAPPER_HOME"
VERSION = 1
# Within one tick of its clock, a file system gives a second change of a file the time of the first.
TICK_NS = 100_000_000


@dataclass
class Facts:
    """`local`: name -> (size, mtime and ctime in ns, MD5); `remote`: name -> (ETag, MD5)."""

    local: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    remote: dict[str, tuple[str, str]] = field(default_factory=dict)
    is_changed: bool = field(default=False, compare=False)

    def local_md5(self, name: str, file: LocalFile) -> str | None:
        known = self.local.get(name)
        return known[3] if known and known[:3] == (file.size, file.mtime_ns, file.ctime_ns) else None

    def remote_md5(self, name: str, etag: str) -> str | None:
        known = self.remote.get(name)
        return known[1] if known and etag and known[0] == etag else None

    def learn_local(self, name: str, file: LocalFile, md5: str) -> None:
        """A file that was changed just now may change again unseen: nothing is learned of it."""
        if time.time_ns() - file.mtime_ns > TICK_NS:
            self.is_changed = True
            self.local[name] = (file.size, file.mtime_ns, file.ctime_ns, md5)

    def learn_remote(self, name: str, etag: str, md5: str) -> None:
        if etag:
            self.is_changed = True
            self.remote[name] = (etag, md5)

    def keep(self, local: Container[str], remote: Container[str]) -> None:
        """Forget files that are gone."""
        before = len(self.local) + len(self.remote)
        self.local = {name: known for name, known in self.local.items() if name in local}
        self.remote = {name: known for name, known in self.remote.items() if name in remote}
        self.is_changed |= len(self.local) + len(self.remote) < before

    def save(self, file: Path) -> None:
        """Write what is new, whole or not at all; where the disk does not take it, the next transfer hashes again."""
        if not self.is_changed:
            return
        content = {"version": VERSION, "local": self.local, "remote": self.remote}
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8", errors="surrogatepass")
            beside.replace(file)

    @classmethod
    def load(cls, file: Path) -> Facts:
        """What was saved; nothing where the file is missing or damaged."""
        try:
            found = json.loads(file.read_text(encoding="utf-8", errors="surrogatepass"))
            if found["version"] != VERSION:
                return cls()
            local = {name: (int(a), int(b), int(c), str(md5)) for name, (a, b, c, md5) in found["local"].items()}
            remote = {name: (str(etag), str(md5)) for name, (etag, md5) in found["remote"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls()
        return cls(local, remote)


def facts_file(folder: Path, address: str) -> Path:
    """Where the facts about a folder and its counterpart are kept.

    That is in AZUREML_WRAPPER_HOME, else in ~/.azureml_wrapper: a file in the folder itself would be transferred.
    """
    given = os.environ.get(HOME_VARIABLE)
    home = Path(given).expanduser() if given else Path.home() / ".azureml_wrapper"
    key = f"{folder.absolute()}\n{address}".encode("utf-8", "surrogatepass")
    return home.absolute() / "transfers" / f"{hashlib.sha256(key).hexdigest()[:32]}.json"


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Wait until no other transfer of the same two folders is under way, and keep others waiting.

    Where files cannot be locked (Windows, some network drives), two transfers at once do work twice, and no harm.
    """
    try:
        import fcntl

        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = file.with_suffix(".lock").open("w")
    except (ImportError, OSError):
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another transfer of this folder is under way; waiting for its end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
