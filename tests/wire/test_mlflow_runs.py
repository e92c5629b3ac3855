"""What MLflow's clients do with runs and experiments that exist: inputs, models, deletion, other states, refusals."""

from __future__ import annotations

import pytest
from azureml.core import Environment, Experiment, ScriptRunConfig

from tests.waiting import until
from tests.wire.test_mlflow import page, program

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

INPUTS = """
import pandas
from mlflow.entities import DatasetInput, InputTag
from mlflow.models import Model
mlflow.set_experiment(names[0])
table = pandas.DataFrame({"a": [1, 2]})
train = mlflow.data.from_pandas(table, source="https://example.org/train.csv", name="train")
with mlflow.start_run() as run:
    mlflow.log_input(train, context="training")
    check = mlflow.data.from_pandas(table, source="https://example.org/check.csv", name="check")
    client.log_inputs(run.info.run_id, [DatasetInput(check._to_mlflow_entity(), [InputTag("part", "10 %")])])
    mlflow.log_input(train, context="again")
with mlflow.start_run():
    pass
store = client._tracking_client.store
for name in ("first", "second"):
    store.record_logged_model(run.info.run_id, Model(artifact_path=name, run_id=run.info.run_id))
def count(text):
    return len(mlflow.search_runs(filter_string=text, output_format="list"))
read = client.get_run(run.info.run_id)
inputs = read.inputs.dataset_inputs
print(json.dumps({
    "inputs": [[each.dataset.name, {tag.key: tag.value for tag in each.tags}] for each in inputs],
    "source": mlflow.data.get_source(inputs[0]).url,
    "same": inputs[0].dataset == train._to_mlflow_entity(),
    "listed": [len(each.inputs.dataset_inputs) for each in mlflow.search_runs(output_format="list")],
    "counts": [
        count("dataset.name = 'train'"), count("datasets.context LIKE 'train%'"), count("dataset.digest = 'x'")
    ],
    "models": [each["artifact_path"] for each in json.loads(read.data.tags["mlflow.log-model.history"])],
    "id": run.info.run_id,
}))
"""
DELETED = """
from mlflow.entities import ViewType
views = (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)
experiment = mlflow.set_experiment(names[0]).experiment_id
with mlflow.start_run(run_name="kept"): pass
with mlflow.start_run(run_name="gone") as gone: pass
gone = gone.info.run_id
def runs():
    found = [client.search_runs([experiment], run_view_type=view) for view in views]
    return [sorted(each.info.run_name for each in page) for page in found]
def experiments():
    return [names[0] in [each.name for each in client.search_experiments(view_type=view)] for view in views]
def refusal(act):
    try:
        act()
    except Exception as error:
        return str(error)
def by_sdk():
    return sorted(each.display_name for each in Experiment(ws, names[0]).get_runs())
from azureml.core import Experiment
client.delete_run(gone)
import requests
def listed():
    return gone in requests.get(Experiment(ws, names[0]).get_portal_url(), timeout=30).text
told = {"page": [listed(), "restore_run" in requests.get(ws.get_run(gone).get_portal_url(), timeout=30).text]}
told |= {"deleted": [runs(), client.get_run(gone).info.lifecycle_stage, by_sdk(), ws.get_run(gone).display_name]}
told["written"] = refusal(lambda: client.log_metric(gone, "m", 1))
client.restore_run(gone)
told["page"].append(listed())
told["restored"] = [runs(), client.get_run(gone).info.lifecycle_stage, by_sdk()]
client.delete_experiment(experiment)
told["archived"] = [experiments(), names[0] in [each.name for each in Experiment.list(ws)]]
told["added"] = refusal(lambda: client.create_run(experiment))
client.restore_experiment(experiment)
told["back"] = [experiments(), names[0] in [each.name for each in Experiment.list(ws)]]
print(json.dumps(told))
"""
STATES = """
experiment = mlflow.set_experiment(names[0]).experiment_id
client.set_terminated(names[1], "FAILED")
with mlflow.start_run() as run: pass
with mlflow.start_run(run_id=run.info.run_id) as again:
    middle = ws.get_run(run.info.run_id).get_status()
run = client.create_run(experiment, start_time=1700000000000).info
client.update_run(run.run_id, name="two")
renamed = [client.get_run(run.run_id).info.run_name, ws.get_run(run.run_id).display_name]
client.set_tag(run.run_id, "mlflow.runName", "three")
renamed += [client.get_run(run.run_id).info.run_name, ws.get_run(run.run_id).display_name]
client.set_terminated(run.run_id, end_time=1700000060000)
info = client.get_run(run.run_id).info
client.set_experiment_tag(experiment, "kind", "trial")
client.delete_experiment_tag(experiment, "kind")
pages = client.search_experiments(max_results=1, order_by=["name ASC"], filter_string=f"name LIKE '{names[0][:3]}%'")
print(json.dumps({
    "again": [middle, ws.get_run(again.info.run_id).get_status()],
    "renamed": renamed,
    "times": [info.start_time, info.end_time],
    "tags": client.get_experiment(experiment).tags,
    "page": [len(pages), bool(pages.token)],
}))
"""
LATER = """
mlflow.set_experiment(names[0])
mlflow.config.enable_async_logging()
with mlflow.start_run() as run:
    for step in range(3):
        mlflow.log_metric("loss", step, step=step)
    mlflow.log_params({"lr": 0.5})
    mlflow.set_tag("team", "vision")
    mlflow.log_metrics({"a": 1, "b": 2}, synchronous=False)
mlflow.flush_async_logging()
read = client.get_run(run.info.run_id).data
history = [each.value for each in client.get_metric_history(run.info.run_id, "loss")]
print(json.dumps([history, read.params, read.tags["team"], read.metrics["b"]]))
"""
REFUSED = """
mlflow.set_experiment(names[0])
told = {}
with mlflow.start_run() as run:
    for name, act in {
        "model 3": lambda: client.create_logged_model(run.info.experiment_id),
        "artifacts 3": lambda: client.list_artifacts(run.info.run_id, "folder"),
        "registry": lambda: client.create_registered_model("m"),
        "rename": lambda: client.rename_experiment(run.info.experiment_id, "other"),
        "order": lambda: mlflow.search_runs(order_by=["dataset.name"]),
    }.items():
        try:
            act()
        except Exception as error:
            told[name] = str(error)
print(json.dumps(told))
"""


