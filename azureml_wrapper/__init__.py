"""azureml_wrapper: Azure ML pipelines in a few lines, in Azure or on this machine.

    from azureml_wrapper import PipelineWrapper, RunFailed

    try:
        run = PipelineWrapper.from_config("pipeline.json").run("my-experiment")
        print(run.status, run.metrics)
    except RunFailed as error:
        print(error)

The names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_wrapper.errors import AlreadyRegistered as AlreadyRegistered
    from azureml_wrapper.errors import BadArgument as BadArgument
    from azureml_wrapper.errors import BadData as BadData
    from azureml_wrapper.errors import BadName as BadName
    from azureml_wrapper.errors import BadParameter as BadParameter
    from azureml_wrapper.errors import BadPipeline as BadPipeline
    from azureml_wrapper.errors import BadRecord as BadRecord
    from azureml_wrapper.errors import BadSchedule as BadSchedule
    from azureml_wrapper.errors import BadValue as BadValue
    from azureml_wrapper.errors import ConfigError as ConfigError
    from azureml_wrapper.errors import ConfigNotFound as ConfigNotFound
    from azureml_wrapper.errors import ConfigSyntax as ConfigSyntax
    from azureml_wrapper.errors import ConnectionFailed as ConnectionFailed
    from azureml_wrapper.errors import FolderBusy as FolderBusy
    from azureml_wrapper.errors import FolderClosed as FolderClosed
    from azureml_wrapper.errors import FolderTaken as FolderTaken
    from azureml_wrapper.errors import LoginFailed as LoginFailed
    from azureml_wrapper.errors import MissingInput as MissingInput
    from azureml_wrapper.errors import MissingKey as MissingKey
    from azureml_wrapper.errors import NoSuchJob as NoSuchJob
    from azureml_wrapper.errors import NotRegistered as NotRegistered
    from azureml_wrapper.errors import RunCanceled as RunCanceled
    from azureml_wrapper.errors import RunFailed as RunFailed
    from azureml_wrapper.errors import RunTimeout as RunTimeout
    from azureml_wrapper.errors import ScriptNotFound as ScriptNotFound
    from azureml_wrapper.errors import SecretInFolder as SecretInFolder
    from azureml_wrapper.errors import SeveralProblems as SeveralProblems
    from azureml_wrapper.errors import SnapshotTooLarge as SnapshotTooLarge
    from azureml_wrapper.errors import TransferFailed as TransferFailed
    from azureml_wrapper.errors import UnregisteredCompute as UnregisteredCompute
    from azureml_wrapper.errors import UnregisteredDataset as UnregisteredDataset
    from azureml_wrapper.errors import UnregisteredDatastore as UnregisteredDatastore
    from azureml_wrapper.errors import UnregisteredEnvironment as UnregisteredEnvironment
    from azureml_wrapper.errors import UnregisteredPipeline as UnregisteredPipeline
    from azureml_wrapper.errors import UnregisteredRun as UnregisteredRun
    from azureml_wrapper.errors import UnregisteredSchedule as UnregisteredSchedule
    from azureml_wrapper.errors import WrapperError as WrapperError
    from azureml_wrapper.errors import WrongType as WrongType
    from azureml_wrapper.job import JobWrapper as JobWrapper
    from azureml_wrapper.jobs.folder import JobFolder as JobFolder
    from azureml_wrapper.jobs.states import JobState as JobState
    from azureml_wrapper.pipeline import PipelineWrapper as PipelineWrapper
    from azureml_wrapper.publishing.publication import RegisteredPipeline as RegisteredPipeline
    from azureml_wrapper.publishing.schedule import Schedule as Schedule
    from azureml_wrapper.run import RunWrapper as RunWrapper
    from azureml_wrapper.runs.failure import Failure as Failure
    from azureml_wrapper.script import ScriptWrapper as ScriptWrapper
    from azureml_wrapper.step import PipelineStep as PipelineStep
    from azureml_wrapper.train_pipeline import BasePipeline as BasePipeline
    from azureml_wrapper.train_pipeline import TrainPipeline as TrainPipeline
    from azureml_wrapper.transfer import TransferReport as TransferReport
    from azureml_wrapper.workspace import WorkspaceWrapper as WorkspaceWrapper

__version__ = "0.1.0"

# Module -> the public names that it defines.
_MODULES = {
    "errors": (
        "AlreadyRegistered",
        "BadArgument",
        "BadData",
        "BadName",
        "BadParameter",
        "BadPipeline",
        "BadRecord",
        "BadSchedule",
        "BadValue",
        "ConfigError",
        "ConfigNotFound",
        "ConfigSyntax",
        "ConnectionFailed",
        "FolderBusy",
        "FolderClosed",
        "FolderTaken",
        "LoginFailed",
        "MissingInput",
        "MissingKey",
        "NoSuchJob",
        "NotRegistered",
        "RunCanceled",
        "RunFailed",
        "RunTimeout",
        "ScriptNotFound",
        "SecretInFolder",
        "SeveralProblems",
        "SnapshotTooLarge",
        "TransferFailed",
        "UnregisteredCompute",
        "UnregisteredDataset",
        "UnregisteredDatastore",
        "UnregisteredEnvironment",
        "UnregisteredPipeline",
        "UnregisteredRun",
        "UnregisteredSchedule",
        "WrapperError",
        "WrongType",
    ),
    "job": ("JobWrapper",),
    "jobs.folder": ("JobFolder",),
    "jobs.states": ("JobState",),
    "pipeline": ("PipelineWrapper",),
    "publishing.publication": ("RegisteredPipeline",),
    "publishing.schedule": ("Schedule",),
    "run": ("RunWrapper",),
    "runs.failure": ("Failure",),
    "script": ("ScriptWrapper",),
    "step": ("PipelineStep",),
    "train_pipeline": ("BasePipeline", "TrainPipeline"),
    "transfer": ("TransferReport",),
    "workspace": ("WorkspaceWrapper",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "AlreadyRegistered",
    "BadArgument",
    "BadData",
    "BadName",
    "BadParameter",
    "BadPipeline",
    "BadRecord",
    "BadSchedule",
    "BadValue",
    "BasePipeline",
    "ConfigError",
    "ConfigNotFound",
    "ConfigSyntax",
    "ConnectionFailed",
    "Failure",
    "FolderBusy",
    "FolderClosed",
    "FolderTaken",
    "JobFolder",
    "JobState",
    "JobWrapper",
    "LoginFailed",
    "MissingInput",
    "MissingKey",
    "NoSuchJob",
    "NotRegistered",
    "PipelineStep",
    "PipelineWrapper",
    "RegisteredPipeline",
    "RunCanceled",
    "RunFailed",
    "RunTimeout",
    "RunWrapper",
    "Schedule",
    "ScriptNotFound",
    "ScriptWrapper",
    "SecretInFolder",
    "SeveralProblems",
    "SnapshotTooLarge",
    "TrainPipeline",
    "TransferFailed",
    "TransferReport",
    "UnregisteredCompute",
    "UnregisteredDataset",
    "UnregisteredDatastore",
    "UnregisteredEnvironment",
    "UnregisteredPipeline",
    "UnregisteredRun",
    "UnregisteredSchedule",
    "WorkspaceWrapper",
    "WrapperError",
    "WrongType",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    # Found at once from now on, before a submodule of the same name.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
