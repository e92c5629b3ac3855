"""The run of a step, as run history shows it.

Properties, tags and run definition are those of real step runs (2022-2024).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.domain.graphs import JSON
from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput
from azureml_wrapper.local.domain.limits import ERROR_LENGTH
from azureml_wrapper.local.domain.pipelines import STEP_RUN_TYPE, PipelineRun
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.executor.steps import Plan
from azureml_wrapper.local.store.runs import RunStore

NO_TIME = "0001-01-01T00:00:00.000Z"
_WORDS = {"direct": "Direct", "mount": "Mount", "download": "Download", "upload": "Upload"}


class StepRuns:
    """Makes the run records of steps."""

    def __init__(self, runs: RunStore, clock: Clock, ids: Ids) -> None:
        self._runs, self._clock, self._ids = runs, clock, ids

    def add(self, pipeline: PipelineRun, plan: Plan, run_id: str) -> Run:
        """Store the run of a step that is about to be submitted."""
        parent = self._runs.get(pipeline.workspace_id, pipeline.run_id)
        return self._runs.add(
            Run(
                workspace_id=pipeline.workspace_id,
                run_id=run_id,
                experiment=parent.experiment,
                experiment_id=parent.experiment_id,
                created=self._clock.now(),
                parent_id=parent.run_id,
                run_type=STEP_RUN_TYPE,
                name=plan.module.name,
                display_name=plan.module.name,
                target=plan.target,
                script=plan.parameters.get("Script"),
                uuid=self._ids.guid(),
                submitted_by=parent.submitted_by,
                # The SDK takes both from the tags, real runs show them in the properties (run.py, StepRun._from_dto).
                tags={"azureml.nodeid": plan.step.node_id, "azureml.pipeline": parent.run_id},
                properties=_properties(parent, plan),
            )
        )

    def describe(self, run: Run, job: Job, config: JSON) -> None:
        """Store the run definition of the job."""
        self._runs.define(run.workspace_id, run.run_id, definition_of(job, config))


def _properties(parent: Run, plan: Plan) -> dict[str, str]:
    compute = plan.parameters.get("MLCComputeType") or "AmlCompute"
    return {
        "ContentSnapshotId": plan.module.snapshot_id or "",
        "StepType": plan.module.step_type,
        "ComputeTargetType": compute,
        "azureml.moduleid": plan.module.module_id,
        "azureml.moduleName": plan.module.name,
        "azureml.runsource": "azureml.StepRun",
        "azureml.nodeid": plan.step.node_id,
        "azureml.pipelinerunid": parent.run_id,
        "azureml.pipeline": parent.run_id,
        "azureml.rootpipelinerunid": parent.root_id or parent.run_id,
        "azureml.pipelineComponent": "masterescloud",
        "_azureml.ComputeTargetType": "amlctrain" if compute == "AmlCompute" else compute.lower(),
        "_azureml.ClusterName": plan.target,
        "ProcessInfoFile": "azureml-logs/process_info.json",
        "ProcessStatusFile": "azureml-logs/process_status.json",
    }


def definition_of(job: Job, config: JSON) -> JSON:
    """`runDefinition`: the RunConfiguration that the SDK sent, with what the pipeline service fills in."""
    references = [item for item in job.inputs if item.dataset_id is None]
    own: JSON = {
        "script": job.script,
        "command": job.command or "",
        "useAbsolutePath": False,
        "arguments": list(job.arguments),
        "sourceDirectoryDataStore": None,
        "framework": "Python",
        "communicator": job.communicator or "None",
        "target": job.target,
        "dataReferences": {
            **{item.name: _reference(item) for item in references},
            **{item.name: _made(item, job.run_id) for item in job.outputs if not item.is_dataset},
        },
        "data": {item.name: _data(item) for item in job.inputs if item.dataset_id is not None},
        "outputData": {item.name: _output(item) for item in job.outputs if item.is_dataset},
        "datacaches": [],
        "jobName": None,
        "maxRunDurationSeconds": int(job.timeout) if job.timeout else None,
        "nodeCount": job.node_count,
    }
    rest = {name: value for name, value in config.items() if name not in own}
    return {**own, **rest, "environmentVariables": dict(job.environment_variables)}


def _reference(item: JobInput) -> JSON:
    return {
        "dataStoreName": item.datastore,
        "mode": _WORDS[item.mode.value],
        "pathOnDataStore": item.path,
        "pathOnCompute": item.path_on_compute,
        "overwrite": False,
    }


def _made(item: JobOutput, run_id: str) -> JSON:
    return {
        "dataStoreName": item.datastore,
        "mode": _WORDS[item.mode.value],
        "pathOnDataStore": item.path.replace("{run-id}", run_id).replace("{output-name}", item.name),
        "pathOnCompute": item.path_on_compute,
        "overwrite": item.overwrite,
    }


def _data(item: JobInput) -> JSON:
    return {
        "dataLocation": {
            # In a step's run the name is None, the version is set (dumps of 2022).
            "dataset": {"id": item.dataset_id, "name": None, "version": "1"},
            "dataPath": None,
            "uri": None,
            "type": None,
        },
        "mechanism": _WORDS[item.mode.value],
        "environmentVariableName": item.variable,
        "pathOnCompute": item.path_on_compute,
        "overwrite": False,
        "options": None,
    }


def _output(item: JobOutput) -> JSON:
    registration: Mapping[str, Any] = item.register_as or {}
    globs = list(item.source_globs) or None
    return {
        "outputLocation": {
            "dataset": None,
            "dataPath": {"datastoreName": item.datastore, "relativePath": item.path},
            "uri": None,
            "type": None,
        },
        "mechanism": _WORDS[item.mode.value],
        "additionalOptions": {
            "pathOnCompute": item.path_on_compute,
            "registrationOptions": {
                "name": registration.get("name"),
                "description": registration.get("description"),
                "tags": registration.get("tags"),
                "datasetRegistrationOptions": registration.get("datasetRegistrationOptions"),
            },
            "uploadOptions": {"overwrite": item.overwrite, "sourceGlobs": {"globPatterns": globs}},
            "mountOptions": None,
        },
        "environmentVariableName": None,
    }


def fault_error(fault: ServiceFault, component: str = "pipelines") -> JSON:
    """A run's error for a fault of the service."""
    return _error(fault.code, fault.message, component)


def reason_of(run: Run) -> str:
    """Why a run failed, in a sentence."""
    message = ((run.error or {}).get("error") or {}).get("message")
    return str(message or f"The run is {run.status.value}.")


def pipeline_error(failed: list[Run]) -> JSON:
    """A pipeline's error: which steps failed, and why the first of them did."""
    names = ", ".join(f"{run.name} ({run.run_id})" for run in failed[:10])
    text = f"Pipeline has some failed steps: {names}. See child run or execution logs for more details."
    return _error("UserError", f"{text} {failed[0].name}: {reason_of(failed[0])}", "pipelines")


def _error(code: str, message: str, component: str) -> JSON:
    body = {"code": code, "message": message[:ERROR_LENGTH], "messageParameters": {}, "details": []}
    return {"error": body, "time": NO_TIME, "componentName": component}


def stages_of(run: Run, end: datetime, word: str) -> str:
    """`azureml.pipelines.stages` of a pipeline's run (since 2022-12): seven decimals, unlike all other times."""
    started, ended = (
        (instant or end).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")
        for instant in (run.started, end)
    )
    execution = {"StartTime": started, "EndTime": ended, "Status": word}
    return json.dumps({"Initialization": None, "Execution": execution}, separators=(",", ":"))
