"""A program's threads: what one of them does with the library changes nothing for the others."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azureml_wrapper import PipelineStep, PipelineWrapper, RunFailed, WorkspaceWrapper
from azureml_wrapper.assets.compute_targets import find_compute
from azureml_wrapper.assets.csv_datasets import find_dataset
from azureml_wrapper.assets.datastores import find_datastore
from azureml_wrapper.assets.environments import find_environment
from tests.waiting import until

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def workspace(ws):
    return WorkspaceWrapper.from_workspace(ws)


def process_wide() -> tuple[object, ...]:
    return (
        sys.stdout,
        sys.stderr,
        logging.root.manager.disable,
        logging.root.level,
        list(logging.root.handlers),
        warnings.showwarning,
        list(warnings.filters),
        dict(os.environ),
        Path.cwd(),
    )


@pytest.mark.slow
def test_failing_runs_that_threads_wait_for_leave_the_process_as_it_was(workspace, tmp_path, unique, capsys):
    workspace.register_env("threads_env", [])
    workspace.register_compute("threads-cpu", compute_max_nodes=6)
    # Without a traceback in the service's message, the reason is looked for in the log.
    (tmp_path / "fail.py").write_text("print('begun')\nraise SystemExit(3)\n")
    where = (workspace.scope.name, workspace.scope.resource_group, workspace.scope.subscription_id)
    step = PipelineStep(*where, "fails", "fail", script_directory=tmp_path, allow_reuse=False)
    pipeline = PipelineWrapper(*where, "threads_env", "threads-cpu", [step])
    runs = [pipeline.run(unique("threads"), wait=False) for _ in range(6)]
    # All have ended, and all threads begin at once, so that they read their logs at the same time.
    until(lambda: all(run.status == "Failed" for run in runs))
    together = threading.Barrier(len(runs))
    capsys.readouterr()
    before = process_wide()

    def wait(run) -> str:
        print(f"waiting for {run.id}")
        together.wait(60)
        with pytest.raises(RunFailed) as error:
            run.wait(120)
        print(f"ended {run.id}")
        return str(error.value)

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(wait, runs))
    print("RESULT")
    assert all("exit code 3" in each for each in told)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[:-1]) == sorted(f"{word} {run.id}" for word in ("waiting for", "ended") for run in runs)
    assert lines[-1] == "RESULT"
    assert process_wide() == before


def test_looking_for_what_is_not_there_prints_and_logs_nothing(workspace, ws, unique, capsys, caplog):
    name = unique("nothing")
    for find in (find_compute, find_datastore, find_environment, find_dataset):
        assert find(ws, name) is None
    workspace.register_compute(f"c{name}"[:16])
    assert capsys.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []
