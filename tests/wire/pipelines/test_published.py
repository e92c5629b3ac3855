"""Published pipelines through the SDK, and their REST endpoint."""

from __future__ import annotations

import json

import pytest
import requests
from azureml.core import Dataset, Experiment
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.pipeline.core import Pipeline, PipelineParameter, PipelineRun, PublishedPipeline

ECHO = "import sys; print('\\n'.join(sys.argv[1:]), file=open('outputs/said.txt', 'w'))"
LIST = """
    import os, sys
    names = sorted(os.listdir(sys.argv[1])) if os.path.isdir(sys.argv[1]) else [os.path.basename(sys.argv[1])]
    print(*names, sep="\\n", file=open("outputs/said.txt", "w"))
"""


@pytest.fixture
def publish(ws, make, unique):
    """Publishes a pipeline of one step that writes its arguments down."""

    def published(arguments, source=ECHO, **more):
        step = make(source, arguments=arguments, **more)
        return Pipeline(ws, steps=[step]).publish(name=unique("published"), description="says it", version="7")

    return published


def said(run: PipelineRun, tmp_path) -> list[str]:
    """What the only step wrote down."""
    assert run.wait_for_completion(show_output=False, timeout_seconds=120) == "Finished"
    (step,) = run.get_steps()
    step.download_file("outputs/said.txt", str(tmp_path / run.id))
    return (tmp_path / run.id).read_text().splitlines()


def post(ws, address, body):
    return requests.post(address, headers=ws._auth.get_authentication_header(), json=body, timeout=60)


def run_of(ws, answer, experiment) -> PipelineRun:
    answer.raise_for_status()
    return PipelineRun(Experiment(ws, experiment), answer.json()["Id"])


def test_a_pipeline_is_published_without_a_run_before(ws, publish):
    published = publish(["a"])
    found = PublishedPipeline.get(ws, published.id)
    assert (found.name, found.description, found.version) == (published.name, "says it", "7")
    assert (found.status, found.total_run_steps) == ("Active", 1)
    assert found.endpoint.endswith(f"/PipelineRuns/PipelineSubmit/{published.id}")


def test_published_pipelines_are_listed_newest_first(ws, publish):
    first, second = publish(["a"]), publish(["b"])
    listed = [pipeline.id for pipeline in PublishedPipeline.list(ws)]
    assert listed.index(second.id) < listed.index(first.id)


def test_it_runs_with_its_defaults_and_with_other_values(ws, publish, unique, tmp_path):
    published = publish([PipelineParameter("lr", 0.5), PipelineParameter("name", "x")])
    experiment = unique("pub")
    assert said(published.submit(ws, experiment), tmp_path) == ["0.5", "x"]
    assert said(published.submit(ws, experiment, pipeline_parameters={"lr": 0.25}), tmp_path) == ["0.25", "x"]


def test_its_run_says_where_it_comes_from(ws, publish, unique):
    published = publish(["a"])
    run = published.submit(ws, unique("pub"))
    properties = run.get_properties()
    assert properties["azureml.pipelineid"] == published.id
    assert (properties["runSource"], properties["runType"]) == ("SDK", "SDK")
    run.wait_for_completion(show_output=False)


def test_a_run_is_published(ws, make, complete, unique, tmp_path):
    run = complete([make(ECHO, arguments=[PipelineParameter("word", "hello")])])
    published = run.publish_pipeline(name=unique("published"), description="from a run", version="1")
    assert said(published.submit(ws, unique("pub")), tmp_path) == ["hello"]


def test_a_pipeline_with_a_dataset_parameter_is_published(ws, make, folder, unique, tmp_path):
    store = ws.get_default_datastore()
    first = Dataset.File.from_files((store, f"{folder}/a.csv"))
    second = Dataset.File.from_files((store, f"{folder}/sub/b.txt"))
    parameter = PipelineParameter("files", first)
    step = make(LIST, arguments=[(data := parameter_input(parameter))], inputs=[data])
    published = Pipeline(ws, steps=[step]).publish(name=unique("published"))
    assert said(published.submit(ws, unique("pub")), tmp_path) == ["a.csv"]
    other = published.submit(ws, unique("pub"), pipeline_parameters={"files": second})
    assert said(other, tmp_path) == ["b.txt"]


