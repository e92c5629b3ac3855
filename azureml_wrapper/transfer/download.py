"""To a folder on this machine: from a datastore, or the files of a run."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.blob_container import Blob
from azureml_wrapper.transfer.download_file import (
    PIECE,
    Fetched,
    RemoteFile,
    Unchanged,
    fetch_large,
    fetch_small,
    missing_bytes,
)
from azureml_wrapper.transfer.http_client import HttpClient, Workers
from azureml_wrapper.transfer.local_files import PART, Scan, TargetFolder, linked_folder, safe_names, scan
from azureml_wrapper.transfer.outcome import Outcome, Progress, TransferReport
from azureml_wrapper.transfer.plan import ChecksumCache, Endpoints, needs_hash, plan

# The origin of a run's files in the artifact service.
ORIGIN = "ExperimentRun"


def download(ends: Endpoints) -> TransferReport:
    """Make the local folder hold every file of the datastore's folder."""
    outcome = ends.outcome
    with outcome.reporting(), Workers(ends.container.http.stop) as workers:
        listing = workers.start(ends.listing)
        found = scan(ends.folder) if ends.folder.is_dir() else Scan()
        blobs = _files_of(listing.result(), outcome)
        source, target = ends.remote_content(blobs), ends.local_content(found.files)
        ends.guard_delete(source, target)
        ends.hash(workers, needs_hash(target, source), found.files, target)
        steps = plan(source, target, delete=ends.delete)
        outcome.skipped += steps.skip
        remotes = [_remote(ends, name, blobs[name]) for name in steps.send]
        folder = _prepare(ends.folder, sum(missing_bytes(remote, ends.folder / remote.name) for remote in remotes))
        remotes += [_remote(ends, name, blobs[name]) for name in _copy(ends, steps.copy, blobs, folder)]
        _fetch(
            ends.container.http, remotes, folder, workers=workers, outcome=outcome, cache=ends.cache, shown=ends.shown
        )
        outcome.check()
        _delete(ends, steps.delete)
        ends.cache.keep({*source, *target}, source)
    return outcome.report()


class RunFiles(Protocol):
    """The files of a run, in the artifact service."""

    @property
    def id(self) -> str:
        """The run's id."""

    def addresses(self, prefix: str) -> dict[str, str]:
        """Return name -> signed address of the files whose names begin with `prefix`."""

    def address(self, name: str) -> str:
        """Return a new signed address of one file."""


class SdkRunFiles:
    """The files of a run of the SDK.

    Args:
        run: An `azureml.core.Run`.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self._run.id)

    def addresses(self, prefix: str) -> dict[str, str]:
        """Return name -> signed address of the files whose names begin with `prefix`."""
        run = self._run
        if run._container is None:
            # A run that has no files yet (azureml/core/run.py, get_file_names).
            return {}
        found = run._client.artifacts.get_files_by_artifact_prefix_id(f"{ORIGIN}/{run._container}/{prefix}")
        return {str(name): str(address) for name, address in found}

    def address(self, name: str) -> str:
        """Return a new signed address of one file."""
        return str(self._run._client.artifacts.get_file_uri(ORIGIN, self._run._container, name))


def download_run(
    run: RunFiles, folder: Path, *, prefix: str, cache: ChecksumCache, shown: bool | None = None
) -> TransferReport:
    """Download the files of a run whose names begin with `prefix`. Their sizes are not known in advance."""
    outcome = Outcome(f"from run {run.id} to {folder}")
    addresses = {name: address for name, address in run.addresses(prefix).items() if name.startswith(prefix)}
    if not addresses:
        return outcome.report()
    # Unlike a blob, an empty file of a run never marks a folder: any size above 0 says so.
    list(safe_names(addresses, dict.fromkeys(addresses, 1)))
    http = HttpClient(next(iter(addresses.values())))
    target = _prepare(folder, 0)
    files = scan(folder).files
    remotes = []
    for name, address in addresses.items():
        known, file = cache.remote.get(name), files.get(name)
        same = known and file and cache.local_md5(name, file) == known[1]
        url = SignedAddress(run, name, address)
        remotes.append(RemoteFile(name, url, url.renew, unless=known[0] if known and same else ""))
    with outcome.reporting(), Workers(http.stop) as workers:
        _fetch(http, remotes, target, workers=workers, outcome=outcome, cache=cache, shown=shown)
        outcome.check()
    http.close()
    cache.keep(addresses, addresses)
    return outcome.report()


class SignedAddress:
    """The signed address of a run's file. Signatures expire; `renew` requests another address."""

    def __init__(self, run: RunFiles, name: str, address: str) -> None:
        self._run, self._name, self._address = run, name, _quoted(address)
        self._lock = threading.Lock()

    def __call__(self) -> str:
        return self._address

    def renew(self) -> None:
        """Request a new address from the artifact service."""
        with self._lock:
            self._address = _quoted(self._run.address(self._name))


