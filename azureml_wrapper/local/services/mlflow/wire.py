"""JSON of MLflow (mlflow/protos/service.proto)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from azureml_wrapper.local.domain.clock import stored_time
from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.limits import is_number, read_integer
from azureml_wrapper.local.domain.metrics import Point, storable
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run
from azureml_wrapper.local.domain.shapes import read_json, read_token, write_token
from azureml_wrapper.local.domain.tracking import RUN_NAME, Facts, status_word
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.messages import object_list, string

T = TypeVar("T")
Latest = Iterable[tuple[str, Point]]

SEARCH_LIMIT = 1000
_FOREIGN_PAGE = "Invalid page token: it does not come from this service."
# The tag of a dataset that says what it is for; filters call it the dataset's context.
_CONTEXT = "mlflow.data.context"
_DATASET_KEYS = ("name", "digest", "source_type", "source", "schema", "profile")
# MLflow's ViewType → Experiment.archived, Run.hidden
_VIEWS = {"ACTIVE_ONLY": False, "DELETED_ONLY": True, "ALL": None}


def experiment(record: Experiment, port: int, workspace: Workspace) -> JSON:
    return {
        "experiment_id": record.experiment_id,
        "name": record.name,
        "artifact_location": f"{_address(port, workspace)}/experiments/{record.name}",
        "lifecycle_stage": "deleted" if record.archived else "active",
        "creation_time": _milliseconds(record.created),
        "last_update_time": _milliseconds(record.archived or record.created),
        "tags": _tags(record.tags),
    }


def run(record: Run, latest: Latest, port: int, workspace: Workspace) -> JSON:
    metrics = [found for name, point in latest if (found := metric(name, point))]
    return {
        "info": info(record, port, workspace),
        "data": {"metrics": metrics, "params": _tags(record.params), "tags": _tags(_every_tag(record))},
        "inputs": {"dataset_inputs": [_dataset_input(dataset) for dataset in record.datasets]},
    }


def info(record: Run, port: int, workspace: Workspace) -> JSON:
    return {
        "run_id": record.run_id,
        "run_uuid": record.run_id,
        "run_name": record.display_name or record.run_id,
        "experiment_id": record.experiment_id,
        "user_id": record.submitted_by or "local",
        "status": status_word(record.status),
        "start_time": _milliseconds(record.started or record.created),
        **({"end_time": _milliseconds(record.ended)} if record.ended else {}),
        # azureml-mlflow parses the experiment's name and the run's id from it.
        "artifact_uri": f"{_address(port, workspace)}/experiments/{record.experiment}/runs/{record.run_id}/artifacts",
        "lifecycle_stage": "deleted" if record.hidden else "active",
    }


def metric(name: str, point: Point) -> JSON | None:
    """A metric's value; None if it is not a number, such as a table or a string that the SDK logged."""
    value = next(iter(point.data.values()), None) if len(point.data) == 1 else None
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or value in ("NaN", "Infinity", "-Infinity")):
        return None
    created = stored_time(point.created)
    return {"key": name, "value": value, "timestamp": _milliseconds(created), "step": point.step or 0}


def facts(record: Run, latest: Latest) -> Facts:
    numbers = {name: found["value"] for name, point in latest if (found := metric(name, point))}
    started = record.started or record.created
    return Facts(
        metrics={name: float(value) for name, value in numbers.items()},
        params=record.params,
        tags={key: value or "" for key, value in _every_tag(record).items()},
        datasets=[
            {"name": each["name"], "digest": each["digest"], "context": each["tags"].get(_CONTEXT, "")}
            for each in record.datasets
        ],
        attributes={
            "run_id": record.run_id,
            "run_name": record.display_name or record.run_id,
            "status": status_word(record.status),
            "start_time": float(_milliseconds(started)),
            "end_time": float(_milliseconds(record.ended)) if record.ended else None,
            "created": float(_milliseconds(record.created)),
            "user_id": record.submitted_by or "local",
        },
    )


def experiment_facts(record: Experiment) -> Facts:
    return Facts(
        metrics={},
        params={},
        tags=record.tags,
        datasets=(),
        attributes={
            "name": record.name,
            "experiment_id": record.experiment_id,
            "creation_time": float(_milliseconds(record.created)),
            "last_update_time": float(_milliseconds(record.archived or record.created)),
        },
    )


def needed(body: JSON, name: str) -> str:
    value = string(body, name)
    if not value:
        raise Invalid(f"{name} is required.")
    return value


def pairs(body: JSON, name: str) -> dict[str, str]:
    """A list of objects with `key` and `value`."""
    return {needed(item, "key"): string(item, "value") or "" for item in object_list(body.get(name), name)}


