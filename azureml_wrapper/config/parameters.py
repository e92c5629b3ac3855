"""`${{parameters.lr}}`: a parameter of the pipeline in a step's config, and what Azure ML puts there.

Azure ML expands `$AML_PARAMETER_lr` in a script's arguments if the step has a parameter `lr`. So a config is sent as
JSON with that in it, every run gets its own values, whoever started it, and the script gets plain JSON. A string is
inserted between quotes as it is; other values are JSON themselves.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from azureml_wrapper.errors import BadParameter, did_you_mean

Parameter = str | int | float | bool
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLACEHOLDER = re.compile(r"\$\{\{\s*parameters\.([^\s{}]*)\s*\}\}")
_VARIABLE = "$AML_PARAMETER_{}"
# What would end a JSON string, or is not allowed in one.
_NOT_IN_JSON = re.compile(r'["\\\x00-\x1f]')


def used(value: Any) -> set[str]:
    """The parameters that a value of a config uses, at any depth."""
    return {name for _, text in _texts(value, "") for name in PLACEHOLDER.findall(text)}


def used_as_keys(value: Any) -> set[str]:
    """The parameters that are used in keys, which cannot have values."""
    if isinstance(value, Mapping):
        own = {name for key in value for name in PLACEHOLDER.findall(str(key))}
        return own.union(*map(used_as_keys, value.values()))
    return set().union(*map(used_as_keys, value)) if isinstance(value, (list, tuple)) else set()


def render_json(value: Any, defaults: Mapping[str, Parameter]) -> str:
    """JSON for a script's argument, with the variables that Azure ML expands.

    Azure ML would expand any `$name` before the script sees it, so every "$" of the config is escaped.
    """
    if isinstance(value, Mapping):
        items = (f"{_quote(str(key))}: {render_json(item, defaults)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(render_json(item, defaults) for item in value) + "]"
    return _json_text(value, defaults) if isinstance(value, str) else json.dumps(value)


def render_argument(value: Parameter) -> str:
    """A word for the command line; raises `BadParameter` if what follows a variable would become part of its name."""
    text = value if isinstance(value, str) else to_text(value)
    literals, names = _split(text)
    for name, after in zip(names, literals[1:], strict=True):
        if _is_word(after[:1]):
            raise BadParameter(
                f"In the argument {text!r}, {name} is followed by {after[0]!r}; put a '-' between them."
            )
    return literals[0] + "".join(map(str.__add__, map(_VARIABLE.format, names), literals[1:]))


def to_text(value: Parameter) -> str:
    """A value as a script finds it on its command line: JSON, except a string, which is itself."""
    return value if isinstance(value, str) else json.dumps(value)


def assign(
    defaults: Mapping[str, Parameter], given: Mapping[str, Any], in_json: set[str], paths: Iterable[str] = ()
) -> dict[str, Parameter]:
    """The values for a run, each of the type of its default; raises `BadParameter`.

    Args:
        defaults: Parameter -> default.
        given: Parameter -> value; a number, true and false may be strings, as on a command line.
        in_json: The parameters that a step_config uses.
        paths: The pipeline's parameters that are paths; their values are not returned.
    """
    names = [*defaults, *paths]
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        known = did_you_mean(unknown, names) or f" Its parameters: {', '.join(names) or 'none'}."
        raise BadParameter(f"The pipeline has no parameter {unknown!r}.{known}")
    values = {name: _convert(name, defaults[name], value) for name, value in given.items() if name in defaults}
    for name in in_json & values.keys():
        check_in_json(name, values[name])
    return values


def breaks_json(value: Parameter) -> bool:
    """Whether a value cannot be inserted into JSON as it is."""
    return isinstance(value, str) and _NOT_IN_JSON.search(value) is not None


def in_json(argument: str, names: Iterable[str]) -> list[str]:
    """The parameters among `names` that an argument uses, if the argument comes from `render_json`."""
    text = argument if argument.startswith("{") else ""
    return [name for name in names if re.search(re.escape(_VARIABLE.format(name)) + r"(?![A-Za-z0-9_])", text)]


def check_in_json(name: str, value: Parameter) -> None:
    """Raise `BadParameter` for a string that would break the JSON that it is inserted into."""
    wrong = _NOT_IN_JSON.search(value) if isinstance(value, str) else None
    if wrong:
        raise BadParameter(f"The parameter {name} is used in a step_config and cannot contain {wrong[0]!r}.")


def _convert(name: str, default: Parameter, value: Any) -> Parameter:
    parsed = _parse(value) if isinstance(value, str) and not isinstance(default, str) else value
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    if isinstance(parsed, bool) != isinstance(default, bool) or not isinstance(
        parsed, (int, float) if number else type(default)
    ):
        expected = "true or false" if isinstance(default, bool) else "a number" if number else "a string"
        raise BadParameter(
            f"The parameter {name} must be {expected}, like its default {to_text(default)}; got {value!r}."
        )
    if isinstance(parsed, float) and not math.isfinite(parsed):
        raise BadParameter(f"The parameter {name} is {parsed}, which JSON does not have.")
    if isinstance(default, float):
        return float(parsed)
    if isinstance(default, int) and not isinstance(default, bool) and parsed != int(parsed):
        # The SDK holds a parameter to the type of its default (azureml/pipeline/core/_aeva_provider.py).
        raise BadParameter(f"The parameter {name} must be an integer, like its default {default}; got {value!r}.")
    return int(parsed) if number else parsed


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def _json_text(text: str, defaults: Mapping[str, Parameter]) -> str:
    literals, names = _split(text)
    if literals == ["", ""] and not isinstance(defaults.get(names[0], ""), str):
        return _VARIABLE.format(names[0])
    parts = [_VARIABLE.format(name) + _part(after) for name, after in zip(names, literals[1:], strict=True)]
    return f'"{_quote(literals[0])[1:-1]}{"".join(parts)}"'


def _part(after: str) -> str:
    """The text after a variable; its first letter is escaped so that it does not become part of the name."""
    inner = _quote(after)[1:-1]
    return f"\\u{ord(inner[0]):04x}{inner[1:]}" if _is_word(inner[:1]) else inner


def _split(text: str) -> tuple[list[str], list[str]]:
    """The text around the placeholders, and the names in them: one more text than names."""
    parts = PLACEHOLDER.split(text)
    return parts[::2], parts[1::2]


def _quote(text: str) -> str:
    return json.dumps(text).replace("$", "\\u0024")


def _is_word(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())
