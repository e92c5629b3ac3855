"""What follows from the change of a run meets an error: the run ends all the same, with the reason, or goes on."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Locked, OutOfSpace, ServiceFault
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import workqueue
from azureml_wrapper.local.executor.workqueue import WorkQueue
from azureml_wrapper.local.store.database import Database
from tests.unit.local.pipelinebench import Bench, CountingDatabase, W
from tests.waiting import SECONDS, until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(workqueue, "RETRY_SECONDS", 0.01)


class FailingDatabase(CountingDatabase):
    """Its disk is full for the statements with the numbers in `full`, counted from the last `arm`."""

    full = range(0)
    _seen = 0

    def arm(self, first: int, length: int = 3) -> None:
        self._seen, self.full = 0, range(first, first + length)

    def _run(self, sql, values=()):
        if not sql.startswith(("SELECT", "WITH", "COMMIT", "BEGIN", "PRAGMA")):
            self._seen += 1
            if self._seen in self.full:
                raise OutOfSpace("no space left")
        return super()._run(sql, values)


def finished(bench, run):
    bench.queue.join(SECONDS)
    return bench.runs.get(W, run)


# The queue


def test_work_that_meets_a_full_disk_is_done_again_and_keeps_its_place():
    queue, done, tries = WorkQueue(), [], iter([OutOfSpace("full"), Locked("locked")])

    def work():
        for error in tries:
            raise error
        done.append("first")

    queue.put(work)
    queue.put(lambda: done.append("second"))
    assert queue.join(SECONDS)
    assert done == ["first", "second"]


def test_work_that_fails_is_given_up_with_its_error_and_the_next_is_done():
    queue, given_up, done = WorkQueue(), [], []
    queue.put(lambda: {}["missing"], given_up.append)
    queue.put(lambda: done.append(1))
    assert queue.join(SECONDS)
    assert (str(given_up[0]), done) == ("'missing'", [1])


def test_giving_up_may_fail_too():
    queue, done = WorkQueue(), []
    queue.put(lambda: {}["missing"], lambda error: {}["also missing"])
    queue.put(lambda: done.append(1))
    assert queue.join(SECONDS)
    assert done == [1]


def test_a_queue_closes_although_its_work_cannot_be_done():
    queue = WorkQueue()

    def work():
        raise OutOfSpace("full")

    queue.put(work)
    queue.close()
    assert queue.join(0)


def test_one_thread_does_all_work():
    queue, threads = WorkQueue(), set()
    putters = [
        threading.Thread(target=lambda: queue.put(lambda: threads.add(threading.current_thread()))) for _ in range(8)
    ]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join()
    assert queue.join(SECONDS)
    assert len(threads) == 1


# Pipelines: the disk is full at each write in turn, for three writes


@pytest.mark.parametrize("first", range(1, 22))
def test_a_pipeline_survives_a_full_disk_at_every_write(first):
    bench = Bench(FailingDatabase(":memory:"), is_new=True)
    bench.executor.instant = True
    run = bench.store(bench.graph("a>b", "b>c"))
    bench.database.arm(first)
    # The submission itself is refused, and may be repeated; so may what a script's end stores.
    until(lambda: submitted(bench, run))
    assert finished(bench, run).status is RunStatus.COMPLETED
    assert bench.started(run) == {"a", "b", "c"}
    assert not bench.graphs.is_busy()


def submitted(bench, run):
    try:
        bench.graphs.submit(W, run)
    except OutOfSpace:
        return False
    return True


def test_a_pipeline_whose_work_has_a_defect_fails_with_it(monkeypatch, caplog):
    bench = Bench()
    monkeypatch.setattr(bench.graphs._reuse, "decide", lambda *_: {}["defect"])
    run = finished(bench, bench.begin(bench.graph("a>b")))
    assert run.status is RunStatus.FAILED
    assert "KeyError: 'defect'" in str(run.error)
    assert not bench.graphs.is_busy()
    assert "KeyError" in caplog.text


def test_a_step_whose_reuse_cannot_be_looked_up_fails_with_the_reason(monkeypatch):
    bench = Bench()

    def decide(*_):
        raise OSError(40, "Too many levels of symbolic links")

    monkeypatch.setattr(bench.graphs._reuse, "decide", decide)
    run = finished(bench, bench.begin(bench.graph("a>b")))
    assert run.status is RunStatus.FAILED
    assert "Too many levels of symbolic links" in str(run.error)


def test_a_result_that_cannot_be_remembered_costs_only_its_reuse(monkeypatch):
    bench = Bench()

    def remember(attempt):
        raise RuntimeError("Symlink loop from 'loop'")

    monkeypatch.setattr(bench.graphs._reuse, "remember", remember)
    run = bench.begin(bench.graph("a>b"))
    bench.end(run, "a")
    bench.end(run, "b")
    assert finished(bench, run).status is RunStatus.COMPLETED


def test_a_listener_that_fails_costs_the_others_nothing():
    bench, heard = Bench(), []
    bench.runs.listen(lambda run: {}["defect"])
    bench.runs.listen(lambda run: heard.append(run.status))
    run = bench.begin(bench.graph("a>b"))
    bench.end(run, "a")
    bench.end(run, "b")
    assert bench.status(run) is RunStatus.COMPLETED
    assert RunStatus.COMPLETED in heard


# The database


def test_a_database_that_another_program_locks_is_a_fault_that_says_so(tmp_path, monkeypatch):
    database = Database(tmp_path / "state.sqlite")
    database._connection.execute("PRAGMA busy_timeout = 0")
    database.ensure("CREATE TABLE t (x)")
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="Another program has locked the database"):
            database.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(Locked), database.transaction():
            pass
        other.execute("ROLLBACK")
    database.execute("INSERT INTO t VALUES (1)")
    assert len(database.all("SELECT * FROM t")) == 1


def test_every_other_error_of_the_database_is_a_fault(tmp_path):
    database = Database(tmp_path / "state.sqlite")
    with pytest.raises(ServiceFault, match="no such table"):
        database.all("SELECT * FROM missing")


def test_a_rule_of_a_table_that_is_broken_is_no_fault(tmp_path):
    database = Database(tmp_path / "state.sqlite")
    database.ensure("CREATE TABLE t (x PRIMARY KEY)")
    database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO t VALUES (1)")


def test_a_conflict_is_not_temporary():
    queue, given_up = WorkQueue(), []

    def work():
        raise Conflict("taken")

    queue.put(work, given_up.append)
    assert queue.join(SECONDS)
    assert len(given_up) == 1
