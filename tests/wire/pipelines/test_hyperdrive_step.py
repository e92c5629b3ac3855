"""HyperDriveStep: sweeps as steps of pipelines."""

from __future__ import annotations

import json
import re
import textwrap

import pytest
from azureml.core import Dataset, ScriptRunConfig
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.pipeline.core import PipelineData, PipelineParameter, TrainingOutput
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException
from azureml.pipeline.steps import HyperDriveStep, HyperDriveStepRun
from azureml.train.hyperdrive import (
    BayesianParameterSampling,
    GridParameterSampling,
    HyperDriveConfig,
    PrimaryMetricGoal,
    choice,
)

from tests.waiting import until
from tests.wire import estimators
from tests.wire.pipelines.scripts import LIST, said, step_of

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

TRAIN = """
    import argparse, os
    from pathlib import Path
    from azureml.core import Run
    parser = argparse.ArgumentParser()
    for name in ("--data", "--extra", "--out", "--files"):
        parser.add_argument(name)
    parser.add_argument("--lr", type=float)
    given = parser.parse_args()
    run = Run.get_context()
    run.log("accuracy", given.lr)
    run.log("other", 1 - given.lr)
    Path("outputs/model").mkdir(parents=True)
    Path("outputs/model/m.txt").write_text(f"{given.extra} {sorted(os.listdir(given.data))} {given.lr}")
    for folder in filter(None, (given.out, given.files)):
        Path(folder).mkdir(exist_ok=True)
        (Path(folder) / f"{given.lr}.txt").write_text(run.id)
"""
READ = """
    import json, pathlib, sys
    from azureml.core import Run
    from azureml.pipeline.steps import HyperDriveStepRun
    metrics, model = (pathlib.Path(each).read_text() for each in sys.argv[1:3])
    best = HyperDriveStepRun(Run.get_context().parent.find_step_run("tune")[0]).get_best_run_by_primary_metric()
    print("READ", json.dumps([json.loads(metrics)[best.id], model]))
"""


@pytest.fixture
def tune(ws, cluster, runconfig, tmp_path):
    """`tune(arguments, outputs=…)`: a HyperDriveStep named "tune" with the learning rates 0.1 and 0.5."""

    def step(arguments=None, source=TRAIN, *, sampling=None, estimator=False, inputs=(), outputs=(), **more):
        folder = tmp_path / "tune"
        folder.mkdir(exist_ok=True)
        (folder / "train.py").write_text(textwrap.dedent(source))
        if estimator:
            environment = runconfig.environment
            what = {
                "estimator": estimators.make(
                    "Estimator",
                    str(folder),
                    compute_target=cluster,
                    entry_script="train.py",
                    environment_definition=environment,
                )
            }
            more["estimator_entry_script_arguments"] = arguments or []
        else:
            given = {"arguments": arguments, "compute_target": cluster, "environment": runconfig.environment}
            what = {"run_config": ScriptRunConfig(str(folder), "train.py", **given)}
        config = HyperDriveConfig(
            hyperparameter_sampling=sampling or GridParameterSampling({"--lr": choice(0.1, 0.5)}),
            primary_metric_name="accuracy",
            primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
            max_total_runs=2,
            **what,
        )
        return HyperDriveStep("tune", config, inputs=list(inputs), outputs=list(outputs), **more)

    return step


@pytest.fixture
def data(ws, folder):
    return Dataset.File.from_files([(ws.get_default_datastore(), f"{folder}/**")])


def model_of(ws, name="model", **more):
    training = TrainingOutput("Model", **{"model_file": "outputs/model/m.txt", **more})
    return PipelineData(name, ws.get_default_datastore(), training_output=training, pipeline_output_name=name)


