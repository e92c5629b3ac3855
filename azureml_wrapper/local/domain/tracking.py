"""Runs as MLflow sees them: its words for a status, immutable parameters, datasets, models, and its filters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import check_length, check_size
from azureml_wrapper.local.domain.runs import JSON, Run, RunStatus
from azureml_wrapper.local.domain.shapes import read_json

# MLflow's own limits (mlflow/utils/validation.py), which Azure ML shares in its documentation.
KEY_LENGTH, PARAMETER_LENGTH, BATCH_SIZE = 250, 6000, 1000
# The experiment that MLflow uses by default, with the id "0".
DEFAULT_EXPERIMENT, DEFAULT_EXPERIMENT_ID = "Default", "0"
# The tags with a run's name, and with the list of its models in MLflow's own server (mlflow/utils/mlflow_tags.py).
RUN_NAME = "mlflow.runName"
MODELS_TAG = "mlflow.log-model.history"

T = TypeVar("T")

_FROM_MLFLOW = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.NOT_STARTED,
    "FINISHED": RunStatus.COMPLETED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELED,
}
_TO_MLFLOW = {
    **{status: word for word, status in _FROM_MLFLOW.items()},
    RunStatus.STARTING: "SCHEDULED",
    RunStatus.PREPARING: "SCHEDULED",
    RunStatus.QUEUED: "SCHEDULED",
    RunStatus.FINALIZING: "RUNNING",
    RunStatus.CANCEL_REQUESTED: "RUNNING",
}
# `metrics.rmse < 0.5`; a key with other characters is quoted or in backticks.
_COMPARISON = re.compile(
    r"""\s*(?:(?P<kind>\w+)\.)?(?P<key>[\w.]+|"[^"]+"|`[^`]+`)\s*"""
    r"""(?P<operator>!=|<=|>=|=|<|>|\bI?LIKE\b|\b(?:NOT\s+)?IN\b)\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|[-+.\w]+|\((?:'[^']*'|"[^"]*"|[^()'"])*\))\s*""",
    re.IGNORECASE,
)
# `('a', 'b')`, the value of IN.
_LIST = re.compile(r"""\(\s*(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*\s*,?\s*\)""")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_AND = re.compile(r"and\b", re.IGNORECASE)
_KINDS = {
    "metric": "metrics",
    "metrics": "metrics",
    "param": "params",
    "params": "params",
    "parameter": "params",
    "parameters": "params",
    "tag": "tags",
    "tags": "tags",
    "attribute": "attributes",
    "attributes": "attributes",
    "attr": "attributes",
    "run": "attributes",
    "dataset": "datasets",
    "datasets": "datasets",
}
ATTRIBUTES = ("run_id", "run_name", "status", "start_time", "end_time", "created", "user_id")
DATASET_ATTRIBUTES = ("name", "digest", "context")
EXPERIMENT_ATTRIBUTES = ("name", "experiment_id", "creation_time", "last_update_time")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "like": lambda left, right: _like(left, right, 0),
    "ilike": lambda left, right: _like(left, right, re.IGNORECASE),
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
}


def status_word(status: RunStatus) -> str:
    return _TO_MLFLOW[status]


def read_status(word: str) -> RunStatus:
    if word not in _FROM_MLFLOW:
        raise Invalid(f"Unknown status {word!r}; expected one of {', '.join(_FROM_MLFLOW)}.")
    return _FROM_MLFLOW[word]


def with_parameters(run: Run, given: Mapping[str, str]) -> Run:
    """The run with more parameters; `Invalid` if one exists already with another value."""
    for key, value in given.items():
        check_length("Param/Key", key, KEY_LENGTH)
        check_length("Param/Value", value, PARAMETER_LENGTH)
        if run.params.get(key, value) != value:
            raise Invalid(
                f"The parameter {key!r} of run {run.run_id} is {run.params[key]!r} and cannot become {value!r}: "
                "parameters of a run are immutable. Log it under another name."
            )
    return replace(run, params={**run.params, **given})


def with_datasets(run: Run, given: Sequence[JSON]) -> Run:
    """The run with more datasets. Name and digest identify one, and the first stays, as in MLflow's own server."""
    datasets = {(each["name"], each["digest"]): each for each in run.datasets}
    for each in given:
        datasets.setdefault((each["name"], each["digest"]), each)
    return replace(run, datasets=list(datasets.values()))


def with_model(run: Run, model: JSON) -> Run:
    """The run with one more model in the tag that lists them."""
    tag = f"The tag {MODELS_TAG} of run {run.run_id}"
    try:
        before = read_json(run.tags.get(MODELS_TAG) or "[]", tag)
    except Invalid as error:
        raise Invalid(f"{tag} is not a JSON list: {error} Delete it.") from error
    if not isinstance(before, list):
        raise Invalid(f"{tag} is not a JSON list. Delete it.")
    return replace(run, tags={**run.tags, MODELS_TAG: json.dumps([*before, model])})


