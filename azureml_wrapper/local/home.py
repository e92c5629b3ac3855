"""The home folder: everything that the local Azure ML stores.

<home>/                  mode 0700
  service.json           while the service runs: pid, port, secret (0600)
  secret  port  lock     what one start leaves to the next, and the lock that only one service can hold
  service.log
  running                since when the service runs; gone if it has written everything to the disk
  tls/                   the certificate for https, and the authority that clients trust
  state.sqlite           everything that has a name or a status
  blobs/                 everything that has bytes: <account>/<container>/<path>
  snapshots/             the files of script folders, each distinct content once
  incoming/  jobs/  environments/  programs/
  reports/               named pipes to programs under `aml local exec`
  clients/               sitecustomize.py of the programs that `aml local exec` runs (clients.py)
  unsynced/              files that a loss of power has perhaps left incomplete
  transfers/             checksums of the wrapper's transfers, if AZUREML_WRAPPER_HOME is set
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.network import InvalidSetting, split, write_folder

HOME_VARIABLE = "AZUREML_WRAPPER_HOME"
REPORTS = "reports"
# What `write_private` writes to first: a name, and the number of a process.
_UNFINISHED = ".*.[0-9]*"
UNSYNCED = "unsynced"
# Hexadecimal digits: 256 bits.
LEAST_SECRET = 64

log = logging.getLogger("azureml_wrapper.local")

# Everything that the service and its clients create in a home. state.sqlite has -wal and -shm files beside it.
ENTRIES = (
    *("service.json", "secret", "port", "lock", "running", "service.log*", "state.sqlite*"),
    *("blobs", "incoming", "jobs", "snapshots", "environments", "programs", REPORTS, "tls", "azure", "transfers"),
    "clients",
    UNSYNCED,
)


def is_trust(place: Path) -> bool:
    """Whether `Home.write_trust` created a folder or file, in any home."""
    return place.parent.name == "tls" and place.name.startswith("trust-")


def default_home() -> Path:
    """`AZUREML_WRAPPER_HOME`, or `~/.azureml_wrapper/local`."""
    given = os.environ.get(HOME_VARIABLE)
    return Path(given).expanduser().absolute() if given else Path.home() / ".azureml_wrapper" / "local"


@dataclass(frozen=True, kw_only=True)
class ServiceInfo:
    """A running service: what a client needs to connect, and the Python that runs its jobs."""

    pid: int
    port: int
    secret: str
    python: str = ""

    def __repr__(self) -> str:
        return f"ServiceInfo(pid={self.pid}, port={self.port})"


class Home:
    """The paths of a home folder, and the small files in it. The constructor does not touch the disk."""

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path).expanduser().absolute() if path else default_home()

    @property
    def service_file(self) -> Path:
        return self.path / "service.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def log_file(self) -> Path:
        return self.path / "service.log"

    @property
    def database(self) -> Path:
        return self.path / "state.sqlite"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def incoming(self) -> Path:
        return self.path / "incoming"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def environments(self) -> Path:
        return self.path / "environments"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def cloud_settings(self) -> Path:
        """Where the SDK caches the cloud's addresses: AZURE_CONFIG_DIR of clients and jobs.

        It has to exist: azureml-core 1.37 to 1.50 write into it without creating it.
        """
        return self.path / "azure"

    @property
    def authority(self) -> Path:
        """The certificate that clients must trust."""
        return self.tls / "ca.pem"

    def create(self) -> None:
        """Create the folder if it is missing, for its owner only.

        A folder that exists keeps its mode, because it may contain other things. What the service stores in it has
        modes of its own.

        Raises:
            OSError: The folder is not writable, or jobs could not run in it.
        """
        if os.pathsep in str(self.path):
            raise OSError(errno.EINVAL, f"the {os.pathsep!r} in its path separates folders in PATH")
        if not self.path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            # Not with the mode of mkdir, which the umask changes.
            # On some network shares, all files have one owner and one mode; its mount decides who reads them.
            with contextlib.suppress(PermissionError):
                self.path.chmod(0o700)
        stores = (self.blobs, self.snapshots, self.incoming, self.jobs, self.environments)
        for folder in (*stores, self.tls, self.cloud_settings):
            folder.mkdir(exist_ok=True, mode=0o700)
        self._check_links()

    def _check_links(self) -> None:
        link = self.path / f".link.{os.getpid()}"
        try:
            link.symlink_to(self.blobs)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS):
                raise
            reason = "its file system has no symbolic links, which the environments of jobs consist of"
            raise OSError(error.errno, reason) from error
        else:
            link.unlink(missing_ok=True)

    def secret(self) -> str:
        """The service's secret, created by the first call.

        A damaged one is replaced: whoever can guess the secret can sign tokens.
        """
        file = self.path / "secret"
        found = read_text(file).strip()
        if len(found) < LEAST_SECRET:
            if file.exists():
                log.warning("%s is damaged; creating a new secret: earlier tokens and secrets are lost", file)
            found = secrets.token_hex(LEAST_SECRET // 2)
            write_private(file, found, flush=True)
        return found

    def last_port(self) -> int | None:
        """The port of the last start. The service prefers it, because the SDK caches addresses."""
        text = read_text(self.path / "port").strip()
        is_port = text.isascii() and text.isdigit() and 0 < int(text) < 65536
        return int(text) if is_port else None

    def write_port(self, port: int) -> None:
        write_private(self.path / "port", str(port))

    def write_trust(self, certificates: bytes) -> Path:
        """Write certificates to a folder named by its content, so that running processes keep the one they use.

        If OpenSSL cannot read one of them, they are written to a file, as they are: clients report what is wrong.
        """
        folder = self.tls / f"trust-{_trust_key(certificates)}"
        if folder.is_dir():
            return folder
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            write_folder(temporary, split(certificates))
            temporary.rename(folder)
        except InvalidSetting:
            file = folder.with_suffix(".pem")
            write_private(file, certificates.decode("utf-8", "replace"))
            return file
        except OSError as error:
            # Another process has been faster.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder

    def write_service(self, info: ServiceInfo) -> None:
        write_private(self.service_file, json.dumps(asdict(info)))

    def read_service(self) -> ServiceInfo | None:
        """What a running service wrote; None if not found or damaged. Does not check that it is still alive."""
        try:
            found = json.loads(read_text(self.service_file))
            # A later version may have written more.
            return ServiceInfo(
                pid=int(found["pid"]),
                port=int(found["port"]),
                secret=str(found["secret"]),
                # Empty if an earlier version wrote it.
                python=str(found.get("python") or ""),
            )
        except (ValueError, KeyError, TypeError):
            return None

    def clear(self) -> None:
        """Delete everything that the service stored; it must have stopped.

        Only entries with its names are deleted, because the folder may contain other things.
        """
        for entry in (found for name in ENTRIES for found in self.path.glob(name)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@lru_cache(maxsize=4)
def _trust_key(certificates: bytes) -> str:
    """A name for the certificates of a bundle. Every job asks for it, and sorting a hundred takes a while."""
    return hashlib.sha256(b"".join(split(certificates))).hexdigest()[:16]


def lacks_database(home: Home) -> bool:
    """Whether there is data, but no database that says what it is; starting would hide all of it."""
    if home.database.exists() and home.database.stat().st_size:
        return False
    # SQLite deletes the log of an empty database, although it has the last changes of the one that was lost.
    log = Path(f"{home.database}-wal")
    accounts = home.blobs.iterdir() if home.blobs.is_dir() else ()
    return (log.exists() and log.stat().st_size > 0) or any(each.name[:1] != "." for each in accounts)


def discard_trust(home: Home) -> None:
    """Delete all that `Home.write_trust` has written, because a loss of power may have left it incomplete."""
    for place in home.tls.glob("trust-*"):
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def discard_unfinished(home: Home) -> None:
    """Delete what a killed service was writing or receiving; only the service that holds the lock may do so."""
    received = home.incoming.iterdir()
    contents = home.snapshots.glob("[0-9a-f][0-9a-f]/*.*")
    small = (file for folder in (home.path, home.tls) for file in folder.glob(_UNFINISHED))
    for file in (*received, *contents, *small):
        file.unlink(missing_ok=True)
    for folder in home.tls.glob("trust-*.[0-9]*"):
        shutil.rmtree(folder, ignore_errors=True)


def read_text(path: Path) -> str:
    """The text of a small file; empty if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def write_private(path: Path, text: str, *, flush: bool = False) -> None:
    """Write a file atomically, readable only by its owner; with `flush`, also for the case of a loss of power."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    fault_point("home.file-written")
    temporary.replace(path)


def forget_clouds(home: Home) -> None:
    """Delete the addresses that SDK v1 has cached: the port may have changed since.

    The file is that of `get_known_clouds` in azureml/_vendor/azure_cli_core/cloud.py.
    """
    (home.cloud_settings / "cloudEndpoints.json").unlink(missing_ok=True)


def write_sitecustomize(home: Home, source: bytes) -> Path:
    """Write what every Python of a client imports at its start; the folder for PYTHONPATH."""
    file = home.path / "clients" / "sitecustomize.py"
    if not file.exists() or file.read_bytes() != source:
        file.parent.mkdir(exist_ok=True)
        write_private(file, source.decode())
    return file.parent


def refusal(home: Home, error: OSError) -> str:
    """What to tell a user if an error keeps a home folder from being used."""
    name = error.filename if isinstance(error.filename, str) else str(home.path)
    file = "" if name == str(home.path) else f" ({name})"
    return (
        f"Cannot use the home folder {home.path}: {error.strerror or error}{file}. Set {HOME_VARIABLE} to a folder "
        "that you can write to, on a file system with symbolic links and without ':' in its path."
    )
