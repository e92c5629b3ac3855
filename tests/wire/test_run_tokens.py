"""What the token of a run opens: its own run, those above and below it, and nothing else."""

from __future__ import annotations

import pytest
import requests
from azureml.core import Experiment

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens

pytestmark = pytest.mark.local_only


class Caller:
    """Sends requests as one run."""

    def __init__(self, ws, run):
        info = service_process.start(Home())
        workspace = ws.get_details()["workspaceid"]
        self._scope = (
            f"/subscriptions/{ws.subscription_id}/resourceGroups/{ws.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{ws.name}"
        )
        self._base = f"http://127.0.0.1:{info.port}"
        self._token = Tokens(info.secret).run(workspace, run.id)

    def __call__(self, method, path, **options):
        prefix, _, rest = path.partition(" ")
        address = f"{self._base}{prefix}{self._scope}{rest}"
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.request(method, address, headers=headers, timeout=10, **options).status_code


@pytest.fixture
def family(ws, unique):
    """A parent, the run itself, its child, its sibling and a stranger."""
    experiment = Experiment(ws, unique("exp"))
    parent = experiment.start_logging(snapshot_directory=None, outputs=False)
    own = parent.child_run()
    return {
        "parent": parent,
        "own": own,
        "child": own.child_run(),
        "sibling": parent.child_run(),
        "stranger": experiment.start_logging(snapshot_directory=None, outputs=False),
    }


@pytest.fixture
def call(ws, family):
    return Caller(ws, family["own"])


def writes(run):
    """Every way to write to a run: method, path, body."""
    experiment, run_id = run.experiment.name, run.id
    point = {"name": "m", "columns": {"m": "int"}, "value": [{"data": {"m": 1}}]}
    start = {"name": "Microsoft.MachineLearning.Run.Start", "data": {"RunId": run_id}}
    runs = f"/history/v1.0 /experiments/{experiment}/runs/{run_id}"
    place = f"/artifact/v2.0 /artifacts/content/ExperimentRun/dcid.{run_id}"
    return [
        ("PATCH", runs, {"tags": {"k": "v"}}),
        ("PATCH", f"/history/v1.0 /experimentids/{run.experiment.id}/runs/{run_id}", {"tags": {"k": "v"}}),
        ("DELETE", f"{runs}/tags", ["k"]),
        ("POST", f"{runs}/events", start),
        ("GET", f"{runs}/token", None),
        ("POST", f"/metric/v2.0 /runs/{run_id}/batch", {"values": [point]}),
        ("POST", f"{place}/file.txt", "content"),
        ("GET", f"/artifact/v2.0 /artifacts/write/ExperimentRun/dcid.{run_id}/log.txt", None),
        ("POST", f"/artifact/v2.0 /artifacts/batch/metadata/ExperimentRun/dcid.{run_id}", {"paths": []}),
        ("POST", f"{runs}/artifacts/batch/metadata", {"paths": []}),
        ("DELETE", f"/artifact/v2.0 /artifacts/metadata/ExperimentRun/dcid.{run_id}/file.txt", None),
    ]


@pytest.mark.parametrize("who", ["own", "parent", "child"])
def test_a_run_may_write_to_itself_its_parents_and_its_children(family, call, who):
    answers = [call(method, path, json=body) for method, path, body in writes(family[who])]
    assert answers == [200] * len(answers)


@pytest.mark.parametrize("who", ["stranger", "sibling"])
def test_a_run_may_not_write_to_any_other(family, call, who):
    answers = [call(method, path, json=body) for method, path, body in writes(family[who])]
    assert answers == [403] * len(answers)


def test_a_run_may_read_any_other(family, call):
    run = family["stranger"]
    runs = f"/history/v1.0 /experiments/{run.experiment.name}"
    assert call("GET", f"{runs}/runs/{run.id}") == 200
    assert call("GET", f"{runs}/runs/{run.id}/details") == 200
    assert call("POST", f"{runs}/runs:query", json={}) == 200
    assert call("POST", f"/metric/v2.0 /runs/{run.id}/list", json={}) == 200
    assert call("GET", f"/artifact/v2.0 /artifacts/ExperimentRun/dcid.{run.id}") == 200


def test_a_batch_is_held_to_the_family_too(ws, family, call):
    own, stranger = family["own"], family["stranger"]
    runs = f"/history/v1.0 /experiments/{own.experiment.name}/batch"
    bodies = [{"runId": run.id, "tags": {"by": "batch"}} for run in (own, stranger)]
    assert call("PATCH", f"{runs}/runs", json={"runs": bodies}) == 200
    assert own.get_tags() == {"by": "batch"}
    assert stranger.get_tags() == {}
    event = {"name": "Microsoft.MachineLearning.Run.Completed", "data": {"RunId": stranger.id}}
    assert call("POST", f"{runs}/events", json={"events": [event]}) == 200
    assert stranger.get_status() == "Running"


def test_a_run_makes_children_of_its_own_family_only(family, call, unique):
    own, stranger = family["own"], family["stranger"]
    runs = f"/history/v1.0 /experiments/{own.experiment.name}/runs"
    assert call("PATCH", f"{runs}/{unique()}", json={"parentRunId": own.id}) == 200
    assert call("PATCH", f"{runs}/{unique()}", json={"parentRunId": stranger.id}) == 403


@pytest.mark.parametrize(
    ("origin", "container"),
    [
        ("ExperimentRun", "dcid.{stranger}%2Fsub"),
        ("ExperimentRun%2Fdcid.{stranger}", "sub"),
        ("ExperimentRun", "..%2FExperimentRun%2Fdcid.{stranger}"),
        ("..", "dcid.{stranger}"),
        ("ExperimentRun", "%2E%2E"),
    ],
)
def test_an_encoded_slash_does_not_lead_into_another_run(family, call, origin, container):
    stranger = family["stranger"]
    place = f"{origin}/{container}".format(stranger=stranger.id)
    assert call("POST", f"/artifact/v2.0 /artifacts/content/{place}/x.txt", data="x") in (400, 403, 501)
    assert call("POST", f"/artifact/v2.0 /artifacts/batch/metadata/{place}", json={"paths": [{"path": "x"}]}) in (
        400,
        403,
        501,
    )
    assert stranger.get_file_names() == []
