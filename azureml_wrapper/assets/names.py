"""Azure ML's rules for names, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from azureml_wrapper.errors import BadArgument, BadName

# The service refuses "-": recorded error messages of 2023.
_DATASTORE = re.compile(r"[a-z0-9_]{1,255}")
# A recorded error message of 2020 says 2 to 16 characters; clusters with longer names have been created since.
_COMPUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]")
# The service's message: "Experiment name must be 1-256 characters, start with a letter or a number, and can only
# contain letters, numbers, underscores, and dashes."
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")


def check_datastore_name(name: str) -> str:
    """Return the name; `BadName` lists the invalid characters and suggests another name."""
    if _DATASTORE.fullmatch(_string("datastore", name)):
        return name
    wrong = _wrong_characters(name, r"[a-z0-9_]")
    proposal = re.sub(r"[^a-z0-9_]", "_", name.lower())
    raise BadName(
        f"Invalid datastore name {name!r}: Azure ML allows only lowercase letters, digits and '_'{wrong}."
        + (f" Use a name such as {proposal!r}." if proposal.strip("_") else "")
    )


def check_experiment_name(name: str) -> str:
    """Return the name; `BadName` lists the invalid characters and suggests another name."""
    if _EXPERIMENT.fullmatch(_string("experiment", name)):
        return name
    wrong = _wrong_characters(name, r"[A-Za-z0-9_-]")
    proposal = _experiment_of(name)
    raise BadName(
        f"Invalid experiment name {name!r}: Azure ML allows 1 to 256 letters, digits, '_' and '-', starting with a "
        f"letter or digit{wrong}." + (f" Use a name such as {proposal!r}." if proposal else "")
    )


def check_pipeline_name(name: object) -> str:
    """Return the name of a published pipeline, which may have any characters; `BadName` if it is empty."""
    if isinstance(name, str) and name.strip():
        return name
    raise BadName(f"The name of a published pipeline must be a non-empty string, got {name!r}.")


def as_experiment_name(name: str) -> str:
    """Turn another name into a valid name of an experiment."""
    return _experiment_of(name) or "pipeline"


def choose_experiment_name(given: str | None, last: Any, pipeline: str) -> str:
    """The experiment of a published pipeline: the given one, else that of the last run, else the pipeline's name."""
    if given is not None:
        return check_experiment_name(given)
    return str(last.name) if last else as_experiment_name(pipeline)


def _experiment_of(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:256]


def check_new_workspace_name(name: str) -> str:
    """Return the name of a new workspace; `BadName` if it is invalid (azureml/_base_sdk_common/common.py)."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}", name):
        return name
    raise BadName(
        f"Workspace {name!r} does not exist, and its name is invalid for a new one: Azure ML requires 3 to 33 "
        f"letters, digits, '_' and '-', starting with a letter or digit{_wrong_characters(name, r'[A-Za-z0-9_-]')}."
    )


def check_compute_name(name: str) -> str:
    """Return the name; `BadName` lists the invalid characters and suggests another name."""
    if _COMPUTE.fullmatch(_string("compute", name)):
        return name
    wrong = _wrong_characters(name, r"[A-Za-z0-9-]")
    proposal = re.sub(r"[^A-Za-z0-9-]+", "-", name).lstrip("-0123456789")[:32].strip("-")
    raise BadName(
        f"Invalid compute name {name!r}: Azure ML allows 2 to 32 letters, digits and '-', starting with a letter and "
        f"ending with a letter or digit{wrong}." + (f" Use a name such as {proposal!r}." if proposal[1:] else "")
    )


def input_name(dataset: str) -> str:
    """The name of a dataset in `run.input_datasets`: its own name, as far as Azure ML allows.

    An input becomes an environment variable of the job, which allows only ASCII letters, digits and "_", and no digit
    at the start (azureml/data/_config_helper.py): every other character becomes "_".
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", dataset)
    return f"_{name}" if name[:1].isdigit() else name


def folder_name(name: str) -> str:
    """A file name for a step or a run; characters that could lead out of a folder become "_"."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", name).strip(". ")[:200] or "_"


def distinct_names(names: Sequence[str], same: Callable[[str], str] = str) -> list[str]:
    """Number the names that occur repeatedly, and leave the others: "train", "train (2)", "test".

    Args:
        names: Names in the order in which they are numbered.
        same: What two names share that count as equal, for example `str.casefold`; by default the name itself.
    """
    taken, seen = set(map(same, names)), set()
    numbers: dict[str, int] = {}
    found = []
    for name in names:
        chosen, key = name, same(name)
        if key in seen:
            while same(chosen) in taken:
                numbers[key] = numbers.get(key, 1) + 1
                chosen = f"{name} ({numbers[key]})"
        seen.add(key)
        taken.add(same(chosen))
        found.append(chosen)
    return found


def _string(noun: str, name: Any) -> str:
    if not isinstance(name, str):
        raise BadArgument(f"The {noun} name must be a non-empty string, got {name!r}.")
    return name


def _wrong_characters(name: str, allowed: str) -> str:
    wrong = sorted({character for character in name if not re.match(allowed, character)})
    return f"; invalid in it: {' '.join(map(repr, wrong))}" if wrong else ""
