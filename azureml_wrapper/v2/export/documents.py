"""The documents of an export: file -> dictionary."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import Packages
from azureml_wrapper.config.parameters import to_text
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.publishing.schedule import OnBlobChange, Recurring
from azureml_wrapper.recurrence import WEEK_DAYS
from azureml_wrapper.v2.export.context import POLL, Choices, ExportContext, content_of_environment
from azureml_wrapper.v2.export.nodes import FOLDER, TABLE, node_of, path_input
from azureml_wrapper.v2.export.syntax import as_node

PIPELINE, ENVIRONMENT, COMPUTE, SCHEDULE = "pipeline.yml", "environment.yml", "compute.yml", "schedule.yml"
# What `az ml` and `MLClient.from_config` read.
CONFIG = "config.json"
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest/"


def pipeline_job(context: ExportContext) -> dict[str, Any]:
    """`pipeline.yml`."""
    inputs = {name: _input(kind, of, context) for (kind, of), name in context.inputs.items()}
    jobs = {context.nodes[step.name]: node_of(step, context) for step in context.definition.steps}
    experiment = context.choices.experiment
    return {
        "$schema": f"{_SCHEMAS}pipelineJob.schema.json",
        "type": "pipeline",
        **({"experiment_name": experiment} if experiment else {}),
        **({"inputs": inputs} if inputs else {}),
        "settings": {
            "default_compute": f"azureml:{context.compute_name}",
            # SDK v1's default, written down so that a default of SDK v2 does not matter.
            "continue_on_step_failure": False,
        },
        "jobs": jobs,
    }


def _input(kind: str, name: str, context: ExportContext) -> Any:
    if kind == "parameter":
        value = context.choices.parameters.get(name, context.parameters[name])
        return to_text(value) if isinstance(value, bool) else value
    if kind == "path":
        slots = (slot for step in context.definition.steps for slot in step.paths.values())
        return path_input(next(slot for slot in slots if slot.parameter == name))
    return {"type": FOLDER if name in context.choices.file_datasets else TABLE, "path": f"azureml:{name}@latest"}


def environment(name: str, packages: Packages) -> dict[str, Any]:
    """An environment's file."""
    return {"$schema": f"{_SCHEMAS}environment.schema.json", "name": name, **content_of_environment(packages)}


def compute(name: str, cluster: Cluster) -> dict[str, Any]:
    """A cluster's file."""
    return {
        "$schema": f"{_SCHEMAS}amlCompute.schema.json",
        "name": name,
        "type": "amlcompute",
        "size": cluster.vm_size,
        "tier": "low_priority" if cluster.vm_priority.lower() == "lowpriority" else "dedicated",
        "min_instances": cluster.min_nodes,
        "max_instances": cluster.max_nodes,
        "idle_time_before_scale_down": cluster.idle_seconds,
    }


def schedule(choices: Choices) -> dict[str, Any] | None:
    """`schedule.yml`; None without a schedule."""
    wanted = choices.schedule
    if isinstance(wanted, Recurring):
        trigger = _recurrence(wanted, has_start=choices.has_start)
    elif isinstance(wanted, OnBlobChange) and choices.blob_change == POLL:
        trigger = {"type": "recurrence", "frequency": "minute", "interval": wanted.polling_interval}
    else:
        return None
    return {
        "$schema": f"{_SCHEMAS}schedule.schema.json",
        "name": as_node(choices.name or "pipeline"),
        "display_name": choices.name or "pipeline",
        "trigger": trigger,
        "create_job": f"./{PIPELINE}",
    }


def _recurrence(wanted: Recurring, *, has_start: bool) -> dict[str, Any]:
    found = wanted.recurrence
    trigger: dict[str, Any] = {
        "type": "recurrence",
        "frequency": found.frequency.value.lower(),
        "interval": found.interval,
    }
    if found.is_pinned:
        days = [WEEK_DAYS[day].lower() for day in found.week_days]
        # As in SDK v1, hours without minutes mean the full hour; SDK v2 requires both.
        clock = {"hours": list(found.hours) or [0], "minutes": list(found.minutes) or [0]}
        trigger["schedule"] = {**clock, **({"week_days": days} if days else {})}
    if has_start:
        # Without an offset: azure-ai-ml drops it silently.
        trigger["start_time"] = found.start.strftime("%Y-%m-%dT%H:%M:%S")
    return {**trigger, "time_zone": wanted.zone_name}


def workspace(scope: Scope) -> dict[str, str]:
    """`config.json`."""
    return {
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "workspace_name": scope.name,
    }


def file_of(file: str, name: str, first: str | None) -> str:
    """`environment.yml` for the pipeline's own, `environment-gpu.yml` for another one."""
    return file if name == first else file.replace(".yml", f"-{name}.yml")
