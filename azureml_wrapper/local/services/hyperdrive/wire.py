"""JSON of sweeps (azureml/train/restclients/hyperdrive/models), and the tags by which the SDK knows one again."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.sweeps import JSON, Sweep
from azureml_wrapper.local.http.bodies import an_object, read_json

_SCOPE = re.compile(
    r"/?subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices"
    r"/workspaces/([^/]+)/experiments/([^/]+)",
    re.IGNORECASE,
)
# Azure's word for a space with a continuous parameter.
_INFINITE = "infinite_space_size"
_PREFIX = "_aml_system_"


def read_scope(scope: str) -> tuple[str, str, str, str]:
    """Subscription, resource group, workspace, experiment."""
    found = _SCOPE.fullmatch(scope)
    if found is None:
        raise Invalid(f"{scope[:300]!r} is not the scope of an experiment.")
    return found[1], found[2], found[3], found[4]


def read_form(content_type: str, body: bytes) -> JSON:
    """The `config` of a form."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.get_payload() if form.is_multipart() else ():
        if not isinstance(part, str) and part.get_param("name", header="content-disposition") == "config":
            content: bytes = part.get_payload(decode=True)  # type: ignore[assignment] # no part of it is a form
            return an_object({"config": read_json(content, "config")}, "config")
    raise Invalid("A sweep needs a form with config.")


def tags(sweep: Sweep, run_id: str) -> dict[str, str]:
    """The sweep as the SDK reads it again (azureml/train/hyperdrive/runconfig.py, _get_runconfig_from_run_dto)."""
    body = sweep.body
    policy = body.get("policy_config") or {}
    generator = body.get("generator_config") or {}
    values: dict[str, Any] = {
        "max_concurrent_jobs": str(sweep.most_concurrent),
        "max_total_jobs": str(sweep.most_runs),
        "max_duration_minutes": str(sweep.minutes),
        "policy_config": {"name": policy.get("name") or "Default", "properties": policy.get("properties")},
        "generator_config": {**generator, "properties": generator.get("properties")},
        "primary_metric_config": {"name": sweep.metric, "goal": sweep.goal},
        "platform_config": {**(body.get("platform_config") or {}), "ParentRunId": run_id},
        "resume_child_runs": "null",
        "all_jobs_generated": "false",
        "cancellation_requested": "false",
    }
    return {
        f"{_PREFIX}{name}": value if isinstance(value, str) else json.dumps(value) for name, value in values.items()
    }


def properties(sweep: Sweep) -> dict[str, str]:
    """A sweep's properties, in the order of 2023."""
    size = sweep.size
    return {
        "primary_metric_config": json.dumps({"name": sweep.metric, "goal": sweep.goal}, separators=(",", ":")),
        "resume_from": "null",
        "runTemplate": "HyperDrive",
        "azureml.runsource": "hyperdrive",
        "platform": "AML",
        **({"ContentSnapshotId": sweep.snapshot_id} if sweep.snapshot_id else {}),
        "space_size": _INFINITE if size is None else str(size),
    }


def created(sweep: Sweep, run: Run) -> JSON:
    """What the SDK wants to hear of a new sweep; it looks for `ParentRunId`."""
    body, now = sweep.body, offset_time(run.created)
    return {
        "code": 201,
        "result": {
            "all_jobs_generated": False,
            "cancellation_requested": False,
            "created": now,
            "created_by_user_id": 0,
            "description": None,
            "experiment_id": run.experiment_id,
            "generator_config": body.get("generator_config"),
            "max_concurrent_jobs": sweep.most_concurrent,
            "max_duration_minutes": sweep.minutes,
            "max_total_jobs": sweep.most_runs,
            "modified": now,
            "name": run.experiment,
            "platform": "AML",
            "platform_config": {**(body.get("platform_config") or {}), "ParentRunId": run.run_id},
            "policy_config": body.get("policy_config"),
            "primary_metric_config": body.get("primary_metric_config"),
            "status": "RUNNING",
            "study_id": 0,
            "hyperdrive_run_id": run.run_id,
        },
    }
