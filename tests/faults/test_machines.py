"""Machines with less than the usual Linux, and a home in an unusual place: jobs run, stop, and are found again."""

from __future__ import annotations

import os
import textwrap

import psutil
import pytest
from azureml.core import Environment, Experiment, RunConfiguration, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper.connection.local import connect_local, variables_restored
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import HOME_VARIABLE
from tests import machines
from tests.waiting import until

pytestmark = [pytest.mark.local_only, pytest.mark.slow(10), machines.needs_linux]

MACHINES = {
    "macOS": [machines.MACOS],
    "no hard links": [machines.NO_HARD_LINKS],
    "no hard links, files of another owner": [machines.NO_HARD_LINKS, machines.OTHER_OWNER],
    "old kernel": [machines.OLD_KERNEL],
}
# Spaces, accents, quotes, what shells and URLs give a meaning to, and more than 200 characters.
ODD = "a  b é œ % %41 100%25 'q' \"d\" $HOME `x` ~ & ; # ? * [a] \\n" + "x" * 150

STEP = """
import os, subprocess, sys
from pathlib import Path
pip = [subprocess.run([*words, "--version"]).returncode for words in (["pip"], [sys.executable, "-m", "pip"])]
os.makedirs("outputs", exist_ok=True)
Path("outputs/ü %.txt").write_text("made")
print("pip", pip, "user", subprocess.run(["sh", "-c", "python -c 'print(1)'"]).returncode)
"""
# Three processes: one in a session of its own that ignores SIGTERM.
STUBBORN = """
import os, signal, subprocess, sys, time
child = '''
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
time.sleep(600)
'''
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
subprocess.Popen([sys.executable, "-c", child])
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""


def lives(pid: int) -> bool:
    """Whether a process runs; in containers, often nobody reaps what has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Machine:
    """A service on such a machine, driven by the SDK."""

    def __init__(self, folder, path: str | None) -> None:
        self.folder = folder
        self.ws = connect_local(Scope("local", "local", "local"))
        self.config = RunConfiguration()
        self.config.target = ComputeTarget.create(
            self.ws, "one", AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1)
        )
        self.config.environment = Environment("none-needed")
        self.config.environment.python.user_managed_dependencies = True
        if path:
            # The service withholds its own from jobs.
            self.config.environment_variables = {"PYTHONPATH": path}

    def source(self, text: str) -> str:
        folder = self.folder / "sources"
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text(textwrap.dedent(text))
        return str(folder)

    def run_step(self):
        """A pipeline's step, complete; a second one of the same script is reused."""
        step = PythonScriptStep(
            "main.py", name="s", source_directory=self.source(STEP), runconfig=self.config, allow_reuse=True
        )
        run = Experiment(self.ws, "machines").submit(Pipeline(self.ws, steps=[step]), show_output=False)
        assert run.wait_for_completion(show_output=False, timeout_seconds=120) == "Finished"
        (step_run,) = run.get_steps()
        return step_run

    def text(self, run, name: str) -> str:
        file = self.folder / "downloaded"
        run.download_file(name, str(file))
        return file.read_text()

    def start_stubborn(self):
        """A run with three processes; the run, and their numbers."""
        source = ScriptRunConfig(self.source(STUBBORN), "main.py", run_config=self.config)
        run = Experiment(self.ws, "machines").submit(source)
        return run, until(lambda: self._numbers(run))

    def _numbers(self, run):
        names = run.get_file_names()
        text = self.text(run, "user_logs/std_log.txt") if "user_logs/std_log.txt" in names else ""
        found = [int(line.split()[1]) for line in text.splitlines() if line.startswith("pid ")]
        return found if len(found) == 3 else None


@pytest.fixture(params=[*MACHINES, "odd home"])
def machine(request, tmp_path, monkeypatch):
    monkeypatch.setenv("AZUREML_WRAPPER_WARM", "on")
    place = tmp_path / (ODD if request.param == "odd home" else "place")
    place.mkdir()
    path = machines.play(tmp_path / "machine", *MACHINES[request.param]) if request.param in MACHINES else None
    if path:
        monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv(HOME_VARIABLE, str(place / "home"))
    monkeypatch.chdir(place)
    with variables_restored(), service_process.running(place / "home"):
        yield Machine(place, path if request.param == "macOS" else None)


def test_steps_run_are_reused_and_stopped_and_a_killed_service_finds_what_it_has_left(machine):
    # One test, because each service and its preloaded processes cost as much as all that they are asked for.
    first, second = machine.run_step(), machine.run_step()
    log = machine.text(first, "azureml-logs/70_driver_log.txt")
    assert "pip [0, 0] user 0" in log
    assert log == machine.text(first, "user_logs/std_log.txt")
    assert machine.text(second, "outputs/ü %.txt") == "made"
    assert log.splitlines()[-1] in machine.text(second, "azureml-logs/70_driver_log.txt")
    assert "Reused from run" in machine.text(second, "azureml-logs/70_driver_log.txt")

    run, pids = machine.start_stubborn()
    run.cancel()
    until(lambda: run.get_status() == "Canceled")
    assert not any(map(lives, pids))

    run, pids = machine.start_stubborn()
    before = service_process.find().pid
    os.kill(before, 9)
    until(lambda: service_process.find() is None)
    service_process.start()
    until(lambda: run.get_status() == "Failed")
    until(lambda: not any(map(lives, pids)))
