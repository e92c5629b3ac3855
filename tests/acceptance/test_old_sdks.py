"""Programs and jobs with SDKs of earlier years, as "Older SDKs" in docs/local.md promises them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading

import pytest

from azureml_wrapper.local.executor.builds import machine_pythons, pip_settings, uv_command
from tests.acceptance.test_cli_local import write_config
from tests.programs import need_index

pytestmark = [pytest.mark.slow, pytest.mark.online]

TRAIN = """
import os, sys
from azureml.core import Run, VERSION

run = Run.get_context()
with open(os.path.join(sys.argv[1], "numbers.txt")) as file:
    run.log("total", sum(map(int, file)))
with open("model.txt", "w") as file:
    file.write("weights")
run.upload_file("outputs/model.txt", "model.txt")
model = run.register_model("model-of-" + VERSION.replace(".", "-"), "outputs/model.txt")
assert run.experiment.workspace.get_default_keyvault().get_secret("name") == "value"
run.tag("sdk", VERSION)
run.tag("python", "%d.%d" % sys.version_info[:2])
if "mlflow" in sys.argv:
    import mlflow
    mlflow.log_metric("by_mlflow", 2.0)
    mlflow.log_param("mlflow", mlflow.__version__)
"""
CLIENT = """
import json, os, sys
from azureml.core import VERSION, Environment, Experiment, Model, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.conda_dependencies import CondaDependencies

ws = Workspace.from_config()
by_hand = Experiment(ws, "by-hand").start_logging(snapshot_directory=None)
by_hand.log("accuracy", 0.93)
by_hand.complete()
ws.get_default_keyvault().set_secret("name", "value")
datastore = ws.get_default_datastore()
datastore.upload_files([os.path.abspath("numbers.txt")], target_path="data", show_progress=False)
config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
ComputeTarget.create(ws, "cpu", config).wait_for_completion()


def submit(python, packages, *arguments):
    environment = Environment("python-" + python)
    environment.python.conda_dependencies = CondaDependencies.create(python_version=python, pip_packages=packages)
    data = datastore.path("data").as_mount()
    source = ScriptRunConfig(
        "src", "train.py", arguments=[str(data), *arguments], compute_target="cpu", environment=environment
    )
    source.run_config.data_references = {data.data_reference_name: data.to_config()}
    source.run_config.environment_variables = {"HTTPS_PROXY": os.environ["HTTPS_PROXY"]}
    return Experiment(ws, "jobs").submit(source)


runs = [submit(*job) for job in json.load(open("jobs.json"))]
for run in runs:
    run.wait_for_completion(show_output=False, raise_on_error=False)
found = {"sdk": VERSION, "accuracy": by_hand.get_metrics()["accuracy"], "models": len(Model.list(ws)), "jobs": []}
for run in runs:
    run.download_file("user_logs/std_log.txt", "log.txt")
    log = open("log.txt").read()
    job = {"status": run.get_status(), "metrics": run.get_metrics(), "tags": run.get_tags(), "log": log}
    found["jobs"].append({**job, "files": run.get_file_names()})
print(json.dumps(found))
"""
# Packages of 2021 and of 2022, and one that the service does not have: an environment is built for each.
JOBS = [
    ("3.8", ["azureml-core==1.34.0", "toolz"]),
    ("3.9", ["azureml-core==1.48.0", "azureml-mlflow==1.48.0", "mlflow-skinny==1.30.1"], "mlflow"),
]


@pytest.fixture(autouse=True)
def _index(tmp_path):
    need_index(tmp_path)


@pytest.fixture
def recorder():
    """The address of a proxy that lets nothing through, and what was requested from it."""
    requested = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    requested.append(connection.recv(4096).partition(b"\r\n")[0].decode())
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", requested
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def uv(*arguments: str) -> None:
    variables = {**os.environ, **pip_settings()}
    done = subprocess.run([*uv_command(), *arguments], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def old_client(tmp_path):
    """An interpreter with azureml-core 1.40: Python 3.8 if this machine has it, else its nearest."""
    python = min(machine_pythons(), key=lambda python: abs(int(python.version.split(".")[1]) - 8))
    uv("venv", "--python", str(python.path), str(tmp_path / "client"))
    interpreter = str(tmp_path / "client" / "bin" / "python")
    uv("pip", "install", "--python", interpreter, "azureml-core==1.40.0.post2", "setuptools<66")
    return interpreter


def test_an_old_client_runs_jobs_with_old_sdks_and_nothing_leaves_this_machine(shell, old_client, recorder):
    address, requested = recorder
    write_config(shell.folder)
    (shell.folder / "src").mkdir()
    (shell.folder / "src" / "train.py").write_text(TRAIN)
    (shell.folder / "numbers.txt").write_text("20\n22\n")
    (shell.folder / "jobs.json").write_text(json.dumps(JOBS))
    (shell.folder / "client.py").write_text(CLIENT)
    # Only the client gets the proxy, because the service downloads packages.
    shell.aml("local", "up")
    done = shell.aml("local", "exec", "--", "env", f"HTTPS_PROXY={address}", old_client, "-W", "ignore", "client.py")
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["sdk"], found["accuracy"], found["models"]) == ("1.40.0", 0.93, 2)
    first, second = found["jobs"]
    assert (first["status"], second["status"]) == ("Completed", "Completed"), first["log"] + second["log"]
    assert first["metrics"] == {"total": 42}
    assert second["metrics"] == {"total": 42, "by_mlflow": 2.0}
    assert [job["tags"]["sdk"] for job in found["jobs"]] == ["1.34.0", "1.48.0"]
    assert "The environment's SDK: azureml-core 1.34.0." in first["log"]
    assert "The environment's SDK: azureml-core 1.48.0, azureml-mlflow 1.48.0." in second["log"]
    assert all("outputs/model.txt" in job["files"] for job in found["jobs"])
    assert requested == []


def test_a_client_that_is_too_old_is_stopped_at_once(shell, tmp_path, recorder):
    address, requested = recorder
    folder = str(tmp_path / "old")
    uv("pip", "install", "--target", folder, "--no-deps", "azureml-core==1.39.0.post1")
    write_config(shell.folder)
    shell.extra["PYTHONPATH"] = folder
    code = "from azureml.core import Workspace; Workspace.from_config()"
    command = ("local", "exec", "--", "env", f"HTTPS_PROXY={address}", "python", "-c", code)
    error = shell.fails(*command, code=1)
    assert "The local Azure ML requires azureml-core>=1.40, and " in error.splitlines()[-1]
    assert " has 1.39.0.post1, which would contact Azure instead" in error.splitlines()[-1]
    assert "Traceback" not in error
    assert requested == []
