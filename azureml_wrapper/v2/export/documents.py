"""The documents of an export: file -> dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.assets.environments import SDK_PACKAGE, Packages, _existing, _read_requirements
from azureml_wrapper.assets.names import input_name
from azureml_wrapper.config.parameters import to_text
from azureml_wrapper.config.readers import CoreLoader
from azureml_wrapper.publishing.schedule import OnBlobChange, Recurring
from azureml_wrapper.recurrence import WEEK_DAYS
from azureml_wrapper.v2.export.choices import POLL, Choices
from azureml_wrapper.v2.export.names import as_node, free, node_names
from azureml_wrapper.v2.export.nodes import FOLDER, TABLE, Surroundings, node_of, path_input

if TYPE_CHECKING:
    from azureml_wrapper.pipeline import PipelineWrapper

PIPELINE, ENVIRONMENT, COMPUTE, SCHEDULE = "pipeline.yml", "environment.yml", "compute.yml", "schedule.yml"
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest/"
# Not the interpreter's, as for `register_env`: the file would change with the machine that writes it.
DEFAULT_PYTHON = "3.10"
# What SDK v1 builds environments upon that name no image (azureml/core/environment.py, DEFAULT_CPU_IMAGE), without
# the date that the SDK puts behind it.
DEFAULT_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"


def pipeline_job(pipeline: PipelineWrapper, choices: Choices, folder: Path) -> dict[str, Any]:
    """`pipeline.yml`. `folder` is where it will lie."""
    named = _input_names(pipeline)
    around = Surroundings(
        pipeline=pipeline,
        choices=choices,
        folder=folder,
        nodes=node_names(step.name for step in pipeline.steps),
        inputs=named,
    )
    inputs = {name: _input(kind, of, pipeline, choices) for (kind, of), name in named.items()}
    pairs = zip(pipeline.steps, pipeline._wires, strict=True)
    jobs = {around.nodes[step.name]: node_of(step, wires, around) for step, wires in pairs}
    return job(pipeline.compute_name, jobs, inputs=inputs, experiment=choices.experiment)


def job(
    compute_name: str,
    jobs: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    experiment: str | None = None,
) -> dict[str, Any]:
    """What stands around the jobs of a pipeline."""
    return {
        "$schema": f"{_SCHEMAS}pipelineJob.schema.json",
        "type": "pipeline",
        **({"experiment_name": experiment} if experiment else {}),
        **({"inputs": inputs} if inputs else {}),
        "settings": {
            "default_compute": f"azureml:{compute_name}",
            # SDK v1's default, written down so that a default of SDK v2 does not count.
            "continue_on_step_failure": False,
        },
        "jobs": jobs,
    }


def environment(name: str, packages: Packages) -> dict[str, Any]:
    """An environment's file."""
    return {"$schema": f"{_SCHEMAS}environment.schema.json", "name": name, **content_of_environment(packages)}


def content_of_environment(packages: Packages) -> dict[str, Any]:
    """The image, and the packages upon it; an image alone has everything."""
    image = packages.docker_image or DEFAULT_IMAGE
    if packages.docker_image and not (packages.dependencies or packages.requirements or packages.conda_file):
        return {"image": image}
    return {"image": image, "conda_file": _conda(packages)}


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
    """`schedule.yml`; None where there is to be none."""
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


def workspace(pipeline: PipelineWrapper) -> dict[str, str]:
    """`config.json`, as `az ml` and `MLClient.from_config` read it."""
    scope = pipeline.workspace.scope
    return {
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "workspace_name": scope.name,
    }


def environments_of(pipeline: PipelineWrapper) -> list[str]:
    return list(dict.fromkeys([pipeline.env_name, *(step.env_name for step in pipeline.steps if step.env_name)]))


def computes_of(pipeline: PipelineWrapper) -> list[str]:
    return list(
        dict.fromkeys([pipeline.compute_name, *(step.compute_name for step in pipeline.steps if step.compute_name)])
    )


def file_of(file: str, name: str, first: str) -> str:
    """`environment.yml` for the pipeline's own, `environment-gpu.yml` for another one."""
    return file if name == first else file.replace(".yml", f"-{name}.yml")


def _input_names(pipeline: PipelineWrapper) -> dict[tuple[str, str], str]:
    """(kind, name) -> input of the pipeline; parameters keep their names, which runs are given values by."""
    named = {("parameter", name): name for name in pipeline.pipeline_parameters}
    named |= {("path", name): name for name in pipeline.path_parameters}
    for dataset in dict.fromkeys(name for step in pipeline.steps for name in step.input_datasets.values()):
        named["dataset", dataset] = free(input_name(dataset), named.values())
    return named


def _input(kind: str, name: str, pipeline: PipelineWrapper, choices: Choices) -> Any:
    if kind == "parameter":
        value = choices.parameters.get(name, pipeline.pipeline_parameters[name])
        return to_text(value) if isinstance(value, bool) else value
    if kind == "path":
        given = next(each for step in pipeline.steps for each in step.input_paths.values() if each.parameter == name)
        return path_input(given)
    return {"type": FOLDER if name in choices.file_datasets else TABLE, "path": f"azureml:{name}@latest"}


def _conda(packages: Packages) -> dict[str, Any]:
    pip = [*_read_requirements(packages.requirements), *packages.dependencies]
    if packages.conda_file is not None:
        text = _existing(packages.conda_file).read_text(encoding="utf-8-sig")
        found = yaml.load(text, Loader=CoreLoader)  # noqa: S506 - a safe one
        content: dict[str, Any] = dict(found) if isinstance(found, Mapping) else {}
        others = [each for each in content.get("dependencies", []) if not isinstance(each, dict)]
        pip = [
            *(item for each in content.get("dependencies", []) if isinstance(each, dict) for item in each["pip"]),
            *pip,
        ]
        return {**content, "dependencies": [*others, {"pip": pip}] if pip else others}
    if not any(package.lower().startswith("azureml") for package in pip):
        pip.append(SDK_PACKAGE)
    version = packages.python_version or DEFAULT_PYTHON
    return {"channels": ["conda-forge"], "dependencies": [f"python={version}", "pip", {"pip": pip}]}


def _recurrence(wanted: Recurring, *, has_start: bool) -> dict[str, Any]:
    found = wanted.recurrence
    trigger: dict[str, Any] = {
        "type": "recurrence",
        "frequency": found.frequency.value.lower(),
        "interval": found.interval,
    }
    if found.is_pinned:
        days = [WEEK_DAYS[day].lower() for day in found.week_days]
        # As in SDK v1, hours without minutes mean the full hour; SDK v2 wants both.
        clock = {"hours": list(found.hours) or [0], "minutes": list(found.minutes) or [0]}
        trigger["schedule"] = {**clock, **({"week_days": days} if days else {})}
    if has_start:
        # Without an offset: azure-ai-ml drops it without a word.
        trigger["start_time"] = found.start.strftime("%Y-%m-%dT%H:%M:%S")
    return {**trigger, "time_zone": wanted.zone_name}
