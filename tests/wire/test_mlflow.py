"""MLflow's clients against the local service: in a job, and in a program of the user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from azureml.core import Environment, Experiment, Run, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget

from azureml_wrapper.connection.local import local_environment
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.waiting import until

pytestmark = pytest.mark.local_only

# As the training script of a project that was never meant for this place: nothing is configured.
TRAIN = """
import mlflow

mlflow.log_param("loss function", "relativistic-hinge")
for step in range(3):
    mlflow.log_metric("d_loss", 1 / (step + 1), step=step)
mlflow.log_metrics({"g_loss": 0.5, "batch": 3.0})
with open("generator_config.txt", "w") as file:
    file.write("Generator Configuration: small")
mlflow.log_artifact("generator_config.txt")
mlflow.set_tag("team", "vision")
"""


@pytest.fixture(scope="module")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-mlflow", config)


@pytest.fixture
def run_job(ws, cluster, unique, tmp_path):
    def run(source: str) -> Run:
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / "main.py").write_text(source)
        config = ScriptRunConfig(
            str(tmp_path / "src"), "main.py", compute_target=cluster, environment=Environment(unique("env"))
        )
        submitted = Experiment(ws, unique("exp")).submit(config)
        until(lambda: submitted.get_status() in ("Completed", "Failed", "Canceled"))
        return submitted

    return run


def log(run, tmp_path) -> str:
    run.download_file("user_logs/std_log.txt", str(tmp_path / "log.txt"))
    return (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_what_a_script_logs_with_mlflow_lands_in_its_run(ws, run_job, tmp_path):
    run = run_job(TRAIN)
    assert run.get_status() == "Completed", log(run, tmp_path)
    assert run.get_metrics() == {"d_loss": [1.0, 0.5, 1 / 3], "g_loss": 0.5, "batch": 3.0}
    assert run.get_tags()["team"] == "vision"
    run.download_file("generator_config.txt", str(tmp_path / "config.txt"))
    assert (tmp_path / "config.txt").read_text() == "Generator Configuration: small"
    seen = program(ws, READ, run.id)
    assert seen["params"] == {"loss function": "relativistic-hinge"}
    assert seen["metrics"] == {"d_loss": 1 / 3, "g_loss": 0.5, "batch": 3.0}
    assert seen["history"] == [[0, 1.0], [1, 0.5], [2, 1 / 3]]
    assert seen["status"] == "FINISHED"
    assert "generator_config.txt" in seen["files"]
    assert "loss function" in page(ws, run)
    home = Home(os.environ["AZUREML_WRAPPER_HOME"])
    alone = {**os.environ, **local_environment(home, service_process.find(home))}
    assert program(ws, DOWNLOAD, run.id, connect=WITH_SDK, env=alone) == "Generator Configuration: small"


def test_a_script_may_set_the_tracking_uri_of_its_workspace(run_job, tmp_path):
    run = run_job(f"""
import mlflow
from azureml.core import Run

mlflow.set_tracking_uri(Run.get_context().experiment.workspace.get_mlflow_tracking_uri())
{TRAIN}""")
    assert run.get_status() == "Completed", log(run, tmp_path)
    assert run.get_metrics()["g_loss"] == 0.5
    assert "generator_config.txt" in run.get_file_names()


@pytest.mark.slow
def test_a_nested_run_of_a_job_is_its_child_and_a_started_one_is_the_job_itself(run_job, tmp_path):
    run = run_job(
        "import mlflow\n"
        "with mlflow.start_run() as own:\n"
        "    mlflow.log_metric('outer', 1)\n"
        "    with mlflow.start_run(nested=True, run_name='fold 1'):\n"
        "        mlflow.log_metric('inner', 2)\n"
        "print(own.info.run_id)\n"
    )
    assert run.get_status() == "Completed", log(run, tmp_path)
    assert run.id in log(run, tmp_path)
    assert run.get_metrics() == {"outer": 1.0}
    (child,) = run.get_children()
    assert (child.display_name, child.get_status(), child.get_metrics()) == ("fold 1", "Completed", {"inner": 2.0})


@pytest.mark.slow
def test_every_further_run_that_a_job_starts_is_its_child(run_job, tmp_path):
    run = run_job(
        "import mlflow\n"
        "for i in range(3):\n"
        "    with mlflow.start_run():\n"
        "        mlflow.log_metric('k', i)\n"
        "from azureml.core import Experiment, Run\n"
        "own = Run.get_context()\n"
        "with Experiment(own.experiment.workspace, own.experiment.name).start_logging() as more:\n"
        "    more.log('k', 3)\n"
    )
    assert run.get_status() == "Completed", log(run, tmp_path)
    assert run.get_metrics() == {"k": 0.0}
    children = [(child.get_status(), child.get_metrics()["k"]) for child in run.get_children()]
    assert sorted(children) == [("Completed", 1.0), ("Completed", 2.0), ("Completed", 3)]


@pytest.mark.slow
def test_a_job_does_not_write_to_the_run_of_another(ws, run_job, unique, tmp_path):
    other = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)
    run = run_job(f"import mlflow\nmlflow.MlflowClient().log_metric({other.id!r}, 'x', 1)")
    other.complete()
    assert run.get_status() == "Failed"
    assert "may not write to run" in log(run, tmp_path)
    assert other.get_metrics() == {}


# MLflow keeps its tracking address for the whole process, so each program is a process of its own.
WITH_WRAPPER = """
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.connection.connections import connect
ws = connect(Scope(*json.loads(sys.argv[1])), target="local")
"""
WITH_SDK = """
from azureml.core import Workspace
from azureml.core.authentication import MsiAuthentication
subscription, group, name = json.loads(sys.argv[1])
ws = Workspace.get(name, auth=MsiAuthentication(), subscription_id=subscription, resource_group=group)
"""
SET_UP = """
mlflow.set_tracking_uri(ws.get_mlflow_tracking_uri())
client, names = mlflow.MlflowClient(), sys.argv[2:]
"""
READ = """
run = mlflow.get_run(names[0])
history = client.get_metric_history(names[0], "d_loss")
print(json.dumps({
    "params": run.data.params, "metrics": run.data.metrics, "status": run.info.status,
    "history": [[each.step, each.value] for each in history],
    "files": [each.path for each in client.list_artifacts(names[0])],
}))
"""
OWN = """
mlflow.set_experiment(names[0])
with mlflow.start_run(run_name="by hand") as run:
    mlflow.log_params({"lr": 0.1, "layers": 3})
    mlflow.log_metric("rmse", 0.25)
