"""A script's command line as text for a shell, with `${{inputs.NAME}}` where SDK v2 is to put values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from azureml_wrapper.config.parameters import Parameter, render_argument, render_json
from azureml_wrapper.v2.bindings import Binding

# What the wrapper writes for SDK v1 where a parameter goes; in JSON, no other "$" is left.
_VARIABLE = re.compile(r"\$AML_PARAMETER_([A-Za-z_][A-Za-z0-9_]*)")

Place = Callable[[str], Binding]


def quote_json(value: Any, defaults: Mapping[str, Parameter], place: Place) -> str:
    """The JSON of a step's config: the bytes that a script gets in SDK v1, too."""
    return _join(render_json(value, defaults), defaults, place)


def quote_argument(value: Parameter, defaults: Mapping[str, Parameter], place: Place) -> str:
    return _join(render_argument(value), defaults, place)


def _join(text: str, defaults: Mapping[str, Parameter], place: Place) -> str:
    """Texts between single quotes, values between double ones: so it holds whether SDK v2 puts the value itself
    there or the name of a variable."""
    parts = _VARIABLE.split(text)
    words = []
    for number, part in enumerate(parts):
        if number % 2 and part in defaults:
            words.append(f'"{place(part)}"')
        elif number % 2:
            words.append(shlex.quote(f"$AML_PARAMETER_{part}"))
        elif part or len(parts) == 1:
            words.append(shlex.quote(part))
    return "".join(words)