def check_batch(*parts: list[Any]) -> None:
    """MLflow sends at most 1000 metrics, parameters and tags at once."""
    check_size("LogBatch/Count", sum(map(len, parts)), BATCH_SIZE)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The attributes of a run that a filter of MLflow can use."""

    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    datasets: Sequence[Mapping[str, str]]
    attributes: Mapping[str, Any]


Condition = Callable[[Facts], bool]


def parse_filter(text: str | None, attributes: tuple[str, ...] = ATTRIBUTES) -> Condition:
    """The condition of `metrics.rmse < 0.5 and tags.team = 'a'`, or `Invalid`; by default of runs."""
    conditions = [_condition(found, attributes) for found in _comparisons(text)]
    return lambda facts: all(condition(facts) for condition in conditions)


def needs_metrics(text: str | None, clauses: Sequence[str]) -> bool:
    """Whether a filter or an order looks at metrics."""
    kinds = [found["kind"] for found in _comparisons(text)]
    kinds += [clause.strip().partition(".")[0] for clause in clauses if "." in clause]
    return any(_KINDS.get((kind or "").lower()) == "metrics" for kind in kinds)


def _comparisons(text: str | None) -> Iterator[re.Match[str]]:
    place, rest = 0, (text or "").strip()
    while place < len(rest):
        found = _COMPARISON.match(rest, place)
        if found is None:
            raise _unreadable(rest, place)
        yield found
        place = found.end()
        if place < len(rest):
            joined = _AND.match(rest, place)
            if joined is None:
                raise _unreadable(rest, place)
            place = joined.end()


def sort(
    found: list[tuple[T, Facts]], clauses: Sequence[str], attributes: tuple[str, ...] = ATTRIBUTES
) -> list[tuple[T, Facts]]:
    """Sort by clauses such as `metrics.rmse DESC`. What has no value comes last in both directions."""
    for clause in reversed(clauses):
        read, descending = _sort_key(clause, attributes)
        having = [item for item in found if read(item[1]) is not None]
        without = [item for item in found if read(item[1]) is None]
        found = sorted(having, key=lambda item: read(item[1]), reverse=descending) + without
    return found


def _sort_key(clause: str, attributes: tuple[str, ...]) -> tuple[Callable[[Facts], Any], bool]:
    """The value to sort by, and whether the largest comes first."""
    words = clause.rsplit(maxsplit=1)
    has_order = len(words) == 2 and words[1].upper() in ("ASC", "DESC")
    field = words[0] if has_order else clause
    kind, _, key = field.strip().partition(".") if "." in field else ("", "", field.strip())
    if _KINDS.get(kind.lower()) == "datasets":
        raise Invalid(f"Cannot sort by {field.strip()}: a run may have several datasets.")
    return _reader(kind, key, attributes), has_order and words[1].upper() == "DESC"


def _condition(found: re.Match[str], attributes: tuple[str, ...]) -> Condition:
    read = _reader(found["kind"] or "", found["key"], attributes)
    operator = " ".join(found["operator"].lower().split())
    is_list = operator.endswith("in")
    if is_list and _KINDS.get((found["kind"] or "").lower()) == "metrics":
        raise Invalid(f"IN compares strings, but metrics.{found['key']} is a number; compare it with = or <.")
    wanted = _values(found["value"]) if is_list else _value(found["value"])
    is_text, compare = is_list or isinstance(wanted, str), _OPERATORS[operator]

    def holds(facts: Facts) -> bool:
        present = read(facts)
        if isinstance(present, tuple):
            return is_text and any(compare(each, wanted) for each in present)
        if present is None or isinstance(present, str) != is_text:
            return False
        return compare(present, wanted)

    return holds


def _reader(kind: str, key: str, attributes: tuple[str, ...] = ATTRIBUTES) -> Callable[[Facts], Any]:
    group = _KINDS.get(kind.lower() or "attributes")
    if group is None:
        raise Invalid(f"A filter takes metrics, params, tags, datasets or attributes, got {kind!r}.")
    name = key.strip('"`')
    is_known = group == "tags" or (group == "attributes" and name in attributes)
    if attributes is EXPERIMENT_ATTRIBUTES and not is_known:
        field = f"{kind}.{name}" if kind else name
        raise Invalid(f"A filter of experiments takes {', '.join(attributes)} and tags, got {field!r}.")
    if group == "attributes" and name not in attributes:
        raise Invalid(
            f"Unknown attribute {name!r} of runs; expected one of {', '.join(attributes)}, or metrics.{name}."
        )
    if group == "datasets":
        if name not in DATASET_ATTRIBUTES:
            raise Invalid(f"Unknown attribute {name!r} of datasets; expected one of {', '.join(DATASET_ATTRIBUTES)}.")
        return lambda facts: tuple(dataset[name] for dataset in facts.datasets)
    return lambda facts: getattr(facts, group).get(name)


def _values(text: str) -> tuple[str, ...]:
    """The strings of `('a', 'b')`."""
    if not _LIST.fullmatch(text):
        raise Invalid(f"IN takes a list of quoted strings such as ('a', 'b'), got {text}.")
    return tuple(single or double for single, double in _QUOTED.findall(text))


def _value(text: str) -> str | float:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return float(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is neither a number nor a quoted string.") from error


def _like(text: str, pattern: str, flags: int) -> bool:
    parts = (".*" if letter == "%" else "." if letter == "_" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), text, flags | re.DOTALL) is not None


def _unreadable(text: str, place: int) -> Invalid:
    return Invalid(
        f"Invalid filter {text!r} at {text[place : place + 40]!r}. "
        "Use comparisons such as metrics.rmse < 0.5, joined by and."
    )
