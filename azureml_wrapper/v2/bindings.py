"""`${{inputs.lr}}`, `${{parent.jobs.prepare.outputs.table}}`: where one value of a file stands for another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_BINDING = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_NAME = r"[A-Za-z_][\w-]*"
_KINDS = {
    "input": re.compile(rf"inputs\.(?P<name>{_NAME})"),
    "output": re.compile(rf"outputs\.(?P<name>{_NAME})"),
    "search": re.compile(rf"search_space\.(?P<name>{_NAME})"),
    "parent input": re.compile(rf"parent\.inputs\.(?P<name>{_NAME})"),
    "parent output": re.compile(rf"parent\.outputs\.(?P<name>{_NAME})"),
    "job output": re.compile(rf"parent\.jobs\.(?P<job>{_NAME})\.outputs\.(?P<name>{_NAME})"),
}


@dataclass(frozen=True)
class Binding:
    """`kind` is one of those above, or "unknown", in which case `name` is all that stands between the braces."""

    kind: str
    name: str
    job: str = ""

    def __str__(self) -> str:
        words = {
            "input": "inputs.",
            "output": "outputs.",
            "search": "search_space.",
            "parent input": "parent.inputs.",
            "parent output": "parent.outputs.",
            "job output": f"parent.jobs.{self.job}.outputs.",
        }
        return f"${{{{{words.get(self.kind, '')}{self.name}}}}}"


def parse(inner: str) -> Binding:
    """What stands between `${{` and `}}`."""
    for kind, pattern in _KINDS.items():
        found = pattern.fullmatch(inner)
        if found:
            return Binding(kind, found["name"], found.groupdict().get("job") or "")
    return Binding("unknown", inner)


def whole(text: object) -> Binding | None:
    """The binding that a value consists of; None where it is something else."""
    found = _BINDING.fullmatch(text.strip()) if isinstance(text, str) else None
    return parse(found[1]) if found else None


def within(text: str) -> Iterator[Binding]:
    """Every binding in a text."""
    return (parse(found[1]) for found in _BINDING.finditer(text))


def fill(text: str, value: Callable[[Binding], str]) -> str:
    """The text with each binding replaced."""
    return _BINDING.sub(lambda found: value(parse(found[1])), text)


def in_single_quotes(text: str) -> Iterator[Binding]:
    """Bindings of a shell command that stand within '…', where a shell would not replace a variable."""
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        found = _BINDING.match(text, position)
        if found:
            if quote == "'":
                yield parse(found[1])
            position = found.end()
            continue
        if character == "\\" and quote != "'":
            position += 1
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        position += 1