def parameter_input(parameter):
    from azureml.data.dataset_consumption_config import DatasetConsumptionConfig

    return DatasetConsumptionConfig("files", parameter).as_mount()


def test_its_address_runs_it(ws, publish, unique, tmp_path):
    published, experiment = publish([PipelineParameter("lr", 0.5), PipelineParameter("n", 1)]), unique("rest")
    body = {"ExperimentName": experiment, "ParameterAssignments": {"lr": "0.1", "n": 3}, "tags": {"from": "rest"}}
    run = run_of(ws, post(ws, published.endpoint, body), experiment)
    assert said(run, tmp_path) == ["0.1", "3"]
    properties = run.get_properties()
    assert (properties["runSource"], properties["runType"]) == ("Unavailable", "HTTP")
    assert json.loads(properties["azureml.parameters"]) == {"lr": "0.1", "n": "3"}
    assert run.get_tags()["from"] == "rest"


def test_its_address_takes_keys_in_lower_case_and_a_source(ws, publish, unique):
    published, experiment = publish(["a"]), unique("rest")
    answer = post(ws, published.endpoint, {"experimentname": experiment, "runsource": "SDK"})
    properties = run_of(ws, answer, experiment).get_properties()
    assert (properties["runSource"], properties["runType"]) == ("SDK", "HTTP")


def test_its_address_takes_a_path(ws, make, folder, unique, tmp_path):
    store = ws.get_default_datastore()
    parameter = PipelineParameter("place", DataPath(store, folder))
    data = (parameter, DataPathComputeBinding(mode="mount"))
    published = Pipeline(ws, steps=[make(LIST, arguments=[data], inputs=[data])]).publish(name=unique("published"))
    experiment = unique("rest")
    assert said(published.submit(ws, experiment), tmp_path) == ["a.csv", "sub"]
    path = {"DataStoreName": store.name, "RelativePath": f"{folder}/sub"}
    answer = post(ws, published.endpoint, {"ExperimentName": experiment, "DataPathAssignments": {"place": path}})
    assert said(run_of(ws, answer, experiment), tmp_path) == ["b.txt"]


@pytest.mark.local_only
def test_what_the_pipeline_has_no_parameter_for_is_told(ws, publish, unique):
    published, experiment = publish([PipelineParameter("lr", 0.5)]), unique("rest")
    body = {"ExperimentName": experiment, "ParameterAssignments": {"learning_rate": "1"}}
    run = run_of(ws, post(ws, published.endpoint, body), experiment)
    (warning,) = run.get_details()["warnings"]
    assert "learning_rate" in warning["message"]


@pytest.mark.local_only
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({}, 400, "ExperimentName"),
        ({"ExperimentName": "a b"}, 400, "Experiment name"),
        ({"ExperimentName": "a", "ParameterAssignments": {"lr": [1]}}, 400, "lr"),
        ({"ExperimentName": "a", "AzDevOpsCallBackInfo": {"x": "y"}}, 501, "AzDevOpsCallBackInfo"),
    ],
)
def test_a_wrong_request_is_refused_with_a_reason(ws, publish, body, status, reason):
    answer = post(ws, publish(["a"]).endpoint, body)
    assert answer.status_code == status
    assert reason in answer.json()["Error"]["Message"]


def test_its_address_wants_a_token(publish):
    assert requests.post(publish(["a"]).endpoint, json={"ExperimentName": "a"}, timeout=60).status_code == 401


def test_a_disabled_pipeline_neither_runs_nor_is_listed_until_it_is_enabled(ws, publish, unique):
    published, experiment = publish(["a"]), unique("pub")
    published.disable()
    assert published.id not in [pipeline.id for pipeline in PublishedPipeline.list(ws)]
    assert published.id in [pipeline.id for pipeline in PublishedPipeline.list(ws, active_only=False)]
    assert PublishedPipeline.get(ws, published.id).status == "Disabled"
    with pytest.raises(Exception, match="Disabled"):
        published.submit(ws, experiment)
    published.enable()
    published.submit(ws, experiment).wait_for_completion(show_output=False)


def test_an_unknown_pipeline_is_not_found(ws):
    with pytest.raises(Exception, match="nobody"):
        PublishedPipeline.get(ws, "nobody")
