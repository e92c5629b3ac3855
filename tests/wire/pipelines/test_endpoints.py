"""Pipeline endpoints through the SDK: several versions of a published pipeline under one address."""

from __future__ import annotations

import pytest
import requests
from azureml.core import Experiment
from azureml.pipeline.core import Pipeline, PipelineEndpoint, PipelineRun

from tests.wire.pipelines.test_published import ECHO, said


@pytest.fixture
def pipeline(ws, make, unique):
    """Publishes a pipeline whose step writes a word down."""

    def published(word):
        return Pipeline(ws, steps=[make(ECHO, arguments=[word])]).publish(name=unique("published"))

    return published


@pytest.fixture
def endpoint(ws, pipeline, unique):
    return PipelineEndpoint.publish(ws, name=unique("endpoint"), pipeline=pipeline("one"), description="says it")


def test_an_endpoint_is_found_by_id_and_by_name(ws, endpoint):
    assert PipelineEndpoint.get(ws, id=endpoint.id).name == endpoint.name
    found = PipelineEndpoint.get(ws, name=endpoint.name)
    assert (found.id, found.description, found.status, found.default_version) == (
        endpoint.id,
        "says it",
        "Active",
        "0",
    )
    assert found.endpoint.endswith(f"/PipelineRuns/PipelineEndpointSubmit/Id/{endpoint.id}")


def test_a_pipeline_that_is_not_published_yet_is_published_with_it(ws, make, unique):
    pipeline = Pipeline(ws, steps=[make(ECHO)])
    endpoint = PipelineEndpoint.publish(ws, name=unique("endpoint"), pipeline=pipeline, description="d")
    assert endpoint.get_pipeline().total_run_steps == 1


def test_a_name_is_given_once(ws, endpoint, pipeline):
    with pytest.raises(ValueError, match="already exists"):
        PipelineEndpoint.publish(ws, name=endpoint.name, pipeline=pipeline("x"), description="d")
    endpoint.disable()
    with pytest.raises(Exception, match="Failed to add item to collection: PipelineEndpoint"):
        PipelineEndpoint.publish(ws, name=endpoint.name, pipeline=pipeline("x"), description="d")


def test_versions_are_added_and_one_is_the_default(ws, endpoint, pipeline):
    second, third = pipeline("two"), pipeline("three")
    endpoint.add(second)
    endpoint.add_default(third)
    found = PipelineEndpoint.get(ws, id=endpoint.id)
    assert [item.version for item in found.list_versions()] == ["0", "1", "2"]
    assert (found.default_version, found.get_pipeline().id) == ("2", third.id)
    found.set_default(second)
    assert PipelineEndpoint.get(ws, id=endpoint.id).default_version == "1"
    found.set_default_version("0")
    assert PipelineEndpoint.get(ws, id=endpoint.id).default_version == "0"
    assert [item.id for item in found.list_pipelines()][1:] == [second.id, third.id]


def test_the_default_runs_and_every_other_version(ws, endpoint, pipeline, unique, tmp_path):
    endpoint.add(pipeline("two"))
    experiment = unique("end")
    assert said(endpoint.submit(experiment), tmp_path) == ["one"]
    assert said(endpoint.submit(experiment, pipeline_version="1"), tmp_path) == ["two"]
    with pytest.raises(Exception, match="no version '9'"):
        endpoint.submit(experiment, pipeline_version="9")


def test_its_address_runs_the_default(ws, endpoint, unique, tmp_path):
    headers, experiment = ws._auth.get_authentication_header(), unique("end")
    answer = requests.post(endpoint.endpoint, headers=headers, json={"ExperimentName": experiment}, timeout=60)
    answer.raise_for_status()
    assert said(PipelineRun(Experiment(ws, experiment), answer.json()["Id"]), tmp_path) == ["one"]


def test_an_address_with_its_name_runs_the_default_and_every_other_version(ws, endpoint, pipeline, unique, tmp_path):
    endpoint.add(pipeline("two"))
    headers, experiment = ws._auth.get_authentication_header(), unique("end")
    by_name = endpoint.endpoint.replace(f"Id/{endpoint.id}", "Name")

    def post(**query):
        return requests.post(by_name, params=query, headers=headers, json={"ExperimentName": experiment}, timeout=60)

    for word, query in (("one", {}), ("one", {"pipelineVersion": "0"}), ("two", {"pipelineVersion": "1"})):
        run_id = post(name=endpoint.name, **query).json()["Id"]
        assert said(PipelineRun(Experiment(ws, experiment), run_id), tmp_path) == [word]
    missing = post(name="no such endpoint")
    assert (missing.status_code, "no such endpoint" in missing.text) == (404, True)
    assert "no version '9'" in post(name=endpoint.name, pipelineVersion="9").text


def test_endpoints_are_listed_newest_first(ws, pipeline, unique):
    published = pipeline("x")
    made = [PipelineEndpoint.publish(ws, name=unique("endpoint"), pipeline=published, description="d") for _ in "ab"]
    listed = [endpoint.id for endpoint in PipelineEndpoint.list(ws)]
    assert listed.index(made[1].id) < listed.index(made[0].id)
    assert len(PipelineEndpoint.list(ws, max_results=1)) == 1


def test_a_disabled_endpoint_is_not_listed_and_does_not_run(ws, endpoint, unique):
    address = endpoint.endpoint
    endpoint.disable()
    assert endpoint.id not in [item.id for item in PipelineEndpoint.list(ws)]
    assert endpoint.id in [item.id for item in PipelineEndpoint.list(ws, active_only=False)]
    headers = ws._auth.get_authentication_header()
    answer = requests.post(address, headers=headers, json={"ExperimentName": unique("end")}, timeout=60)
    assert answer.status_code == 409
    endpoint.enable()
    assert PipelineEndpoint.get(ws, name=endpoint.name).status == "Active"


def test_an_endpoint_is_renamed_archived_and_reactivated(ws, endpoint, unique):
    endpoint.set_name(unique("renamed"))
    assert PipelineEndpoint.get(ws, name=endpoint.name).id == endpoint.id
    endpoint.archive()
    assert PipelineEndpoint.get(ws, id=endpoint.id).status == "Disabled"
    again = endpoint.reactivate(unique("again"))
    assert (again.status, PipelineEndpoint.get(ws, name=again.name).id) == ("Active", endpoint.id)
