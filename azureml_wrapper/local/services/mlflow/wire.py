"""JSON of MLflow (mlflow/protos/service.proto)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.clock import stored_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.metrics import Point, storable
from azureml_wrapper.local.domain.runs import JSON, Experiment, Run
from azureml_wrapper.local.domain.tracking import Facts, status_word
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.messages import object_list, string

Latest = Iterable[tuple[str, Point]]

# MLflow's ViewType → Experiment.archived
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
    tags = {"mlflow.runName": record.display_name or record.run_id, **_family(record), **record.tags}
    return {
        "info": info(record, port, workspace),
        "data": {"metrics": metrics, "params": _tags(record.params), "tags": _tags(tags)},
        "inputs": {"dataset_inputs": []},
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
        "lifecycle_stage": "active",
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
        tags={key: value or "" for key, value in record.tags.items()},
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
        number, place = float(value if value is not None else "none"), int(step)
    except (TypeError, ValueError) as error:
        raise Invalid(f"Invalid value {value!r} of metric {name!r} at step {step!r}: expected a number.") from error
    return Point(point_id=point_id, created=created, step=place, data={name: storable(number)})


def read_view(word: str | None) -> bool | None:
    if (word or "ACTIVE_ONLY") not in _VIEWS:
        raise Invalid(f"Unknown view {word!r}: allowed are {', '.join(_VIEWS)}.")
    return _VIEWS[word or "ACTIVE_ONLY"]


def read_limit(given: Any) -> int | None:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise Invalid(f"max_results must be an integer ≥ 1, got {given!r}.")
    return given


def read_offset(token: str | None) -> int:
    if token and not token.isdecimal():
        raise Invalid("Invalid page token: it does not come from this service.")
    return int(token or 0)


def place(after: tuple[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode()


def read_place(token: str | None) -> tuple[str, int]:
    if not token:
        return ("", 0)
    try:
        created, sequence = json.loads(base64.urlsafe_b64decode(token.encode()))
        return str(created), int(sequence)
    except (TypeError, ValueError) as error:
        raise Invalid("Invalid page token: it does not come from this service.") from error


def _family(record: Run) -> dict[str, str]:
    """The tags that tell MLflow a run's parent."""
    parent = {"mlflow.parentRunId": record.parent_id} if record.parent_id else {}
    return {"mlflow.rootRunId": record.root_id or record.run_id, **parent}


def _address(port: int, workspace: Workspace) -> str:
    return f"azureml://127.0.0.1:{port}/mlflow/v2.0{workspace.scope}"


def _tags(given: dict[str, Any]) -> list[JSON]:
    return [{"key": key, "value": str(value or "")} for key, value in given.items()]


def _milliseconds(instant: datetime | None) -> int:
    return int(instant.timestamp() * 1000) if instant else 0
