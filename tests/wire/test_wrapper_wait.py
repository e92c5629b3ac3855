"""RunWrapper.wait on the local Azure ML: told of the end, not looking for it."""

from __future__ import annotations

import time

import pytest
import requests
from azureml.core import Experiment

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import RunTimeout
from azureml_wrapper.run import HELD_SECONDS

pytestmark = pytest.mark.local_only


@pytest.fixture
def sent(monkeypatch):
    """The addresses of all requests that this process sends."""
    found = []
    send = requests.Session.send

    def note(session, request, **options):
        found.append((request.url, request.headers.get("Prefer")))
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", note)
    return found


@pytest.fixture
def started(ws, unique):
    """A run without a script: it ends when the test says so."""
    return Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)


def test_one_request_waits_for_the_end(ws, started, sent):
    from threading import Timer

    timer = Timer(1.0, started.complete)
    timer.start()
    run = RunWrapper(next(started.experiment.get_runs()))
    sent.clear()
    run.wait()
    timer.join()
    assert run.status == "Completed"
    asked = [url for url, prefer in sent if prefer]
    assert asked == [url for url, _ in sent if url.endswith(f"/runs/{run.id}")]
    assert len(asked) == 1


@pytest.mark.slow
def test_a_pipeline_of_ten_steps_is_waited_for_by_one_request_at_a_time(ws, unique, sent, tmp_path):
    """None asks for the steps, and each is held by the service until the run ends, or for as long as it may be."""
    workspace = WorkspaceWrapper.from_workspace(ws)
    workspace.register_env("wait_env", [])
    workspace.register_compute("wait-cpu", compute_max_nodes=2)
    # Each step leaves a file for the next one.
    (tmp_path / "main.py").write_text("import pathlib, sys\npathlib.Path(sys.argv[-1], 'all.txt').write_text('1')\n")
    scope, step = workspace.scope, {"script_name": "main", "script_directory": str(tmp_path)}
    config = {
        **{"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id},
        **{"env_name": "wait_env", "compute_name": "wait-cpu"},
        "steps": [{"step_name": f"s{number}", **step} for number in range(10)],
    }
    run = PipelineWrapper.from_config(config).run(unique("exp"), wait=False)
    sent.clear()
    began = time.monotonic()
    run.wait()
    elapsed = time.monotonic() - began
    assert {(url.rpartition("/runs/")[2], prefer) for url, prefer in sent} == {(run.id, f"wait={HELD_SECONDS:g}")}
    assert len(sent) <= 1 + elapsed // HELD_SECONDS


def test_the_runs_of_the_sdk_know_the_end_that_was_waited_for(ws, started):
    run = RunWrapper(next(started.experiment.get_runs()))
    started.tag("late", "yes")
    started.add_properties({"later": "yes"})
    started.complete()
    run.wait()
    assert (run.raw.status, run.raw.tags["late"], run.raw.properties["later"]) == ("Completed", "yes", "yes")


def test_a_timeout_ends_the_waiting_at_its_time(started):
    began = time.monotonic()
    with pytest.raises(RunTimeout, match=r"is still Running after 0\.4 s"):
        RunWrapper(started).wait(0.4)
    assert 0.4 <= time.monotonic() - began < 10
    started.complete()
    assert RunWrapper(started).wait(0).status == "Completed"


def test_abort_waits_until_the_run_has_stopped_and_leaves_one_that_has_ended_alone(ws, unique):
    pipeline = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)
    assert RunWrapper(pipeline).abort(timeout=60).status == "Canceled"
    ended = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)
    ended.complete()
    run = RunWrapper(ended)
    run.cancel()
    assert run.abort().status == "Completed"
