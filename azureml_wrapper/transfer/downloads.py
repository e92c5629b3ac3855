"""To a folder of this machine: from a datastore, or the files of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from azureml_wrapper.errors import TransferFailed
from azureml_wrapper.transfer.container import Blob
from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.facts import Facts
from azureml_wrapper.transfer.fetching import (
    PIECE,
    Fetched,
    Remote,
    Unchanged,
    fetch_large,
    fetch_small,
    missing_bytes,
)
from azureml_wrapper.transfer.http import Http
from azureml_wrapper.transfer.pair import Pair
from azureml_wrapper.transfer.plan import needs_hash, plan
from azureml_wrapper.transfer.progress import Progress
from azureml_wrapper.transfer.report import TransferReport, size_text
from azureml_wrapper.transfer.scan import PART, Places, Scan, linked_folder, safe_names, scan
from azureml_wrapper.transfer.tally import Tally

# What becomes of a file that was to be fetched; None where it could not be.
Came = Fetched | Remote | Unchanged | None


def download(pair: Pair) -> TransferReport:
    """Make this machine's folder hold every file of the datastore's."""
    tally = pair.tally
    with tally.telling(), Crew(pair.container.http.stop) as crew:
        listing = crew.start(pair.listing)
        found = scan(pair.folder) if pair.folder.is_dir() else Scan()
        blobs = _files_of(listing.result(), tally)
        source, target = pair.there(blobs), pair.here(found.files)
        pair.guard_delete(source, target)
        pair.hash(crew, needs_hash(target, source), found.files, target)
        steps = plan(source, target, delete=pair.delete)
        tally.skipped += steps.skip
        remotes = [_remote(pair, name, blobs[name]) for name in steps.send]
        places = ready(pair.folder, sum(missing_bytes(remote, pair.folder / remote.name) for remote in remotes))
        remotes += [_remote(pair, name, blobs[name]) for name in _copy(pair, steps.copy, blobs, places)]
        fetch(pair.container.http, remotes, places, crew=crew, tally=tally, facts=pair.facts, shown=pair.shown)
        tally.check()
        _delete(pair, steps.delete)
        pair.facts.keep({*source, *target}, source)
    return tally.report()


def ready(folder: Path, size: int) -> Places:
    """The places of a folder that exists, can be written to, and has room for the bytes; else `TransferFailed`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TransferFailed(f"{folder} cannot be written to: {error.strerror}. Nothing was downloaded.") from error
    free = shutil.disk_usage(folder).free
    if size > free:
        raise TransferFailed(
            f"{folder} has {size_text(free)} free, and {size_text(size)} are to come. Nothing was downloaded: make "
            "room, or use another folder."
        )
    return Places(folder)


def fetch(
    http: Http,
    remotes: Sequence[Remote],
    places: Places,
    *,
    crew: Crew,
    tally: Tally,
    facts: Facts,
    shown: bool | None = None,
) -> None:
    """Fetch files, the small ones side by side, the large ones piece by piece."""
    total = sum(remote.size or 0 for remote in remotes)
    with Progress("downloading", total, shown=shown) as progress:
        tally.progress = progress

        def small(remote: Remote) -> Remote | None:
            """What is too large for one piece is given back."""
            if (remote.size or 0) > PIECE:
                return remote
            came = tally.attempt(remote.name, lambda: fetch_small(http, remote, places.of(remote.name), progress))
            return _note(came, tally, facts)

        def pieces(remote: Remote) -> None:
            path = places.of(remote.name)
            came = tally.attempt(remote.name, lambda: fetch_large(http, remote, path, crew=crew, progress=progress))
            _note(came, tally, facts)

        for remote in [each for each in crew.map(small, remotes) if each is not None]:
            pieces(remote)


def _note(came: Came, tally: Tally, facts: Facts) -> Remote | None:
    """Remember at once what is here, whatever happens to the others."""
    if isinstance(came, Remote):
        return came
    if isinstance(came, Unchanged):
        tally.skipped.append(came.name)
    elif came is not None:
        tally.downloaded.append(came.name)
        facts.learn_local(came.name, came.file, came.md5)
        facts.learn_remote(came.name, came.etag, came.md5)
    return None


def _files_of(blobs: dict[str, Blob], tally: Tally) -> dict[str, Blob]:
    marks = dict(safe_names(blobs, {name: blob.size for name, blob in blobs.items()}))
    tally.ignored += [f"{name}: {reason}" for name, reason in sorted(marks.items())]
    return {name: blob for name, blob in blobs.items() if name not in marks}


def _remote(pair: Pair, name: str, blob: Blob) -> Remote:
    url = partial(pair.container.url, blob.name)
    return Remote(name, url, size=blob.size, etag=blob.etag, md5=blob.md5, modified=blob.modified)


def _copy(pair: Pair, renamed: Sequence[tuple[str, str]], blobs: Mapping[str, Blob], places: Places) -> list[str]:
    """Copy here what was renamed in the storage; names that are left to be fetched."""
    left = []
    for before, after in renamed:
        path, blob = places.of(after), blobs[after]
        beside = path.with_name(f".{os.getpid()}.copy{PART}")
        try:
            shutil.copyfile(places.of(before), beside)
            os.utime(beside, (blob.modified, blob.modified))
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            left.append(after)
            continue
        pair.tally.copied.append(after)
    return left


def _delete(pair: Pair, names: Sequence[str]) -> None:
    """What is behind a linked folder belongs to another place, and stays; a linked file goes, but not its target."""
    for name in names:
        link = linked_folder(pair.folder, name)
        if link:
            pair.tally.ignored.append(f"{name}: not deleted, for {link} is a link")
            continue
        (pair.folder / name).unlink(missing_ok=True)
        pair.tally.deleted.append(name)