def _quoted(address: str) -> str:
    """Escape what must be escaped in an address: the local service does not escape blanks and accents."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=quote(parts.path, safe="/%~")))


def _prepare(folder: Path, size: int) -> TargetFolder:
    """Create the folder; `TransferFailed` if it cannot be written to, or has no room for `size` bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TransferFailed(f"Cannot write to {folder}: {error.strerror}. Nothing was downloaded.") from error
    free = shutil.disk_usage(folder).free
    if size > free:
        from rich.filesize import decimal

        raise TransferFailed(
            f"Not enough space in {folder}: the files need {decimal(size)}, {decimal(free)} are free. Nothing was "
            "downloaded. Free some space, or use another folder."
        )
    return TargetFolder(folder)


def _fetch(
    http: HttpClient,
    remotes: Sequence[RemoteFile],
    folder: TargetFolder,
    *,
    workers: Workers,
    outcome: Outcome,
    cache: ChecksumCache,
    shown: bool | None = None,
) -> None:
    """Fetch files: the small ones side by side, then the large ones piece by piece."""
    total = sum(remote.size or 0 for remote in remotes)
    with Progress("downloading", total, shown=shown) as progress:
        outcome.progress = progress

        def small(remote: RemoteFile) -> RemoteFile | None:
            """Return the file if it is too large for one piece."""
            if (remote.size or 0) > PIECE:
                return remote
            came = outcome.attempt(remote.name, lambda: fetch_small(http, remote, folder.path(remote.name), progress))
            return _remember(came, outcome, cache)

        def pieces(remote: RemoteFile) -> None:
            path = folder.path(remote.name)
            came = outcome.attempt(
                remote.name, lambda: fetch_large(http, remote, path, workers=workers, progress=progress)
            )
            _remember(came, outcome, cache)

        for remote in [each for each in workers.map(small, remotes) if each is not None]:
            pieces(remote)


def _remember(
    came: Fetched | RemoteFile | Unchanged | None, outcome: Outcome, cache: ChecksumCache
) -> RemoteFile | None:
    """Remember at once what has arrived, whatever happens to the other files."""
    if isinstance(came, RemoteFile):
        return came
    if isinstance(came, Unchanged):
        outcome.skipped.append(came.name)
    elif came is not None:
        outcome.downloaded.append(came.name)
        cache.learn_local(came.name, came.file, came.md5)
        cache.learn_remote(came.name, came.etag, came.md5)
    return None


def _files_of(blobs: dict[str, Blob], outcome: Outcome) -> dict[str, Blob]:
    marks = dict(safe_names(blobs, {name: blob.size for name, blob in blobs.items()}))
    outcome.ignored += [f"{name}: {reason}" for name, reason in sorted(marks.items())]
    return {name: blob for name, blob in blobs.items() if name not in marks}


def _remote(ends: Endpoints, name: str, blob: Blob) -> RemoteFile:
    url = partial(ends.container.url, blob.name)
    return RemoteFile(name, url, size=blob.size, etag=blob.etag, md5=blob.md5, modified=blob.modified)


def _copy(
    ends: Endpoints, renamed: Sequence[tuple[str, str]], blobs: Mapping[str, Blob], folder: TargetFolder
) -> list[str]:
    """Copy here what was renamed in the storage; return the names that have to be fetched after all."""
    left = []
    for before, after in renamed:
        path, blob = folder.path(after), blobs[after]
        beside = path.with_name(f".{os.getpid()}.copy{PART}")
        try:
            shutil.copyfile(folder.path(before), beside)
            os.utime(beside, (blob.modified, blob.modified))
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            left.append(after)
            continue
        ends.outcome.copied.append(after)
    return left


def _delete(ends: Endpoints, names: Sequence[str]) -> None:
    """Delete files; what a linked folder contains stays, and of a linked file only the link is deleted."""
    for name in names:
        link = linked_folder(ends.folder, name)
        if link:
            ends.outcome.ignored.append(f"{name}: not deleted because {link} is a link")
            continue
        (ends.folder / name).unlink(missing_ok=True)
        ends.outcome.deleted.append(name)
