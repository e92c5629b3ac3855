"""Names and sizes that Azure ML's run history accepts from clients.

Sources: Microsoft Learn, "Azure Machine Learning service limits" (2023-09), and error messages of the live service.
They do not apply to what the service itself writes: AutoML's own properties are three times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from azureml_wrapper.local.domain.errors import Invalid

TAG_COUNT = 50
PROPERTY_COUNT = 50
KEY_LENGTH = 100
EXPERIMENT_KEY_LENGTH = 250
VALUE_LENGTH = 1000
DISPLAY_NAME_LENGTH = 256
DESCRIPTION_LENGTH = 5000
ERROR_LENGTH = 3000
WARNING_LENGTH = 300
# What the database can hold.
INTEGERS = range(-(2**63), 2**63)

_EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")


def is_number(text: str) -> bool:
    """Whether a string is an integer that the database can hold. `str.isdigit` also accepts "²" and 5000 digits."""
    return _NUMBER.fullmatch(text) is not None


def read_integer(value: object, what: str) -> int:
    """An integer that the database can hold, from a number or its digits; raise `Invalid` if it is none."""
    try:
        number = int(value)  # type: ignore[call-overload] # a TypeError for an object or a list
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"Invalid {what} {str(value)[:80]!r}: expected an integer.") from error
    if number not in INTEGERS:
        raise Invalid(f"Invalid {what} {str(value)[:80]!r}: an integer has at most 64 bits.")
    return int(number)


def check_experiment_name(name: str) -> None:
    """Raise `Invalid`, in Azure's words, for a name that experiments must not have."""
    if not _EXPERIMENT_NAME.fullmatch(name):
        raise Invalid(
            "Experiment name must be 1-256 characters, start with a letter or a number, "
            "and can only contain letters, numbers, underscores, and dashes."
        )


def check_run_id(run_id: str) -> None:
    """Raise `Invalid` for an id that is invalid in a path or in `dcid.<run id>`."""
    if not _RUN_ID.fullmatch(run_id):
        raise Invalid(f"Invalid run id {run_id[:300]!r}: use 1 to 256 letters, digits, underscores and dashes.")


def check_length(field: str, text: str | None, limit: int) -> None:
    """Raise `Invalid` for a string that is longer than `limit` characters."""
    check_size(field, len(text or ""), limit)


def check_size(field: str, size: int, limit: int) -> None:
    """Raise `Invalid`, in the words of the live service (2024), if `size` is over `limit`."""
    if size > limit:
        raise Invalid(
            f"A field of the entity is over the size limit. FieldName={field}, Limit={limit}, Size={size}. "
            "See https://aka.ms/azure-machine-learning-limits for service limits documentation.",
            code="ValidationError",
        )


def check_pairs(field: str, pairs: Mapping[str, str | None], *, keys: int = KEY_LENGTH) -> None:
    """Raise `Invalid` for a key or value of tags or properties that is too long. Counts are checked after merging."""
    for key, value in pairs.items():
        check_length(f"{field}/Key", key, keys)
        check_length(f"{field}/Value", value, VALUE_LENGTH)
