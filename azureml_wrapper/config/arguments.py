"""Checks the arguments of methods, without loading what checks them (calls.py) before the first call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def check_call(model: str, given: Mapping[str, Any]) -> None:
    """Check a method's arguments, given its `locals()`, before anything is sent.

    Args:
        model: Name of a class of calls.py.
        given: Argument -> value; others than those of the model are not looked at.

    Raises:
        WrongType: An argument has the wrong type (a TypeError).
        BadValue: An argument has an invalid value (a ValueError).
    """
    from azureml_wrapper.config import calls
    from azureml_wrapper.config.loader import check

    found = getattr(calls, model)
    check(found, {key: given[key] for key in found.model_fields})
