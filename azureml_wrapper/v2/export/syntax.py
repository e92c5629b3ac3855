"""How SDK v2 wants things written: names, command lines, and YAML that is the same bytes each time."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from azureml_wrapper.config.parameters import Parameter, render_argument, render_json
from azureml_wrapper.config.parsing import CoreLoader
from azureml_wrapper.v2.references import Binding

# Marks where a line of a command may end, until the YAML is written; no command has this character.
BREAK = "\ue000"
HEADER = "# Written by `aml export` from a config; it writes this file again where the config has changed.\n"
_NODE = re.compile(r"[a-z_][a-z0-9_]*")
# What the wrapper writes for SDK v1 in place of a parameter; JSON has no other "$".
_VARIABLE = re.compile(r"\$AML_PARAMETER_([A-Za-z_][A-Za-z0-9_]*)")

# Parameter -> the input that holds its value.
Bind = Callable[[str], Binding]


def node_names(steps: Iterable[str]) -> dict[str, str]:
    """Step -> name of its node as azure-ai-ml takes them: lowercase letters, digits and "_", each once."""
    names: dict[str, str] = {}
    for step in steps:
        wanted = name = as_node(step)
        number = 2
        while name in names.values():
            name, number = f"{wanted}_{number}", number + 1
        names[step] = name
    return names


def as_node(step: str) -> str:
    """The name of a step as v2 allows it for a node."""
    plain = unicodedata.normalize("NFKD", step).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "_", plain.lower()).strip("_") or "step"
    return name if _NODE.fullmatch(name) else f"step_{name}"


def free(wanted: str, taken: Iterable[str]) -> str:
    """`wanted`, with "_" appended until it is unused: for SDK v2, names that differ only in case are the same."""
    name = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    used = {each.lower() for each in taken}
    while name.lower() in used:
        name += "_"
    return name


def quote_json(value: Any, defaults: Mapping[str, Parameter], bind: Bind) -> str:
    """A step_config for a shell: the same JSON that the script gets in SDK v1."""
    return _quote(render_json(value, defaults), defaults, bind)


def quote_argument(value: Parameter, defaults: Mapping[str, Parameter], bind: Bind) -> str:
    """Quote an argument for bash; its parameters become v2's placeholders."""
    return _quote(render_argument(value), defaults, bind)


def _quote(text: str, defaults: Mapping[str, Parameter], bind: Bind) -> str:
    """Text between single quotes, values between double ones.

    This is right whether SDK v2 puts the value itself there or the name of a variable.
    """
    parts = _VARIABLE.split(text)
    words = []
    for number, part in enumerate(parts):
        if number % 2 and part in defaults:
            words.append(f'"{bind(part)}"')
        elif number % 2:
            words.append(shlex.quote(f"$AML_PARAMETER_{part}"))
        elif part or len(parts) == 1:
            words.append(shlex.quote(part))
    return "".join(words)


class Command(str):
    """A command, with BREAK instead of the spaces where a line may end."""


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 reads as a number, too: a string such as 2e-5 must be one for every reader."""

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
    # A folded scalar gets its line breaks afterwards; one with breaks of its own is quoted.
    style = None if "\n" in command else ">"
    text = command.replace(BREAK, " ") if style is None else str(command)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(Command, _represent_command)


def to_yaml(data: Mapping[str, Any]) -> str:
    """The content of a YAML file, with its keys in their order."""
    text = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return HEADER + "".join(map(_break, text.splitlines(keepends=True)))


def to_json(data: Mapping[str, Any]) -> str:
    """Write data as JSON, as in all files of an export."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _break(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip(" ")))
    return line.replace(BREAK, f"\n{indent}")
