"""What has to be done to make one side like the other: no file is read and no request made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """What is known of a file, here or there; `md5` is base64, None where it is not known."""

    size: int
    md5: str | None = None


@dataclass(frozen=True)
class Plan:
    """Names by what is to be done with them; `copy` is (name there already, new name)."""

    send: tuple[str, ...] = ()
    copy: tuple[tuple[str, str], ...] = ()
    skip: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def needs_hash(source: Mapping[str, File], target: Mapping[str, File]) -> list[str]:
    """Names in `source` whose content may be at the target already: only their MD5 can tell.

    That is a file of the same name and size, or of a new name and the size of a file that is there and not here any
    more, so that it may have been renamed.
    """
    gone = {file.size for name, file in target.items() if name not in source and file.md5}
    return [
        name
        for name, file in source.items()
        if file.md5 is None
        and (_may_equal(file, target[name]) if name in target else file.size > 0 and file.size in gone)
    ]


def plan(source: Mapping[str, File], target: Mapping[str, File], *, delete: bool = False) -> Plan:
    """The steps that make `target` hold every file of `source`.

    A file is the same where size and MD5 are; where the target's MD5 is not known, it is sent. A file of a new name
    whose content is at the target, under a name that `source` does not have any more, is copied there. What `source`
    does not have stays, but with `delete`.
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


def _equal(one: File, other: File) -> bool:
    return one.size == other.size and one.md5 is not None and one.md5 == other.md5


def _may_equal(one: File, other: File) -> bool:
    return one.size == other.size and other.md5 is not None
