"""What is wrong with a config, collected and reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from azureml_wrapper.config.readers import Document, KeyPath
from azureml_wrapper.errors import BadValue, ConfigError, MissingKey, SeveralProblems, WrongType


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where; `error` is the class to raise if it is the only one."""

    error: type[ConfigError]
    path: KeyPath
    message: str


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
    name = str(document.path) if document.path else f"The config of a {what}"
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
