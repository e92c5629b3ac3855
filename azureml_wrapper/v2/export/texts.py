"""Dictionaries as the YAML that is committed: keys in their order, long lines whole, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from azureml_wrapper.config.readers import CoreLoader

# Stands where a line of a command ends, until the text is made: a character that no command has.
BREAK = "\ue000"
HEADER = "# Written by `aml export` from a config; it writes this file again where the config has changed.\n"


class Command(str):
    """A command, with BREAK in the place of spaces where a line may end."""


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 takes for a number, too: a text such as 2e-5 must be one for every reader."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [
        *resolvers,
        *(each for each in CoreLoader.yaml_implicit_resolvers.get(first, []) if each not in resolvers),
    ]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def _represent_command(dumper: yaml.SafeDumper, command: Command) -> yaml.Node:
    # A folded text gets its line breaks afterwards; one with breaks of its own is written between quotes.
    style = None if "\n" in command else ">"
    text = command.replace(BREAK, " ") if style is None else str(command)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(Command, _represent_command)


def to_yaml(data: Mapping[str, Any]) -> str:
    """The text of a file."""
    text = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return HEADER + "".join(map(_break, text.splitlines(keepends=True)))


def to_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _break(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip(" ")))
    return line.replace(BREAK, f"\n{indent}")
