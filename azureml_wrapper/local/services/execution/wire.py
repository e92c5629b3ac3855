"""JSON of single runs: what the SDK submits (azureml/_execution/_commands.py), and the run definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import Command, Job, JobInput, JobOutput, Script, Task
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.services.environment_definitions import read_environment
from azureml_wrapper.local.services.runconfig import (
    DATASET_PATH,
    DEFAULT_DATASTORE,
    distribution,
    processes_per_node,
    read_communicator,
    read_mode,
    read_registration,
    unused_settings,
)

# What Azure fills in if the client set no limit: 30 days.
DEFAULT_DURATION = 2592000
_PATH = {"datastoreName": str, "relativePath": str}
_INPUT = {
    "dataLocation": {"dataset": {"id": str}, "dataPath": _PATH},
    "environmentVariableName": str,
    "pathOnCompute": str,
}
_GLOBS = {"patterns": [str], "globPatterns": [str]}
_OUTPUT = {
    "outputLocation": {"dataPath": _PATH},
    "additionalOptions": {
        "pathOnCompute": str,
        "uploadOptions": {"sourceGlobs": _GLOBS},
        "registrationOptions": {"name": str, "description": str, "tags": MapOf(str)},
    },
}
_REFERENCE = {"dataStoreName": Needed(str), "pathOnDataStore": str, "pathOnCompute": str}
_SUBMISSION = {
    "snapshotId": str,
    "parentRunId": str,
    "configuration": {
        **dict.fromkeys(("script", "command", "target", "framework", "communicator"), str),
        "sourceDirectoryDataStore": str,
        **dict.fromkeys(("nodeCount", "maxRunDurationSeconds"), int),
        "arguments": list,
        "environment": {"name": str, "python": dict, "docker": dict, "environmentVariables": dict},
        "environmentVariables": dict,
        "history": {"outputCollection": bool, "directoriesToWatch": [str]},
        "data": MapOf(Needed(_INPUT)),
        "outputData": MapOf(Needed(_OUTPUT)),
        "dataReferences": MapOf(Needed(_REFERENCE)),
        "mpi": {"processCountPerNode": int},
        "pytorch": {"processCount": int, "communicationBackend": str},
        "tensorflow": {"workerCount": int, "parameterServerCount": int},
        **dict.fromkeys(("docker", "amlcompute"), dict),
    },
}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submitted script: `config` is the SDK's RunConfiguration."""

    config: JSON
    snapshot_id: str | None
    parent_id: str | None

    @property
    def target(self) -> str:
        return str(self.config.get("target") or "local")


def read_submission(body: Mapping[str, Any]) -> Submission:
    """The body of a submission; `Invalid` if it has nothing to run."""
    body = {key[:1].lower() + key[1:]: value for key, value in body.items()}
    check_shape(body, _SUBMISSION, "Submission")
    config = body.get("configuration") or {}
    _check_texts(config)
    if not (config.get("script") or config.get("command")):
        raise Invalid("A run needs a configuration with a script or a command.")
    if str(config.get("framework") or "Python").lower() == "pyspark":
        raise Unsupported("Spark is not supported: the local service runs Python scripts and shell commands.")
    return Submission(config=config, snapshot_id=body.get("snapshotId"), parent_id=body.get("parentRunId"))


def _check_texts(config: JSON) -> None:
    """Raise `Invalid` for arguments that are not strings, and for folders outside of the working directory."""
    arguments = config.get("arguments") or []
    if any(isinstance(item, (list, dict)) for item in arguments):
        raise Invalid("The arguments of a run must be strings or numbers.")
    for folder in (config.get("history") or {}).get("directoriesToWatch") or ():
        parts = PurePosixPath(folder)
        if parts.is_absolute() or ".." in parts.parts:
            raise Invalid(f"The folder to watch {folder!r} is not in the script's working directory.")


