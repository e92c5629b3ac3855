"""What becomes of runs when the service ends in the middle of them: killed, or told to."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from azureml.core import Experiment, Run, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.waiting import until

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

SCRIPT = """
import os, subprocess
from azureml.core import Run
run = Run.get_context()
run.log("before", 1)
run.flush()
open("pids", "w").write("")
child = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def home(local_workspace):
    return Home(os.environ["AZUREML_WRAPPER_HOME"])


@pytest.fixture
def running(local_workspace, home, tmp_path) -> tuple[Run, Run, list[int]]:
    """A run in the middle of its script, one that waits for its node, and the processes of the first."""
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=1)
    target = ComputeTarget.create(local_workspace, "one", config)
    (tmp_path / "s.py").write_text(SCRIPT)
    experiment = Experiment(local_workspace, "killed")
    source = ScriptRunConfig(str(tmp_path), script="s.py", compute_target=target)
    run = experiment.submit(source)
    pids = await_pids(home, run)
    waiting = experiment.submit(source)
    until(lambda: waiting.get_status() == "Queued", tell=waiting.get_status)
    return run, waiting, pids


def await_pids(home: Home, run: Run) -> list[int]:
    [log] = until(lambda: list(home.blobs.glob(f"*/azureml/*/dcid.{run.id}/user_logs/*.txt")))
    line = until(lambda: [line for line in log.read_text().splitlines() if line.replace(" ", "").isdigit()])
    return [int(word) for word in line[0].split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_after_a_kill_everything_is_there_and_the_runs_are_failed(local_workspace, home, running):
    run, waiting, pids = running
    service = service_process.find(home)
    os.kill(service.pid, signal.SIGKILL)
    until(lambda: service_process.find(home) is None)
    assert service_process.start(home).pid != service.pid
    for ended in (run, waiting):
        details = ended.get_details()
        assert details["status"] == "Failed"
        assert "the local service was killed during the run" in details["error"]["error"]["message"]
    assert not any(is_alive(pid) for pid in pids)
    assert run.get_metrics() == {"before": 1}
    assert str(pids[0]) in run.get_details_with_logs()["logFiles"]["user_logs/std_log.txt"]
    assert list(home.jobs.iterdir()) == []


def test_a_service_that_is_stopped_ends_its_runs_in_order(local_workspace, home, running):
    run, waiting, pids = running
    service_process.stop(home)
    assert not any(is_alive(pid) for pid in pids)
    service_process.start(home)
    for ended in (run, waiting):
        details = ended.get_details()
        assert details["status"] == "Failed"
        assert "the local service was stopped during the run" in details["error"]["error"]["message"]


def test_a_service_does_not_leave_while_a_run_goes_on(local_workspace, home, tmp_path):
    service_process.stop(home)
    service_process.start(home, idle=1)
    (tmp_path / "s.py").write_text("import time; time.sleep(4)")
    source = ScriptRunConfig(str(tmp_path), script="s.py", compute_target="local")
    source.run_config.target = ComputeTarget.create(
        local_workspace, "one", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=1)
    ).name
    service = service_process.find(home)
    Experiment(local_workspace, "idle").submit(source)
    time.sleep(3)
    assert service_process.find(home) == service
    until(lambda: service_process.find(home) is None)
