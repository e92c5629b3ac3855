"""`${{inputs.lr}}`, `${{parent.jobs.prepare.outputs.table}}`: references from one value of a file to another."""

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
    """`kind` is one of those above, or "unknown"; then `name` is everything between the braces."""

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
    """Parse what is between `${{` and `}}`."""
    for kind, pattern in _KINDS.items():
        found = pattern.fullmatch(inner)
        if found:
            return Binding(kind, found["name"], found.groupdict().get("job") or "")
    return Binding("unknown", inner)


def whole(text: object) -> Binding | None:
    """Return the binding if the whole value is one, else None."""
    found = _BINDING.fullmatch(text.strip()) if isinstance(text, str) else None
    return parse(found[1]) if found else None


def within(text: str) -> Iterator[Binding]:
    """Iterate over the bindings in a string."""
    return (parse(found[1]) for found in _BINDING.finditer(text))


def fill(text: str, value: Callable[[Binding], str]) -> str:
    """Return the string with each binding replaced."""
    return _BINDING.sub(lambda found: value(parse(found[1])), text)
