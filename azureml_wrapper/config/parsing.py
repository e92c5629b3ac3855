"""From a file to plain data with the line of every key, and the problems that are reported at those lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from azureml_wrapper.errors import (
    BadValue,
    ConfigError,
    ConfigNotFound,
    ConfigSyntax,
    MissingKey,
    SeveralProblems,
    WrongType,
)

KeyPath = tuple[str | int, ...]

# libyaml if PyYAML was built with it: about ten times as fast.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CoreLoader(_Base):  # type: ignore[misc]
    """YAML 1.2's core schema, so that a YAML config means what the same JSON does.

    PyYAML's own loader reads YAML 1.1: `2e-5` is a string, `no` is false, `12:30` is 750 and `2024-01-01` a date.
    """


CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", list("-+.0123456789")),
    ("float", r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+.")),
    ("merge", r"<<$", ["<"]),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
# YAML 1.1 reads 017 as octal.
CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


@dataclass(frozen=True)
class Document:
    """A config as written: its data, its file, and the line of each key."""

    data: Any
    path: Path | None = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    duplicates: tuple[KeyPath, ...] = ()

    @property
    def folder(self) -> Path:
        """What relative paths in the config are relative to: the file's folder, or the current one."""
        return self.path.parent if self.path else Path.cwd()

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest key around it that the file has."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read(path: Path) -> Document:
    """Read a .json, .yml or .yaml file; raises `ConfigNotFound`, `ConfigSyntax` or `BadValue`."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadValue(f"{path} is not a config: its name must end with {', '.join(READERS)}.")
    try:
        # Editors on Windows may write a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigSyntax(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except OSError as error:
        raise ConfigNotFound(f"{path} cannot be read ({error.strerror}).") from error
    return reader(path, text)


def _read_json(path: Path, text: str) -> Document:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigSyntax(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.") from error
    return Document(data, path, *_index(_json_nodes(text)))


def read_yaml(path: Path, text: str | bytes) -> Document:
    """Read YAML: a string, or bytes in UTF-8 or UTF-16; raises `ConfigSyntax`."""
    loader = CoreLoader(text)
    try:
        root = loader.get_single_node()
        # First, because the constructor replaces `<<` by the keys that it stands for.
        index = _index(root)
        data = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigSyntax(f"{path}{place}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ConfigSyntax(f"{path}: {error}") from error
    finally:
        loader.dispose()
    return Document(data, path, *index)


READERS: dict[str, Callable[[Path, str], Document]] = {
    ".json": _read_json,
    ".yml": read_yaml,
    ".yaml": read_yaml,
}


def _json_nodes(text: str) -> yaml.Node | None:
    """JSON is YAML, except for tabs between tokens. If PyYAML objects to anything else, lines are unknown."""
    try:
        root: yaml.Node | None = yaml.compose(text.replace("\t", " "), Loader=CoreLoader)
    except yaml.YAMLError:
        return None
    return root


def _index(root: yaml.Node | None) -> tuple[dict[KeyPath, int], tuple[KeyPath, ...]]:
    """The line of each key, and the keys that appear twice."""
    lines: dict[KeyPath, int] = {}
    duplicates: list[KeyPath] = []
    for key, line in _walk(root, (), set()):
        if key in lines:
            duplicates.append(key)
        lines[key] = line
    return lines, tuple(duplicates)


def _walk(node: yaml.Node | None, path: KeyPath, seen: set[int]) -> Iterator[tuple[KeyPath, int]]:
    # An alias is its anchor's node again; going into it once keeps a nest of aliases from growing without bounds.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _walk(value, here, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _walk(item, (*path, index), seen)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where; `error` is the class to raise if it is the only one.

    A `stray` key is not known, and does not matter in a dict (stray_keys.py).
    """

    error: type[ConfigError]
    path: KeyPath
    message: str
    stray: bool = False


def show_path(path: KeyPath) -> str:
    """`steps.train.input_datasets` or `steps[0]`; a part that is not a plain word is quoted."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum() and not part.startswith("-"):
            shown += f".{part}" if shown else part
        else:
            shown += f"[{part!r}]"
    return shown


def as_error(problems: Sequence[Problem], document: Document, *, what: str) -> ConfigError:
    """One error for all problems, in the order of the file."""
    ordered = sorted(problems, key=lambda problem: document.line(problem.path) or 0)
    lines = [_line(problem, document) for problem in ordered]
    # A call of a method has arguments instead of a config.
    noun = what if what.endswith("()") else f"The config of a {what}"
    name = str(document.path) if document.path else noun
    if len(lines) == 1:
        message = f"{name}: {lines[0]}"
    else:
        message = f"{name} has {len(lines)} problems:\n" + "\n".join(f"  {line}" for line in lines)
    return _class_of(problems)(message)


def _line(problem: Problem, document: Document) -> str:
    number = document.line(problem.path)
    return (f"line {number}: " if number else "") + problem.message


def _class_of(problems: Sequence[Problem]) -> type[ConfigError]:
    """The common class, or one that is a KeyError, a TypeError and a ValueError at once."""
    classes = {problem.error for problem in problems}
    for single in (MissingKey, WrongType, BadValue):
        if classes == {single}:
            return single
    return SeveralProblems