def test_a_sweep_passes_its_metrics_and_its_best_model_on(ws, data, tune, make, submit, unique, tmp_path):
    """The metrics have the form of real files (Azure/MachineLearningNotebooks #737)."""
    place = {"experiment": unique("tuned")}
    metrics = PipelineData("metrics", ws.get_default_datastore(), pipeline_output_name="metrics")
    model, other = model_of(ws), model_of(ws, "other", metric="other")
    arguments = ["--data", data.as_named_input("data").as_mount(), "--extra", PipelineParameter("extra", "given")]
    step = tune(arguments, metrics_output=metrics, outputs=[model, other])
    read = make(READ, "read", [metrics, model], inputs=[metrics, model])
    first = submit([step, read], **place)
    assert first.wait_for_completion(show_output=False) == "Finished"
    trained = "given ['a.csv', 'sub'] 0.5"
    assert said(first, "read", "READ") == [{"accuracy": [0.5], "other": [0.5]}, trained]
    sweep = HyperDriveStepRun(step_of(first, "tune"))
    best = sweep.get_best_run_by_primary_metric()
    assert json.loads(sweep.get_hyperparameters()[best.id]) == {"--lr": 0.5}
    assert step_of(first, "tune").properties["StepType"] == "HyperDriveStep"
    port = first.get_pipeline_output("other")
    port.download(str(tmp_path / "got"), show_progress=False)
    assert (tmp_path / "got" / port._path_on_datastore).read_text().endswith(" 0.1")
    again = submit([step, read], **place)
    assert again.wait_for_completion(show_output=False) == "Finished"
    assert step_of(again, "tune").get_details()["properties"]["azureml.isreused"] == "true"
    assert said(again, "read", "READ") == [{"accuracy": [0.5], "other": [0.5]}, trained]
    assert HyperDriveStepRun(step_of(again, "tune")).id == sweep.id
    changed = submit([step, read], **place, pipeline_parameters={"extra": "changed"})
    assert changed.wait_for_completion(show_output=False) == "Finished"
    assert said(changed, "read", "READ")[1] == trained.replace("given", "changed")


def test_an_estimator_and_outputs_that_all_runs_share(ws, folder, tune, make, complete, unique):
    store, name = ws.get_default_datastore(), unique("shared")
    data = DataReference(store, "data", folder)
    out, files = PipelineData("out", store), OutputFileDatasetConfig("files").register_on_complete(name)
    arguments = ["--data", data, "--out", out, "--files", files]
    step = tune(arguments, estimator=True, inputs=[data], outputs=[out], allow_reuse=False)
    read = make(LIST, "read", [out, files.as_input("files")], inputs=[out])
    run = complete([step, read])
    assert said(run, "read", "FOUND") == [["0.1.txt", "0.5.txt"]] * 2
    assert Dataset.get_by_name(ws, name).version == 1


@pytest.mark.parametrize(
    ("source", "outputs", "reason"),
    [
        (TRAIN, {"model_file": "outputs/none.pkl"}, "has no file 'outputs/none.pkl'.*outputs/model/m.txt"),
        ("raise SystemExit(3)", {}, r"All of them failed; see their logs\. HD_\S+_0: .*exited with status code 3"),
        ("pass", {}, "Output model got no model. The sweep has no best run, because no run logged .*'accuracy'"),
    ],
)
def test_a_sweep_that_makes_no_model_fails_its_step_with_the_reason(ws, data, tune, submit, source, outputs, reason):
    arguments = ["--data", data.as_named_input("data").as_mount()]
    run = submit([tune(arguments, source, outputs=[model_of(ws, **outputs)])])
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert re.search(reason, str(run.get_details()["error"]))


def test_a_canceled_pipeline_cancels_the_runs_of_its_sweep(tune, submit):
    run = submit([tune([], "import time; time.sleep(600)")])
    until(lambda: [trial.get_status() for trial in _trials(run)] == ["Running"] * 2)
    run.cancel()
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Canceled"
    assert {trial.get_status() for trial in _trials(run)} == {"Canceled"}
    assert step_of(run, "tune").get_status() == "Canceled"


def _trials(run):
    steps = run.find_step_run("tune")
    return [trial for step in steps for sweep in step.get_children() for trial in sweep.get_children()]


def test_what_a_sweep_cannot_do_is_refused_when_the_pipeline_is_submitted(ws, tune, submit):
    bayesian = BayesianParameterSampling({"--lr": choice(0.1, 0.5)})
    with pytest.raises(ErrorResponseException, match=r"BayesianOptimization.*is not supported"):
        submit([tune(sampling=bayesian)])
    with pytest.raises(ErrorResponseException, match=r"Output model is .* without model_file"):
        submit([tune(outputs=[model_of(ws, model_file=None)])])