def test_input_datasets_and_models_come_back_with_the_run(ws, unique):
    seen = program(ws, INPUTS, unique("exp"))
    training, check = seen["inputs"]
    assert training == ["train", {"mlflow.data.context": "training"}]
    assert check == ["check", {"part": "10 %"}]
    assert seen["source"] == "https://example.org/train.csv"
    assert seen["same"]
    assert seen["listed"] == [0, 2]
    assert seen["counts"] == [1, 1, 0]
    assert seen["models"] == ["first", "second"]
    assert "https://example.org/train.csv" in page(ws, ws.get_run(seen["id"]))


def test_deleted_runs_and_experiments_are_seen_in_their_views_only(ws, unique):
    seen = program(ws, DELETED, unique("exp"))
    assert seen["deleted"] == [[["kept"], ["gone"], ["gone", "kept"]], "deleted", ["kept"], "gone"]
    assert seen["page"] == [False, True, True]
    assert "restore it with restore_run" in seen["written"]
    assert seen["restored"] == [[["gone", "kept"], [], ["gone", "kept"]], "active", ["gone", "kept"]]
    assert seen["archived"] == [[False, True, True], False]
    assert "restore it with restore_experiment" in seen["added"]
    assert seen["back"] == [[True, False, True], True]


def test_clients_set_name_times_and_status_of_their_own_runs(ws, unique, tmp_path):
    name = unique("exp")
    (tmp_path / "main.py").write_text("import time\nwhile True: time.sleep(0.1)")
    config = ScriptRunConfig(str(tmp_path), "main.py", environment=Environment(unique("env")))
    own = Experiment(ws, name).submit(config)
    until(lambda: own.get_status() == "Running")
    try:
        seen = program(ws, STATES, name, own.id)
        assert own.get_status() == "Failed"
    finally:
        own.cancel()
    assert seen["again"] == ["Running", "Completed"]
    assert seen["renamed"] == ["two", "two", "three", "three"]
    assert seen["times"] == [1700000000000, 1700000060000]
    assert "kind" not in seen["tags"]
    assert seen["page"] == [1, True]


def test_what_is_logged_asynchronously_is_there_after_a_flush(ws, unique):
    assert program(ws, LATER, unique("exp")) == [[0, 1, 2], {"lr": "0.5"}, "vision", 2]


def test_what_azure_does_not_have_is_refused_by_its_name(ws, unique):
    told = program(ws, REFUSED, unique("exp"))
    assert '"mlflow<3"' in told["model 3"]
    assert '"mlflow<3"' in told["artifacts 3"]
    assert "run.register_model" in told["registry"]
    assert "renaming experiments" in told["rename"]
    assert "several datasets" in told["order"]
