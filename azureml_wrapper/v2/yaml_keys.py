"""Reads YAML of `az ml` key by key: which keys are known or refused, and on which line.

Each type of file has a table of its keys. The readers and docs/v2-yaml.md both follow these tables, so that they
cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_wrapper.config.parsing import Document, KeyPath, Problem, as_error, show_path
from azureml_wrapper.errors import BadValue, ConfigError, MissingKey, WrongType, did_you_mean

_NAMES = {bool: "true or false", str: "a string", dict: "a mapping", list: "a list", int: "an integer"}


@dataclass
class Reading:
    """A document and what was found in it so far: `notes` for the user, `problems` that `finish` raises."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def top(self) -> Place:
        """The place of the whole document."""
        return Place(self, (), self.document.data)

    def finish(self, what: str) -> None:
        """Raise all problems at once, in the order of the file."""
        if self.problems:
            raise as_error(self.problems, self.document, what=what)


@dataclass(frozen=True)
class Place:
    """A value of a document, and its path in it."""

    reading: Reading
    path: KeyPath
    value: Any

    def __str__(self) -> str:
        return show_path(self.path) or "the file"

    @property
    def key(self) -> str:
        """The last key of the path."""
        return str(self.path[-1])

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self.reading.document.folder

    @property
    def where(self) -> str:
        """`job.yml, line 7`, for an error that is found later."""
        line = self.reading.document.line(self.path)
        return f"{self.reading.document.path}, line {line}" if line else str(self.reading.document.path)

    def at(self, key: str | int) -> Place:
        """Return the value of a key, or of an index of a list."""
        return Place(self.reading, (*self.path, key), self.value[key])

    def items(self) -> Iterator[Place]:
        """Iterate over the values of a mapping or a list."""
        for key in self.value if isinstance(self.value, dict) else range(len(self.value)):
            yield self.at(key)

    def fail(self, message: str, error: type[ConfigError] = BadValue) -> None:
        """Note a problem at this place."""
        self.reading.problems.append(Problem(error, self.path, message))

    def note(self, message: str) -> None:
        """Note something that users should know about this place."""
        line = self.reading.document.line(self.path)
        self.reading.notes.append(f"line {line}: {message}" if line else message)

    def is_a(self, kind: type) -> bool:
        """Return whether the value has this type; add a problem if not."""
        if isinstance(self.value, kind) and (kind is bool or not isinstance(self.value, bool)):
            return True
        found = "empty" if self.value is None else f"{self.value!r}"[:80]
        self.fail(f"{self} must be {_NAMES[kind]}, got {found}.", WrongType)
        return False


Reader = Callable[[Place], Any]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that is read; `becomes` says what it becomes in SDK v1."""

    read: Reader
    becomes: str
    needed: bool = False
    default: Any = None


@dataclass(frozen=True)
class Noted:
    """A descriptive key that SDK v1 cannot store: it is accepted, with this note."""

    why: str


@dataclass(frozen=True)
class Refused:
    """A key that SDK v1 does not support."""

    why: str


Keys = Mapping[str, Key | Noted | Refused]
SCHEMA = Key(read=lambda place: None, becomes="accepted; for editors")


def read_keys(place: Place, keys: Keys) -> dict[str, Any]:
    """Return the values of the keys in a table, with defaults; every other key is a problem."""
    if not place.is_a(dict):
        return {name: key.default for name, key in keys.items() if isinstance(key, Key)}
    for item in place.items():
        _judge(item, keys)
    found = {}
    for name, key in keys.items():
        if isinstance(key, Key):
            found[name] = _read(place, name, key)
    found.pop("$schema", None)
    return found


def _judge(item: Place, keys: Keys) -> None:
    key = keys.get(item.key)
    if key is None:
        known = [name for name, each in keys.items() if isinstance(each, Key)]
        hint = did_you_mean(item.key, known) or f" Known keys: {', '.join(known)}."
        item.fail(f"Unknown key {item}.{hint}")
    elif isinstance(key, Refused) and item.value is not None:
        item.fail(f"{item} is refused: {key.why}.")
    elif isinstance(key, Noted) and item.value is not None:
        item.note(f"{item} is not kept: {key.why}.")


def _read(place: Place, name: str, key: Key) -> Any:
    if name in place.value and (place.value[name] is not None or key.needed):
        value = key.read(place.at(name))
        return key.default if value is None else value
    if key.needed:
        missing = Place(place.reading, (*place.path, name), None)
        missing.fail(f"{missing} is missing.", MissingKey)
    return key.default


def text(place: Place) -> str | None:
    """Read a string; a number, such as the version 1, is accepted too."""
    if isinstance(place.value, (int, float)) and not isinstance(place.value, bool):
        return str(place.value)
    if place.is_a(str) and not place.value:
        place.fail(f"{place} is empty.")
    return place.value if isinstance(place.value, str) else None


def truth(place: Place) -> bool | None:
    """A boolean; a problem if it is none."""
    return place.value if place.is_a(bool) else None


def whole(least: int, most: int | None = None) -> Reader:
    """Read an integer from `least` to `most`."""

    def read(place: Place) -> int | None:
        if not place.is_a(int):
            return None
        if place.value < least or (most is not None and place.value > most):
            room = f"at least {least}" if most is None else f"{least} to {most}"
            place.fail(f"{place} is {place.value}; must be {room}.")
        return int(place.value)

    return read


def one_of(*allowed: str) -> Callable[[Place], str | None]:
    """A reader of strings that notes a problem for any other than these."""

    def read(place: Place) -> str | None:
        value = text(place)
        if value is not None and value not in allowed:
            hint = did_you_mean(value, allowed) or f" Use {' or '.join(allowed)}."
            place.fail(f"{place} is {value!r}.{hint}")
        return value

    return read


def texts(place: Place) -> dict[str, str]:
    """Read a mapping of strings; numbers, true and false are written as in YAML."""
    if not place.is_a(dict):
        return {}
    return {item.key: _scalar(item) for item in place.items()}


def _scalar(place: Place) -> str:
    if isinstance(place.value, (dict, list)):
        place.fail(
            f"{place} must be a string, got a {'mapping' if isinstance(place.value, dict) else 'list'}.", WrongType
        )
    return str(place.value).lower() if isinstance(place.value, bool) else str(place.value)


def mapping_of(read: Callable[[Place], Any]) -> Reader:
    """Read a mapping of names to what `read` returns."""

    def read_mapping(place: Place) -> dict[str, Any]:
        return {item.key: read(item) for item in place.items()} if place.is_a(dict) else {}

    return read_mapping


def existing_path(place: Place) -> Path | None:
    """Read the path of an existing file or folder, relative to the YAML file."""
    if not place.is_a(str):
        return None
    path = place.folder / Path(place.value).expanduser()
    if not path.exists():
        place.fail(f"{place} is {place.value!r}, but {path} does not exist.")
    return path
