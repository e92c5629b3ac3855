"""From a folder of this machine to a datastore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from azureml_wrapper.transfer.container import Blob
from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.pair import Pair
from azureml_wrapper.transfer.plan import File, needs_hash, plan
from azureml_wrapper.transfer.progress import Progress
from azureml_wrapper.transfer.report import TransferReport
from azureml_wrapper.transfer.scan import LocalFile, scan
from azureml_wrapper.transfer.sending import BLOCK, Sent, send_large, send_small


def upload(pair: Pair) -> TransferReport:
    """Make the datastore's folder hold every file of this machine's."""
    tally = pair.tally
    with tally.telling(), Crew(pair.container.http.stop) as crew:
        listing = crew.start(pair.listing)
        found = scan(pair.folder)
        blobs, files = listing.result(), found.files
        tally.ignored += found.ignored
        source, target = pair.here(files), pair.there(blobs)
        pair.guard_delete(source, target)
        pair.hash(crew, needs_hash(source, target), files, source)
        steps = plan(source, target, delete=pair.delete)
        tally.skipped += steps.skip
        left = _copy(pair, crew, steps.copy, blobs, source)
        _send(pair, crew, {name: files[name] for name in (*left, *steps.send)})
        tally.check()
        _delete(pair, crew, [name for name in steps.delete if not found.is_unknown(name)])
        pair.facts.keep(files, {*source, *target})
    return tally.report()


def _send(pair: Pair, crew: Crew, files: Mapping[str, LocalFile]) -> None:
    tally, container = pair.tally, pair.container
    small = [name for name, file in files.items() if file.size <= BLOCK]
    large = [name for name, file in files.items() if file.size > BLOCK]
    with Progress("uploading", sum(file.size for file in files.values()), shown=pair.shown) as progress:
        tally.progress = progress

        def whole(name: str) -> None:
            sent = tally.attempt(name, lambda: send_small(container, pair.prefix + name, files[name]))
            progress.advance(sent.file.size if sent else 0)
            _note(pair, name, sent)

        def blocks(name: str) -> Sent:
            return send_large(container, pair.prefix + name, files[name], crew=crew, progress=progress)

        for _ in crew.map(whole, small):
            pass
        for name in large:
            _note(pair, name, tally.attempt(name, partial(blocks, name)))


def _note(pair: Pair, name: str, sent: Sent | None) -> None:
    """Remember at once what has arrived, whatever happens to the others."""
    if sent is not None:
        pair.tally.uploaded.append(name)
        pair.facts.learn_local(name, sent.file, sent.md5)
        pair.facts.learn_remote(name, sent.etag, sent.md5)


def _copy(
    pair: Pair,
    crew: Crew,
    renamed: Sequence[tuple[str, str]],
    blobs: Mapping[str, Blob],
    source: Mapping[str, File],
) -> list[str]:
    """Copy on the storage's side what was renamed on this one; names that are left to be sent."""

    def work(names: tuple[str, str]) -> tuple[str, str | None]:
        before, after = names
        return after, pair.container.copy(blobs[before], pair.prefix + after)

    left = []
    for name, etag in crew.map(work, renamed):
        if etag is None:
            left.append(name)
        else:
            pair.tally.copied.append(name)
            pair.facts.learn_remote(name, etag, source[name].md5 or "")
    return left


def _delete(pair: Pair, crew: Crew, names: Sequence[str]) -> None:
    def work(name: str) -> str:
        pair.container.delete(pair.prefix + name)
        return name

    for name in crew.map(work, names):
        pair.tally.deleted.append(name)
