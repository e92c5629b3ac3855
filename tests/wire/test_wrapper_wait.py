"""RunWrapper.wait on the local Azure ML: told of the end, not looking for it."""

from __future__ import annotations

import time

import pytest
import requests
from azureml.core import Experiment

from azureml_wrapper import RunWrapper
from azureml_wrapper.errors import RunTimeout

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