def job(submission: Submission, workspace_id: str, run_id: str) -> Job:
    """The job of a submission."""
    config = submission.config
    history = config.get("history") or {}
    watched = history.get("directoriesToWatch") or ("logs",)
    communicator, nodes = read_communicator(config.get("communicator")), int(config.get("nodeCount") or 1)
    return Job(
        workspace_id=workspace_id,
        run_id=run_id,
        target=submission.target,
        snapshot_id=submission.snapshot_id,
        task=_task(config),
        environment=read_environment(config.get("environment") or {}),
        environment_variables={
            str(key): str(value) for key, value in (config.get("environmentVariables") or {}).items()
        },
        inputs=(*_inputs(config), *_references(config)),
        outputs=(*_outputs(config), *_uploads(config)),
        distribution=distribution(communicator, nodes, processes_per_node(communicator, nodes, config)),
        node_count=nodes,
        timeout=config.get("maxRunDurationSeconds"),
        folders=("outputs", *watched) if history.get("outputCollection", True) else (),
        notes=unused_settings(config),
    )


def _task(config: JSON) -> Task:
    arguments = tuple(str(argument) for argument in config.get("arguments") or ())
    if config.get("command"):
        return Command(line=config["command"], arguments=arguments)
    return Script(path=str(config.get("script")), arguments=arguments)


def _inputs(config: JSON) -> list[JobInput]:
    return [_input(name, given) for name, given in (config.get("data") or {}).items()]


def _input(name: str, given: JSON) -> JobInput:
    location = given.get("dataLocation") or {}
    dataset, path = location.get("dataset") or {}, location.get("dataPath") or {}
    if not dataset.get("id") and not path.get("datastoreName"):
        raise Unsupported(f"Input {name} is neither a dataset nor a path of a datastore.")
    return JobInput(
        name=name,
        mode=read_mode(given.get("mechanism")),
        variable=given.get("environmentVariableName") or name,
        dataset_id=dataset.get("id"),
        datastore=path.get("datastoreName"),
        path=path.get("relativePath") or "",
        path_on_compute=given.get("pathOnCompute"),
    )


def _references(config: JSON) -> list[JobInput]:
    return [
        JobInput(
            name=name,
            mode=read_mode(given.get("mode")),
            variable=f"AZUREML_DATAREFERENCE_{name}",
            datastore=given["dataStoreName"],
            path=given.get("pathOnDataStore") or "",
            path_on_compute=given.get("pathOnCompute"),
        )
        for name, given in _data_references(config)
        if not _is_upload(given)
    ]


def _uploads(config: JSON) -> list[JobOutput]:
    """Data references in upload mode: what the script writes to their path is published."""
    return [
        JobOutput(
            name=name,
            mode=read_mode(given.get("mode")),
            datastore=given["dataStoreName"],
            path=given.get("pathOnDataStore") or "",
            path_on_compute=given.get("pathOnCompute"),
            overwrite=bool(given.get("overwrite")),
            is_dataset=False,
        )
        for name, given in _data_references(config)
        if _is_upload(given)
    ]


def _data_references(config: JSON) -> list[tuple[str, JSON]]:
    return list((config.get("dataReferences") or {}).items())


def _is_upload(given: JSON) -> bool:
    return str(given.get("mode")).lower() == "upload"


def _outputs(config: JSON) -> list[JobOutput]:
    return [_output(name, given) for name, given in (config.get("outputData") or {}).items()]


def _output(name: str, given: JSON) -> JobOutput:
    place = (given.get("outputLocation") or {}).get("dataPath") or {}
    options = given.get("additionalOptions") or {}
    upload = options.get("uploadOptions") or {}
    globs = upload.get("sourceGlobs") or {}
    return JobOutput(
        name=name,
        mode=read_mode(given.get("mechanism")),
        datastore=place.get("datastoreName") or DEFAULT_DATASTORE,
        path=place.get("relativePath") or DATASET_PATH,
        path_on_compute=options.get("pathOnCompute"),
        overwrite=bool(upload.get("overwrite")),
        # The SDK sends `patterns`; run definitions of real runs have `globPatterns`.
        source_globs=tuple(globs.get("patterns") or globs.get("globPatterns") or ()),
        register_as=read_registration(options.get("registrationOptions")),
    )


