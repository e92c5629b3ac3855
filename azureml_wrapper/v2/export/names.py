"""Names as SDK v2 wants them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

NODE = re.compile(r"[a-z_][a-z0-9_]*")


def node_names(steps: Iterable[str]) -> dict[str, str]:
    """Step -> name of its node, as azure-ai-ml takes them: small letters, digits and "_", no two alike."""
    names: dict[str, str] = {}
    for step in steps:
        wanted = name = as_node(step)
        number = 2
        while name in names.values():
            name, number = f"{wanted}_{number}", number + 1
        names[step] = name
    return names


def as_node(step: str) -> str:
    plain = unicodedata.normalize("NFKD", step).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "_", plain.lower()).strip("_") or "step"
    return name if NODE.fullmatch(name) else f"step_{name}"


def free(wanted: str, taken: Iterable[str]) -> str:
    """`wanted`, or with a "_" behind it: SDK v2 takes names that differ in their case only for the same."""
    name = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    there = {each.lower() for each in taken}
    while name.lower() in there:
        name += "_"
    return name
