"""JSON of sweeps (azureml/train/restclients/hyperdrive/models), and the tags from which the SDK restores one.

HyperDrive and the pipelines share it: a HyperDriveStep has what a sweep is submitted with as a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.runs import Experiment, Run
from azureml_wrapper.local.domain.sweeps import (
    BANDIT,
    DRAWS,
    GRID,
    JSON,
    MEDIAN,
    MOST_CONCURRENT,
    MOST_MINUTES,
    MOST_RUNS,
    NONE,
    RANDOM,
    SWEEP_RUN_TYPE,
    TRUNCATION,
    Distribution,
    Policy,
    Sweep,
)

# Azure's word for a space with a continuous parameter.
_INFINITE = "infinite_space_size"
_PREFIX = "_aml_system_"
# The number of arguments of each distribution.
_COUNTS = {
    "choice": 1,
    "randint": 1,
    **dict.fromkeys(("uniform", "loguniform", "normal", "lognormal"), 2),
    **dict.fromkeys(("quniform", "qloguniform", "qnormal", "qlognormal"), 3),
}
_NEEDED = {
    BANDIT: ("slack_factor", "slack_amount"),
    MEDIAN: (),
    TRUNCATION: ("truncation_percentage",),
    NONE: (),
}


def tags(sweep: Sweep, run_id: str) -> dict[str, str]:
    """The sweep as the SDK restores it (azureml/train/hyperdrive/runconfig.py, _get_runconfig_from_run_dto)."""
    body = sweep.sent
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


def new_run(
    sweep: Sweep, *, workspace_id: str, run_id: str, experiment: Experiment, created: datetime, uuid: str, **more: Any
) -> Run:
    """The run of a sweep, not stored yet."""
    return Run(
        workspace_id=workspace_id,
        run_id=run_id,
        experiment=experiment.name,
        experiment_id=experiment.experiment_id,
        created=created,
        run_type=SWEEP_RUN_TYPE,
        target=sweep.target,
        uuid=uuid,
        tags=tags(sweep, run_id),
        properties=properties(sweep),
        **more,
    )


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


def read_sweep(body: JSON) -> Sweep:
    """The sweep of a `CreateExperimentDto`; `Invalid` or `Unsupported` if it cannot run."""
    if body.get("platform") != "AML":
        raise Unsupported("Sweeps over pipelines (HyperDriveConfig(pipeline=…)) are not supported; use a script.")
    for key in ("resume_from", "resume_child_runs"):
        if body.get(key):
            raise Unsupported(f"{key} of HyperDriveConfig is not supported by the local service; remove it.")
    platform, metric = _part(body, "platform_config"), _part(body, "primary_metric_config")
    definition = _part(platform, "Definition")
    config = _with_line(_part(definition, "Overrides"))
    if not (config.get("script") or config.get("command")):
        raise Invalid("A sweep needs a configuration with a script or a command.")
    if metric.get("goal") not in ("maximize", "minimize"):
        raise Invalid(f"The goal of the primary metric must be maximize or minimize, got {metric.get('goal')!r}.")
    generator = _part(body, "generator_config")
    total = _count(body, "max_total_jobs", MOST_RUNS, MOST_RUNS)
    return Sweep(
        generator=_generator(generator),
        space=_space(generator),
        metric=str(metric.get("name") or ""),
        goal=str(metric["goal"]),
        most_runs=total,
        most_concurrent=_count(body, "max_concurrent_jobs", min(total, MOST_CONCURRENT), MOST_CONCURRENT),
        minutes=min(_count(body, "max_duration_minutes", MOST_MINUTES, 43200), MOST_MINUTES),
        policy=read_policy(_part(body, "policy_config")),
        config=config,
        target=str(config.get("target") or ""),
        snapshot_id=definition.get("SnapshotId"),
        sent=body,
    )


def _with_line(config: JSON) -> JSON:
    """The configuration with its command as one string, as the SDK joins it for single runs (_commands.py)."""
    command = config.get("command")
    return {**config, "command": " ".join(map(str, command))} if isinstance(command, list) else config


def _generator(config: JSON) -> str:
    name = str(config.get("name") or "").lower()
    if name not in (GRID, RANDOM):
        raise Unsupported(
            f"The sampling {config.get('name')!r} is not supported; use RandomParameterSampling or "
            "GridParameterSampling."
        )
    return name


def _space(config: JSON) -> dict[str, Distribution]:
    given = _part(config, "parameter_space")
    if not given:
        raise Invalid("The parameter space of the sweep is empty.")
    return {name: _distribution(name, item, config) for name, item in given.items()}


def _distribution(name: str, item: Any, config: JSON) -> Distribution:
    if not (isinstance(item, list) and len(item) == 2 and item[0] in DRAWS and isinstance(item[1], list)):
        raise Invalid(f"Unknown distribution of the parameter {name}: {json.dumps(item)[:200]}.")
    kind, arguments = str(item[0]), item[1]
    if len(arguments) != _COUNTS[kind] or (
        kind == "choice" and not (isinstance(arguments[0], list) and arguments[0])
    ):
        raise Invalid(f"Invalid arguments for the distribution {kind} of {name}: {json.dumps(arguments)[:200]}.")
    if kind != "choice" and not all(isinstance(number, (int, float)) for number in arguments):
        raise Invalid(f"The distribution {kind} of {name} needs numbers, got {json.dumps(arguments)[:200]}.")
    if kind != "choice" and _generator(config) == GRID:
        raise Invalid(f"A grid takes only choices, but {name} is {kind}.")
    return kind, arguments


def read_policy(config: Mapping[str, Any]) -> Policy:
    """The policy that the SDK sends; "Default" means none."""
    kind = str(config.get("name") or NONE).lower()
    if kind not in _NEEDED:
        raise Unsupported(f"The early termination policy {config.get('name')!r} is not supported.")
    given = config.get("properties") or {}
    if not isinstance(given, dict):
        raise Invalid("The properties of the early termination policy must be an object.")
    settings = {name: _number(name, given[name]) for name in _NEEDED[kind] if given.get(name) is not None}
    if _NEEDED[kind] and len(settings) != 1:
        raise Invalid(f"The policy {config.get('name')} needs {' or '.join(_NEEDED[kind])}.")
    return Policy(
        kind=kind,
        interval=int(_number("evaluation_interval", given.get("evaluation_interval") or 1)),
        delay=int(_number("delay_evaluation", given.get("delay_evaluation") or 0)),
        settings=settings,
    )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{name} of the early termination policy must be a number, got {value!r}.")
    return float(value)


def _part(body: Mapping[str, Any], key: str) -> JSON:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise Invalid(f"{key} of the sweep must be an object.")
    return value or {}


def _count(body: Mapping[str, Any], key: str, default: int, most: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Invalid(f"{key} must be an integer from 1 to {most}, got {value!r}.")
    return value
