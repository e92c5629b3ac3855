"""A defect prevents the end of a run: it is Failed all the same, with the reason, and nothing waits for it."""

from __future__ import annotations

import threading

import pytest

from azureml_wrapper.local.domain.errors import OutOfSpace
from azureml_wrapper.local.domain.pipelines import STEP_RUN_TYPE
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.executor import local, workqueue
from azureml_wrapper.local.executor.cancellation import CancelCascade
from azureml_wrapper.local.executor.process import ColdStarter
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.tls import server_context
from tests.contract.bench import Bench as Jobs
from tests.contract.bench import message
from tests.contract.test_step_jobs import Bench as StepBench
from tests.unit.local.pipelinebench import START, Bench, Ticking, W
from tests.unit.local.test_sweep_executor import HD
from tests.unit.local.test_sweep_executor import Bench as SweepBench
from tests.waiting import SECONDS, until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(workqueue, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(local, "RETRY_SECONDS", 0.01)


def broken(*_, **__):
    raise KeyError("defect")


def times(count, error):
    """A replacement of a function, which fails so often, and the function."""

    def replace(function):
        errors = iter([error] * count)

        def replaced(*given, **named):
            for each in errors:
                raise each
            return function(*given, **named)

        return replaced

    return replace


def ended(runs, run_id=None, workspace=W):
    """The run, once it has ended."""
    found = until(lambda: runs.get(workspace, run_id) if runs.get(workspace, run_id).status.is_terminal else None)
    assert found.status is RunStatus.FAILED
    assert "KeyError: 'defect'" in str(found.error)
    return found


# The queue


def test_a_last_resort_is_repeated_while_other_work_goes_on():
    queue, tries, done, goes_on = WorkQueue(), [], threading.Event(), threading.Event()

    def abandon(error):
        tries.append(str(error))
        if not goes_on.is_set():
            raise OutOfSpace("full")
        done.set()

    queue.put(broken, broken, abandon)
    until(lambda: len(tries) > 1)
    queue.put(goes_on.set)
    assert done.wait(SECONDS)
    assert set(tries) == {"'defect'"}


def test_a_queue_closes_although_its_last_resort_fails():
    queue, tries = WorkQueue(), []

    def abandon(error):
        tries.append(error)
        raise OutOfSpace("full")

    queue.put(broken, None, abandon)
    until(lambda: tries)
    queue.close()


# Pipelines


@pytest.mark.parametrize("failures", [0, 3])
def test_a_pipeline_whose_end_has_a_defect_fails_with_it(monkeypatch, failures):
    bench = Bench()
    monkeypatch.setattr(bench.graphs._step_runs, "finished", broken)
    # The last resort meets a full disk as well.
    monkeypatch.setattr(bench.runs, "abandon", times(failures, OutOfSpace("full"))(bench.runs.abandon))
    run = bench.begin(bench.graph("a>b"))
    bench.end(run, "a", "b")
    ended(bench.runs, run)
    until(lambda: not bench.graphs.is_busy())


def test_the_steps_of_an_abandoned_pipeline_end_as_well(monkeypatch):
    bench = Bench()
    monkeypatch.setattr(bench.graphs, "_stop_steps", broken)
    run = bench.begin(bench.graph(nodes=("a", "b")))
    bench.executor.jobs.pop(bench.run_of(run, "b"))
    monkeypatch.setattr(bench.graphs, "_step_changed", broken)
    bench.runs.advance(W, bench.run_of(run, "a"), RunStatus.RUNNING)
    ended(bench.runs, run)
    assert bench.status(bench.run_of(run, "a")) is RunStatus.CANCELED
    ended(bench.runs, bench.run_of(run, "b"))


def test_a_step_that_a_defect_keeps_from_starting_ends(monkeypatch):
    bench = Bench()
    monkeypatch.setattr(bench.graphs._reuse, "decide", broken)
    run = bench.begin(bench.graph("a>b"))
    ended(bench.runs, run)
    assert bench.status(bench.run_of(run, "a")) is RunStatus.CANCELED


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(24, "Too many open files")])
def test_a_step_whose_start_meets_a_temporary_error_of_the_machine_is_started_again(monkeypatch, error):
    bench = Bench()
    monkeypatch.setattr(bench.graphs._reuse, "decide", times(2, error)(bench.graphs._reuse.decide))
    run = bench.begin(bench.graph(nodes=("a",)))
    bench.end(run, "a")
    assert bench.status(run) is RunStatus.COMPLETED


# Sweeps


def test_a_sweep_whose_end_has_a_defect_fails_with_it(monkeypatch):
    bench = SweepBench()
    monkeypatch.setattr(bench.sweeps, "_ending", broken)
    bench.begin(values=(1,))
    bench.end(0)
    ended(bench.runs, HD)