def definition(config: JSON, workspace: Workspace, environment_version: str) -> JSON:
    """The run definition as `get_details()` of a real run shows it, in its order."""
    return {
        "script": config.get("script"),
        "command": config.get("command") or "",
        "useAbsolutePath": False,
        "arguments": [str(argument) for argument in config.get("arguments") or ()],
        "sourceDirectoryDataStore": None,
        "framework": config.get("framework") or "Python",
        "communicator": config.get("communicator") or "None",
        "target": config.get("target"),
        "dataReferences": config.get("dataReferences") or {},
        "data": config.get("data") or {},
        "outputData": config.get("outputData") or {},
        "datacaches": config.get("datacaches") or [],
        "jobName": None,
        "maxRunDurationSeconds": config.get("maxRunDurationSeconds") or DEFAULT_DURATION,
        "nodeCount": config.get("nodeCount") or 1,
        "instanceTypes": [],
        "priority": config.get("priority"),
        "credentialPassthrough": bool(config.get("credentialPassthrough")),
        "identity": None,
        "environment": _environment(config.get("environment") or {}, workspace, environment_version),
        "history": _history(config),
        "spark": config.get("spark"),
        **_settings(config),
        "exposedPorts": None,
        "docker": config.get("docker"),
        "cmk8sCompute": {"configuration": {}},
        "commandReturnCodeConfig": {"returnCode": "Zero", "successfulReturnCodes": []},
        "environmentVariables": config.get("environmentVariables") or {},
        "applicationEndpoints": config.get("applicationEndpoints") or {},
        "parameters": [],
    }


def _environment(given: JSON, workspace: Workspace, version: str) -> JSON:
    name = given.get("name")
    place = f"azureml://locations/{workspace.location}/workspaces/{workspace.workspace_id}"
    return {
        "name": name,
        "version": version,
        "assetId": f"{place}/environments/{name}/versions/{version}",
        "autoRebuild": True,
        "python": given.get("python"),
        "environmentVariables": given.get("environmentVariables") or {},
        "docker": given.get("docker"),
        "spark": given.get("spark"),
        "inferencingStackVersion": given.get("inferencingStackVersion"),
    }


def _history(config: JSON) -> JSON:
    given = config.get("history") or {}
    return {
        "outputCollection": given.get("outputCollection", True),
        "directoriesToWatch": given.get("directoriesToWatch") or ["logs"],
        "enableMLflowTracking": True,
        "snapshotProject": given.get("snapshotProject", True),
    }


def _settings(config: JSON) -> JSON:
    """The parts for one kind of compute or framework each; Azure's keys are not quite the SDK's."""
    compute, mpi, torch = (config.get(key) or {} for key in ("amlcompute", "mpi", "pytorch"))
    return {
        "parallelTask": config.get("paralleltask"),
        "amlCompute": {
            "name": compute.get("name"),
            "vmSize": compute.get("vmSize"),
            "retainCluster": bool(compute.get("retainCluster")),
            "clusterMaxNodeCount": compute.get("clusterMaxNodeCount"),
        },
        "kubernetesCompute": config.get("kubernetescompute"),
        "tensorflow": config.get("tensorflow"),
        "mpi": {"processCountPerNode": mpi.get("processCountPerNode") or 1},
        "pyTorch": {
            "communicationBackend": torch.get("communicationBackend") or "nccl",
            "processCount": torch.get("processCount"),
        },
        "hdi": config.get("hdi"),
        "containerInstance": {"region": None, "cpuCores": 2.0, "memoryGb": 3.5},
    }


def properties(submission: Submission, of_snapshot: Mapping[str, str]) -> dict[str, str]:
    """A script run's properties, in the order of 2024; Azure copies those of the snapshot (git) after its own."""
    is_local = submission.target == "local"
    files = {
        "ProcessInfoFile": "azureml-logs/process_info.json",
        "ProcessStatusFile": "azureml-logs/process_status.json",
    }
    return {
        "_azureml.ComputeTargetType": "local" if is_local else "amlctrain",
        "_azureml.ClusterName": submission.target,
        **({"ContentSnapshotId": submission.snapshot_id} if submission.snapshot_id else {}),
        **({} if is_local else files),
        **of_snapshot,
    }
