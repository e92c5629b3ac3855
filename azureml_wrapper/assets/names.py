"""Azure ML's rules for names, checked before a request is made."""

from __future__ import annotations

import re

from azureml_wrapper.errors import BadName

# The service refuses "-" in them: saved error texts of 2023.
_DATASTORE = re.compile(r"[a-z0-9_]{1,255}")
# A saved error text of 2020 says 2 to 16 characters; clusters with longer names have been made since.
_COMPUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]")
# The service's own words: "Experiment name must be 1-256 characters, start with a letter or a number, and can only
# contain letters, numbers, underscores, and dashes."
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")


def check_datastore_name(name: str) -> str:
    """The name, or a `BadName` that says which characters are wrong and proposes another."""
    if _DATASTORE.fullmatch(name):
        return name
    wrong = _wrong_characters(name, r"[a-z0-9_]")
    proposal = re.sub(r"[^a-z0-9_]", "_", name.lower())
    raise BadName(
        f"Azure ML does not take the datastore name {name!r}: only small letters, digits and '_' are allowed{wrong}."
        + (f" Use {proposal!r}, for instance." if proposal.strip("_") else "")
    )


def check_experiment_name(name: str) -> str:
    """The name, or a `BadName` that says which characters are wrong and proposes another."""
    if _EXPERIMENT.fullmatch(name):
        return name
    wrong = _wrong_characters(name, r"[A-Za-z0-9_-]")
    proposal = _experiment_of(name)
    raise BadName(
        f"Azure ML does not take the experiment name {name!r}: 1 to 256 letters, digits, '_' and '-', beginning with "
        f"a letter or a digit{wrong}." + (f" Use {proposal!r}, for instance." if proposal else "")
    )


def check_pipeline_name(name: object) -> str:
    """The name of a published pipeline, which may have any characters; `BadName` where it has none."""
    if isinstance(name, str) and name.strip():
        return name
    raise BadName(f"A pipeline is published under a name that is not empty, not {name!r}.")


def as_experiment_name(name: str) -> str:
    """A name of something else as that of an experiment."""
    return _experiment_of(name) or "pipeline"


def _experiment_of(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:256]


def check_new_workspace_name(name: str) -> str:
    """The name of a workspace that is to be made, or a `BadName` (rule: azureml/_base_sdk_common/common.py)."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}", name):
        return name
    raise BadName(
        f"There is no workspace {name!r}, and none can be made of that name: 3 to 33 letters, digits, '_' and '-', "
        f"beginning with a letter or a digit{_wrong_characters(name, r'[A-Za-z0-9_-]')}."
    )


def check_compute_name(name: str) -> str:
    """The name, or a `BadName` that says which characters are wrong and proposes another."""
    if _COMPUTE.fullmatch(name):
        return name
    wrong = _wrong_characters(name, r"[A-Za-z0-9-]")
    proposal = re.sub(r"[^A-Za-z0-9-]+", "-", name).lstrip("-0123456789")[:32].strip("-")
    raise BadName(
        f"Azure ML does not take the compute name {name!r}: 2 to 32 letters, digits and '-', beginning with a "
        f"letter, ending with a letter or a digit{wrong}."
        + (f" Use {proposal!r}, for instance." if proposal[1:] else "")
    )


def input_name(dataset: str) -> str:
    """What a dataset is called in `run.input_datasets`: its own name, as far as Azure ML allows.

    An input becomes an environment variable of the job, so only letters of ASCII, digits and "_" may stand in it
    (azureml/data/_config_helper.py): every other character becomes "_", and a digit does not come first.
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", dataset)
    return f"_{name}" if name[:1].isdigit() else name


def folder_name(name: str) -> str:
    """A file name for a step or a run; what could climb out of a folder becomes "_"."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", name).strip(". ")[:200] or "_"


def _wrong_characters(name: str, allowed: str) -> str:
    wrong = sorted({character for character in name if not re.match(allowed, character)})
    return f"; not allowed in it: {' '.join(map(repr, wrong))}" if wrong else ""