def test_the_runs_of_an_abandoned_sweep_end_as_well(monkeypatch):
    bench = SweepBench()
    bench.begin()
    bench.executor.jobs.pop(f"{HD}_1")
    monkeypatch.setattr(bench.sweeps, "_cancel_all", broken)
    bench.sweeps.cancel(W, HD)
    ended(bench.runs, HD)
    assert bench.runs.get(W, f"{HD}_0").status is RunStatus.CANCELED
    ended(bench.runs, f"{HD}_1")


def test_a_step_whose_sweep_has_ended_fails_with_the_defect_that_prevents_its_end(tmp_path, monkeypatch):
    bench = StepBench(tmp_path / "home")
    monkeypatch.setattr(bench.steps, "_store", broken)
    bench.run()
    ended(bench.context.runs, bench.key[1], bench.key[0])


def test_a_sweep_of_a_step_is_begun_once_however_often_that_meets_a_full_disk(tmp_path, monkeypatch):
    bench = StepBench(tmp_path / "home")
    submit = times(1, OutOfSpace("full"))(bench.sweeps.submit)
    monkeypatch.setattr(bench.sweeps, "submit", submit)
    with pytest.raises(OutOfSpace):
        bench.run()
    assert bench.run().status is RunStatus.COMPLETED
    # One child.
    assert bench.sweep.status is RunStatus.COMPLETED


# Jobs


@pytest.fixture
def jobs(home):
    home.create()
    server_context(home)
    made = Jobs(home, ColdStarter)
    yield made
    made.executor.close()


def unable_to_end(runs, error):
    advance = runs.advance

    def replaced(workspace, run_id, status, **more):
        if status.is_terminal:
            raise error
        return advance(workspace, run_id, status, **more)

    return replaced


def test_a_job_whose_end_has_a_defect_fails_with_it(jobs, monkeypatch):
    monkeypatch.setattr(jobs.shared.runs, "advance", unable_to_end(jobs.shared.runs, KeyError("defect")))
    run = jobs.wait(jobs.submit(target="missing"))
    assert "KeyError: 'defect'" in message(run)
    until(lambda: not jobs.executor.is_busy())
    assert jobs.context.jobs.all() == []


def test_a_service_that_ends_does_not_wait_for_a_disk_with_space(jobs, monkeypatch):
    monkeypatch.setattr(local, "RETRY_SECONDS", SECONDS)
    tried = threading.Event()

    def advance(workspace, run_id, status, **more):
        if status.is_terminal:
            tried.set()
            raise OutOfSpace("full")

    monkeypatch.setattr(jobs.shared.runs, "advance", advance)
    jobs.submit(target="missing")
    assert tried.wait(SECONDS)
    (thread,) = (active.thread for active in jobs.executor._active.values())
    tried.clear()
    jobs.executor.close()
    # Once more, for a disk that has space again just then.
    assert tried.is_set()
    assert not thread.is_alive()


# The store, and canceled runs


def a_run(run_id, **fields):
    return Run(
        workspace_id=W,
        run_id=run_id,
        experiment="e",
        experiment_id="e",
        created=START,
        run_type=STEP_RUN_TYPE,
        **fields,
    )


def test_a_record_that_cannot_be_read_can_be_abandoned():
    database = Database(":memory:")
    runs = RunStore(database, Ticking())
    runs.add(a_run("r"))
    database.execute("UPDATE runs SET body = '{'")
    runs.abandon(W, "r", {"error": {"message": "lost"}})
    assert [row["status"] for row in database.all("SELECT status FROM runs")] == ["Failed"]


def test_a_run_that_has_ended_stays_as_it_is():
    runs, heard = RunStore(Database(":memory:"), Ticking()), []
    runs.listen(heard.append)
    for run_id in ("r", "s"):
        runs.add(a_run(run_id))
    runs.advance(W, "r", RunStatus.COMPLETED)
    runs.abandon(W, "r", {"error": {"message": "lost"}})
    runs.abandon(W, "s", {"error": {"message": "lost"}})
    assert [(run.run_id, run.status.value, run.error) for run in heard] == [
        ("r", "Completed", None),
        ("s", "Failed", {"error": {"message": "lost"}}),
    ]


def test_a_child_that_cannot_be_canceled_does_not_keep_the_others(caplog):
    runs, queue = RunStore(Database(":memory:"), Ticking()), WorkQueue()
    cascade = CancelCascade(runs, queue)
    cascade.cancel_with(lambda workspace, run_id: broken() if run_id == "b" else False)
    runs.add(a_run("r"))
    for name in "abc":
        runs.add(a_run(name, parent_id="r"))
    runs.advance(W, "r", RunStatus.CANCELED)
    assert queue.join(SECONDS)
    assert [runs.get(W, name).status.value for name in "abc"] == ["Canceled", "NotStarted", "Canceled"]
    assert "canceling run b failed" in caplog.text
