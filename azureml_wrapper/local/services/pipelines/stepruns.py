"""The run of a step, as run history shows it: properties, tags and run definition of real step runs (2022-2024)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.jobs import Command, Job, JobInput, JobOutput, Script
from azureml_wrapper.local.domain.pipelines import STEP_RUN_TYPE, PipelineRun, word_of
from azureml_wrapper.local.domain.plans import Facts, Step
from azureml_wrapper.local.domain.runs import JSON, REUSED_RUN, Run, RunStatus
from azureml_wrapper.local.services.pipelines.steptypes import SWEEP_PARAMETERS, SentStep, step_type
from azureml_wrapper.local.services.runconfig import MODE_WORDS
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.runs import RunStore

# Parameters and settings that a recipe holds elsewhere.
_OWN_PARAMETERS = frozenset({"Target", "Script", "Arguments", *SWEEP_PARAMETERS})
_OWN_SETTINGS = frozenset(
    {
        *("script", "arguments", "target", "environment", "environmentVariables"),
        *("data", "dataReferences", "outputData"),
    }
)


class StepRunRecords:
    """domain/plans.py, StepRuns."""

    def __init__(self, runs: RunStore, environments: EnvironmentStore, clock: Clock, ids: Ids) -> None:
        self._runs, self._environments, self._clock, self._ids = runs, environments, clock, ids

    def add(self, pipeline: PipelineRun, step: Step, run_id: str) -> Run:
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
                name=step.name,
                display_name=step.name,
                target=step.target,
                script=_sent(step).parameters.get("Script"),
                uuid=self._ids.guid(),
                submitted_by=parent.submitted_by,
                # The SDK takes both from the tags, real runs show them in the properties (run.py, StepRun._from_dto).
                tags={"azureml.nodeid": step.node_id, "azureml.pipeline": parent.run_id},
                properties=_properties(parent, step),
            ),
            parent=parent,
        )

    def describe(self, run: Run, step: Step, job: Job) -> None:
        """Store the run definition of the step's job."""
        definition = definition_of(step, job)
        if sent := definition.get("environment"):
            # `run.get_environment()` looks for the version that is named here.
            definition["environment"] = {**sent, "version": self._environments.used(run.workspace_id, sent)}
        self._runs.define(run.workspace_id, run.run_id, definition)

    def facts(self, step: Step) -> Facts:
        """What a later run must have in common with this one to reuse its outputs."""
        sent = _sent(step)
        config = sent.config
        own = {*sent.script_parameters, *_OWN_PARAMETERS}
        parameters = {name: value for name, value in sent.parameters.items() if name not in own}
        of_type = step_type(sent.module).settings(sent)
        settings = {name: value for name, value in config.items() if name not in _OWN_SETTINGS}
        return Facts(
            parameters=sent.script_parameters,
            variables=dict(config.get("environmentVariables") or {}),
            settings={"compute": step.target, **parameters, "runconfig": settings, **of_type},
        )

    def reused(self, origin: Run) -> dict[str, str]:
        """What a reused step's run says about the earlier run, in the names that Microsoft's clients read."""
        pipeline = origin.parent_id or ""
        return {
            "azureml.isreused": "true",
            REUSED_RUN: origin.run_id,
            "azureml.reusednodeid": origin.properties.get("azureml.nodeid", ""),
            # The SDK reads the first (azureml/pipeline/core/run.py, StepRun._from_dto), newer clients the second.
            "azureml.reusedpipeline": pipeline,
            "azureml.reusedpipelinerunid": pipeline,
            "azureml.rootpipelinerunid": origin.properties.get("azureml.rootpipelinerunid", pipeline),
        }

    def finished(self, pipeline: Run, end: datetime, status: RunStatus) -> dict[str, str]:
        """`azureml.pipelines.stages` (since 2022-12). Its times have seven decimals, unlike all others."""
        started, ended = (
            (moment or end).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")
            for moment in (pipeline.started, end)
        )
        execution = {"StartTime": started, "EndTime": ended, "Status": word_of(status)}
        stages = {"Initialization": None, "Execution": execution}
        return {"azureml.pipelines.stages": json.dumps(stages, separators=(",", ":"))}


def _sent(step: Step) -> SentStep:
    sent: SentStep = step.sent
    return sent


def _properties(parent: Run, step: Step) -> dict[str, str]:
    sent = _sent(step)
    compute = sent.parameters.get("MLCComputeType") or "AmlCompute"
    return {
        "ContentSnapshotId": step.snapshot_id or "",
        "StepType": step.kind,
        "ComputeTargetType": compute,
        "azureml.moduleid": sent.module.module_id,
        "azureml.moduleName": step.name,
        "azureml.runsource": "azureml.StepRun",
        "azureml.nodeid": step.node_id,
        "azureml.pipelinerunid": parent.run_id,
        "azureml.pipeline": parent.run_id,
        "azureml.rootpipelinerunid": parent.root_id or parent.run_id,
        "azureml.pipelineComponent": "masterescloud",
        "_azureml.ComputeTargetType": "amlctrain" if compute == "AmlCompute" else compute.lower(),
        "_azureml.ClusterName": step.target,
        "ProcessInfoFile": "azureml-logs/process_info.json",
        "ProcessStatusFile": "azureml-logs/process_status.json",
    }


def definition_of(step: Step, job: Job) -> JSON:
    """`runDefinition`: the RunConfiguration that the SDK sent, with what the pipeline service fills in."""
    sent, task = _sent(step), job.task
    config = sent.config
    references = [item for item in job.inputs if item.dataset_id is None]
    own: JSON = {
        "script": task.path if isinstance(task, Script) else None,
        "command": task.line if isinstance(task, Command) else "",
        "useAbsolutePath": False,
        "arguments": list(task.arguments),
        "sourceDirectoryDataStore": None,
        "framework": "Python",
        "communicator": sent.communicator or "None",
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
        "mode": MODE_WORDS[item.mode],
        "pathOnDataStore": item.path,
        "pathOnCompute": item.path_on_compute,
        "overwrite": False,
    }


def _made(item: JobOutput, run_id: str) -> JSON:
    return {
        "dataStoreName": item.datastore,
        "mode": MODE_WORDS[item.mode],
        "pathOnDataStore": item.path_of(run_id),
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
        "mechanism": MODE_WORDS[item.mode],
        "environmentVariableName": item.variable,
        "pathOnCompute": item.path_on_compute,
        "overwrite": False,
        "options": None,
    }


def _output(item: JobOutput) -> JSON:
    registration: Mapping[str, Any] = item.register_as.sent if item.register_as else {}
    globs = list(item.source_globs) or None
    return {
        "outputLocation": {
            "dataset": None,
            "dataPath": {"datastoreName": item.datastore, "relativePath": item.path},
            "uri": None,
            "type": None,
        },
        "mechanism": MODE_WORDS[item.mode],
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
