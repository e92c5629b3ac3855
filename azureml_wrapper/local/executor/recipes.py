"""The recipes of steps (domain/reuse.py): from a job, and the files that it reads as they are at the moment."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from azureml_wrapper.local.domain.datasets import Source
from azureml_wrapper.local.domain.jobs import Job, JobInput
from azureml_wrapper.local.domain.reuse import JSON, Recipe, files_of
from azureml_wrapper.local.domain.stepoutputs import resolved_path
from azureml_wrapper.local.domain.storage import Blob
from azureml_wrapper.local.executor.inputs import glob_expression, split_pattern
from azureml_wrapper.local.executor.steps import Plan
from azureml_wrapper.local.executor.surroundings import Surroundings

_PARAMETER = "AZUREML_PARAMETER_"
# What a recipe holds elsewhere.
_OWN_PARAMETERS = frozenset({"Target", "Script", "Arguments"})
_OWN_SETTINGS = frozenset(
    {
        *("script", "arguments", "target", "environment", "environmentVariables"),
        *("data", "dataReferences", "outputData"),
    }
)


class Recipes:
    """Reads what jobs are made of."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def of(self, plan: Plan, job: Job, made_by: Mapping[str, str]) -> Recipe:
        """The recipe of a job; `made_by` has the runs that made its inputs. `NotFound` where something is missing."""
        config = plan.runconfig
        return Recipe(
            step=plan.module.name,
            snapshot_id=job.snapshot_id,
            code=self._code_hash(job),
            script=job.script or "",
            arguments=list(job.arguments),
            parameters={
                name.removeprefix(_PARAMETER): value
                for name, value in plan.variables.items()
                if name.startswith(_PARAMETER)
            },
            environment=_definition(job.environment),
            variables=dict(config.get("environmentVariables") or {}),
            settings=_settings(plan),
            inputs={item.name: self._input(job, item, made_by.get(item.name)) for item in job.inputs},
            outputs={item.name: dict(vars(item)) for item in job.outputs},
        )

    def code(self, workspace_id: str, recipe: Recipe) -> dict[str, str]:
        """The script folder's files: path and hash."""
        if recipe.snapshot_id is None:
            return {}
        files = self._around.snapshots.get(workspace_id, recipe.snapshot_id).files
        return {path: file.sha256 for path, file in files.items()}

    def outputs(self, job: Job, run_id: str) -> JSON:
        """The files that lie in the outputs that a run of this job has made."""
        return {
            item.name: files_of(self._files(job.workspace_id, Source(item.datastore, resolved_path(item, run_id))))
            for item in job.outputs
        }

    def _code_hash(self, job: Job) -> str:
        return self._around.snapshots.get(job.workspace_id, job.snapshot_id).content_hash if job.snapshot_id else ""

    def _input(self, job: Job, item: JobInput, made_by: str | None) -> JSON:
        return {
            "mode": item.mode.value,
            "path_on_compute": item.path_on_compute,
            "variable": item.variable,
            "dataset": item.dataset_id,
            "datastore": item.datastore,
            "path": item.path,
            "made_by": made_by,
            "files": files_of(
                entry for source in self._sources(job, item) for entry in self._files(job.workspace_id, source)
            ),
        }

    def _sources(self, job: Job, item: JobInput) -> list[Source]:
        if item.dataset_id is None:
            return [Source(item.datastore, item.path)]
        return self._around.datasets.saved(job.workspace_id, item.dataset_id).sources

    def _files(self, workspace_id: str, source: Source) -> Iterator[tuple[str, str]]:
        """Name and ETag of each file, read in one walk. What lies outside of the datastores is not looked at."""
        if source.datastore is None:
            return
        found = self._around.datastores.get(workspace_id, source.datastore)
        place, blobs = (found.account, found.container), self._around.blobs
        fixed, pattern = split_pattern(source.path)
        single = blobs.stat(*place, fixed) if fixed and not pattern else None
        start = f"{fixed}/" if fixed else ""
        matches = glob_expression(pattern) if pattern else None
        # In one page: each further one would read the folder again.
        for blob in [single] if single else blobs.page(*place, start, limit=sys.maxsize):
            if isinstance(blob, Blob) and (matches is None or matches.fullmatch(blob.name.removeprefix(start))):
                yield blob.name if blob is single else blob.name.removeprefix(start), blob.etag


def _definition(environment: Mapping[str, Any]) -> JSON:
    """An environment without its names: registering it changes them."""
    kept = {key: value for key, value in environment.items() if key not in ("name", "version", "assetId")}
    python = kept.get("python")
    if isinstance(python, Mapping) and isinstance(python.get("condaDependencies"), Mapping):
        conda = {key: value for key, value in python["condaDependencies"].items() if key != "name"}
        kept["python"] = {**python, "condaDependencies": conda}
    return kept


def _settings(plan: Plan) -> JSON:
    """The compute and all other settings of a run."""
    scripts = {name for name, item in plan.module.parameters.items() if item.get("SetEnvironmentVariable")}
    parameters = {name: value for name, value in plan.parameters.items() if name not in scripts | _OWN_PARAMETERS}
    config = {name: value for name, value in plan.runconfig.items() if name not in _OWN_SETTINGS}
    return {"compute": plan.target, **parameters, "runconfig": config}