def read_point(body: JSON, name: str, created: str, point_id: str) -> Point:
    value, step = body.get("value"), body.get("step") or 0
    try:
        number = float(value if value is not None else "none")
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"Invalid value {value!r} of metric {name!r} at step {step!r}: expected a number.") from error
    place = read_integer(step, f"step of metric {name!r}")
    return Point(point_id=point_id, created=created, step=place, data={name: storable(number)})


def read_view(word: str | None) -> bool | None:
    if (word or "ACTIVE_ONLY") not in _VIEWS:
        raise Invalid(f"Unknown view {word!r}: allowed are {', '.join(_VIEWS)}.")
    return _VIEWS[word or "ACTIVE_ONLY"]


def read_time(body: JSON, name: str) -> datetime | None:
    """A time in milliseconds; None without one."""
    given = body.get(name)
    try:
        return datetime.fromtimestamp(int(given) / 1000, timezone.utc) if given else None
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise Invalid(f"Invalid {name} {given!r}: expected a number of milliseconds.") from error


def read_datasets(body: JSON) -> list[JSON]:
    """The datasets of `mlflow.log_input`, in the form of `Run.datasets`."""
    if body.get("models"):
        raise Unsupported(
            "Azure ML does not support the logged models of MLflow 3 as inputs of a run; leave out models."
        )
    return [_read_dataset(item) for item in object_list(body.get("datasets"), "datasets")]


def read_model(body: JSON) -> JSON:
    """The description of a logged model."""
    model = read_json(needed(body, "model_json").encode(), "model_json")
    if not isinstance(model, dict):
        raise Invalid("model_json must be a JSON object.")
    return model


def page(found: Sequence[T], body: JSON) -> tuple[Sequence[T], JSON]:
    """The page of results that a body asks for, and the token of the next one."""
    token = string(body, "page_token")
    if token and not is_number(token):
        raise Invalid(_FOREIGN_PAGE)
    start = int(token or 0)
    end = start + page_size(body)
    return found[start:end], {"next_page_token": str(end)} if len(found) > end else {}


def page_size(body: JSON) -> int:
    """The number of results that a body asks for."""
    size = body.get("max_results")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise Invalid(f"max_results must be an integer ≥ 1, got {size!r}.")
    return size or SEARCH_LIMIT


def run_token(experiment: int, after: str) -> str:
    """The token of a page of runs: the experiment's place in the request, and the store's token within it."""
    return f"{experiment}.{after}"


def read_run_token(body: JSON) -> tuple[int, str | None]:
    """What `run_token` made; the beginning without one."""
    number, dot, after = (string(body, "page_token") or "0").partition(".")
    if not is_number(number) or (dot and not after):
        raise Invalid(_FOREIGN_PAGE)
    return int(number), after or None


def place(after: tuple[str, int]) -> str:
    return write_token([*after])


def read_place(token: str | None) -> tuple[str, int]:
    if not token:
        return ("", 0)
    match read_token(token, "page token"):
        case [str(created), int(sequence)]:
            return created, sequence
    raise Invalid(_FOREIGN_PAGE)


def _read_dataset(item: JSON) -> JSON:
    dataset = item.get("dataset")
    if not isinstance(dataset, dict):
        raise Invalid("Each dataset of log_inputs requires an object dataset.")
    texts = {key: string(dataset, key) or "" for key in _DATASET_KEYS}
    for key in ("name", "digest"):
        needed(dataset, key)
    return {**texts, "tags": pairs(item, "tags")}


def _dataset_input(dataset: JSON) -> JSON:
    return {"tags": _tags(dataset["tags"]), "dataset": {key: dataset[key] for key in _DATASET_KEYS if dataset[key]}}


def _every_tag(record: Run) -> dict[str, str]:
    """A run's tags, and those that tell MLflow its name and its parent."""
    parent = {"mlflow.parentRunId": record.parent_id} if record.parent_id else {}
    family = {"mlflow.rootRunId": record.root_id or record.run_id, **parent}
    return {RUN_NAME: record.display_name or record.run_id, **family, **record.tags}


def _address(port: int, workspace: Workspace) -> str:
    return f"azureml://127.0.0.1:{port}/mlflow/v2.0{workspace.scope}"


def _tags(given: dict[str, Any]) -> list[JSON]:
    return [{"key": key, "value": str(value or "")} for key, value in given.items()]


def _milliseconds(instant: datetime | None) -> int:
    return int(instant.timestamp() * 1000) if instant else 0
