"""The disk answers slowly: what needs it waits and is not acknowledged, the rest goes on, and nothing hangs."""

from __future__ import annotations

import logging
import threading

import pytest

from azureml_wrapper.local.faultpoints import WAIT
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store import syncing
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.syncing import Syncer
from tests.faults.machine import machine
from tests.faults.usage import Usage, run_script, upload
from tests.waiting import SECONDS, until

LONG = 10**6


@pytest.mark.parametrize("point", ["blobs.received", "blobs.replaced"])
def test_a_write_that_waits_for_the_disk_is_not_acknowledged_and_holds_up_no_reader(tmp_path, point):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        upload(usage)
        before = dict(usage.allowed)
        made.passed()
        made.order(WAIT, point, times=LONG)
        writing = threading.Thread(target=upload, args=[usage])
        writing.start()
        until(lambda: point in made.passed())
        made.connect()
        # Each answer comes while the write still waits.
        assert [usage.look(key) in allowed for key, allowed in before.items()] == [True]
        assert made.ask("GET", "{ws}").json()["name"] == "local"
        assert writing.is_alive()
        made.cancel_order()
        writing.join()
        assert usage.check() == []


def test_a_job_waits_for_the_disk_and_completes(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        assert usage.snapshot
        assert usage.container
        made.passed()
        made.order(WAIT, "jobs.collected", times=LONG)
        running = threading.Thread(target=run_script, args=[usage])
        running.start()
        until(lambda: "jobs.collected" in made.passed())
        made.connect()
        (run_id,) = usage.submitted
        assert usage.run(run_id)["status"] == "Finalizing"
        made.cancel_order()
        running.join()
        assert usage.check() == []


@pytest.mark.slow
def test_a_service_that_waits_for_the_disk_stops_when_it_answers(tmp_path):
    with machine(tmp_path) as made:
        made.start()
        usage = Usage(made)
        assert usage.snapshot
        usage.is_tolerant = True
        made.order(WAIT, "jobs.log-made", times=LONG)
        path = "/execution/v1.0/subscriptions/local/resourceGroups/local/providers"
        path += "/Microsoft.MachineLearningServices/workspaces/local/experiments/exp/snapshotrun?runId=waits"
        environment = {"python": {"userManagedDependencies": True}}
        config = {"script": "s.py", "arguments": ["w"], "target": "local", "environment": environment}
        usage.ask("POST", path, {"configuration": config, "snapshotId": usage.snapshot})
        until(lambda: "jobs.log-made" in made.passed())
        # Its thread waits; the service does not wait for it longer than for any job.
        made.stop()
        made.cancel_order()
        made.start()
        assert usage.run("waits")["status"] == "Failed"


def test_a_flush_that_waits_for_the_disk_holds_up_no_writer(tmp_path, monkeypatch, caplog):
    home = Home(tmp_path / "home")
    home.create()
    database, answers, is_flushing = Database(home.database), threading.Event(), threading.Event()
    syncer = Syncer(database, home.blobs)

    def flush(paths, root):
        is_flushing.set()
        assert answers.wait(SECONDS)

    monkeypatch.setattr(syncing, "_flush_all", flush)
    monkeypatch.setattr(syncing, "PROMISE", 0.0)
    with caplog.at_level(logging.WARNING):
        syncer.start()
        assert is_flushing.wait(SECONDS)
        # Returns at once, although the disk does not answer.
        syncer.soon(tmp_path / "new")
        answers.set()
        until(lambda: "the disk is slow" in caplog.text)
        is_flushing.clear()
        syncer.soon(tmp_path / "newer")
        assert is_flushing.wait(SECONDS)
        assert syncer.close()
    database.close()
    assert caplog.text.count("the disk is slow") == 1
