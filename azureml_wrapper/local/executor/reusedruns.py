"""Makes the run of a step that did not have to run: its own record, with the results of an earlier run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from azureml_wrapper.local.domain.artifacts import CONTAINER, of_run
from azureml_wrapper.local.domain.errors import OutOfSpace
from azureml_wrapper.local.domain.pipelines import LOGS
from azureml_wrapper.local.domain.runs import REUSED_RUN, Run, RunStatus
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.session import DRIVER_LOG
from azureml_wrapper.local.executor.surroundings import Surroundings


class ReusedRuns:
    """Completes runs with what others have made."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def complete(self, run: Run, origin: Run) -> None:
        """Give the run the properties, files and datasets of `origin`, and end it. Its metrics are read there."""
        self._around.runs.change(
            run.workspace_id,
            run.run_id,
            started=run.created,
            properties=properties_of(origin),
            input_datasets=origin.input_datasets,
            output_datasets=origin.output_datasets,
        )
        try:
            self._link_files(run, origin)
            self._write_log(run, origin)
        except OSError as error:
            raise OutOfSpace(f"The files of run {origin.run_id} cannot be shown: {error}.") from error
        self._around.runs.advance(run.workspace_id, run.run_id, RunStatus.COMPLETED)

    def _link_files(self, run: Run, origin: Run) -> None:
        """Show the files of the earlier run, but for the logs, which each run has of its own."""
        account = self._around.workspaces.by_id(run.workspace_id).storage_account
        root, own = of_run(origin.run_id).root, {*LOGS, endings.LOG, DRIVER_LOG}
        for name in self._around.blobs.names(account, CONTAINER, root):
            path = name.removeprefix(root)
            if path not in own:
                os.link(self._around.blobs.path(account, CONTAINER, name), self._file(run, path))

    def _write_log(self, run: Run, origin: Run) -> None:
        before, log = self._file(origin, DRIVER_LOG), self._file(run, endings.LOG)
        with log.open("wb") as file:
            file.write(f"{endings.OWN_LINE}Reused from run {origin.run_id}: nothing ran. Its log:\n".encode())
            if before.exists():
                with before.open("rb") as source:
                    shutil.copyfileobj(source, file)
        os.link(log, self._file(run, DRIVER_LOG))

    def _file(self, run: Run, path: str) -> Path:
        return self._around.artifact(run.workspace_id, run.run_id, path)


def properties_of(origin: Run) -> dict[str, str]:
    """What the run of a reused step says of the earlier run, in the names that Microsoft's clients read."""
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