with mlflow.start_run() as second:
    mlflow.log_param("lr", 0.2, synchronous=False).wait()
    mlflow.log_metric("rmse", 0.75, synchronous=False).wait()
    mlflow.log_metrics({"mae": 0.5}, synchronous=False).wait()
    mlflow.set_tag("team", "vision", synchronous=False).wait()
try:
    with mlflow.start_run():
        raise ValueError("broken")
except ValueError:
    pass
def found(**what):
    return [each.data.params.get("lr") for each in mlflow.search_runs(output_format="list", **what)]
print(json.dumps({
    "id": run.info.run_id,
    "all": found(order_by=["metrics.rmse ASC"]),
    "good": found(filter_string="metrics.rmse < 0.5 and params.lr = '0.1'"),
    "failed": len(mlflow.search_runs(filter_string="attributes.status = 'FAILED'", output_format="list")),
    "chosen": found(filter_string=f"attributes.run_id IN ('{run.info.run_id}', 'x') and status IN ('FINISHED')"),
    "named": found(filter_string="attributes.run_name LIKE 'by %'"),
    "later": [second.info.run_id, client.get_run(second.info.run_id).data.tags["team"]],
    "one": [each.name for each in mlflow.search_experiments(filter_string=f"name = '{names[0]}'")],
    "experiments": [each.name for each in mlflow.search_experiments()],
}))
"""
REFUSED = """
mlflow.set_experiment(names[0])
told = {}
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    for name, act in {
        "param": lambda: mlflow.log_param("lr", 0.2),
        "filter": lambda: mlflow.search_runs(filter_string="metrics.rmse <> 1"),
        "run": lambda: mlflow.get_run("nowhere"),
    }.items():
        try:
            act()
        except Exception as error:
            told[name] = str(error)
told["missing"] = client.get_experiment_by_name("no-such-experiment")
print(json.dumps(told))
"""


DOWNLOAD = """
uri = mlflow.get_run(names[0]).info.artifact_uri
print(json.dumps(mlflow.artifacts.load_text(uri + "/generator_config.txt")))
"""


def program(ws, source, *names, connect=WITH_WRAPPER, **more):
    """What a program of the user's prints as JSON."""
    scope = [ws.subscription_id, ws.resource_group, ws.name]
    code = f"import json, sys, mlflow\n{connect}{SET_UP}{source}"
    arguments = [sys.executable, "-c", code, json.dumps(scope), *names]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def page(ws, run) -> str:
    import requests

    answer = requests.get(run.get_portal_url(), timeout=30)
    assert answer.ok
    return answer.text


@pytest.mark.slow
def test_a_program_tracks_its_own_runs_and_searches_them(ws, unique):
    name = unique("exp")
    seen = program(ws, OWN, name)
    assert seen["all"][:2] == ["0.1", "0.2"]
    assert (seen["good"], seen["named"], seen["failed"]) == (["0.1"], ["0.1"], 1)
    later, team = seen["later"]
    assert (ws.get_run(later).get_metrics(), team) == ({"rmse": 0.75, "mae": 0.5}, "vision")
    assert seen["one"] == [name]
    assert seen["chosen"] == ["0.1"]
    assert name in seen["experiments"]
    run = ws.get_run(seen["id"])
    assert (run.display_name, run.get_status(), run.get_metrics()) == ("by hand", "Completed", {"rmse": 0.25})
    assert run.experiment.name == name


@pytest.mark.slow
def test_what_cannot_be_is_told_in_mlflows_words(ws, unique):
    told = program(ws, REFUSED, unique("exp"))
    assert "cannot become '0.2'" in told["param"]
    assert "joined by and" in told["filter"]
    assert "RESOURCE_DOES_NOT_EXIST" in told["run"]
    assert told["missing"] is None
