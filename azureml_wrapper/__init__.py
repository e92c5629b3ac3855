"""azureml_wrapper: Azure ML pipelines in a few lines, in Azure or on this machine.

    from azureml_wrapper import PipelineWrapper

    run = PipelineWrapper.from_config("pipeline.json").run("my-experiment")
    print(run.status, run.metrics)

The names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_wrapper.job import JobWrapper as JobWrapper
    from azureml_wrapper.jobs.folder import JobFolder as JobFolder
    from azureml_wrapper.pipeline import PipelineWrapper as PipelineWrapper
    from azureml_wrapper.pipeline_files.train_pipeline import BasePipeline as BasePipeline
    from azureml_wrapper.pipeline_files.train_pipeline import TrainPipeline as TrainPipeline
    from azureml_wrapper.run import RunWrapper as RunWrapper
    from azureml_wrapper.script import ScriptWrapper as ScriptWrapper
    from azureml_wrapper.step import PipelineStep as PipelineStep
    from azureml_wrapper.workspace import WorkspaceWrapper as WorkspaceWrapper

__version__ = "0.1.0"

_HOMES = {
    "BasePipeline": "pipeline_files.train_pipeline",
    "JobFolder": "jobs.folder",
    "JobWrapper": "job",
    "PipelineStep": "step",
    "PipelineWrapper": "pipeline",
    "RunWrapper": "run",
    "ScriptWrapper": "script",
    "TrainPipeline": "pipeline_files.train_pipeline",
    "WorkspaceWrapper": "workspace",
}
__all__ = [
    "BasePipeline",
    "JobFolder",
    "JobWrapper",
    "PipelineStep",
    "PipelineWrapper",
    "RunWrapper",
    "ScriptWrapper",
    "TrainPipeline",
    "WorkspaceWrapper",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    # Found at once from now on; and a submodule of the same name cannot come between.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
