"""The arguments of methods are checked before anything is sent: nothing is connected in these tests."""

from __future__ import annotations

import pytest

from azureml_wrapper import PipelineStep, PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.assets.names import check_compute_name, check_datastore_name, check_experiment_name
from azureml_wrapper.errors import WrapperError

SCOPE = ("w", "g", "local")


@pytest.fixture
def workspace(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("connected")

    monkeypatch.setattr("azureml_wrapper.workspace.connect", refuse)
    return WorkspaceWrapper(*SCOPE)


@pytest.fixture
def pipeline(workspace):
    return PipelineWrapper(*SCOPE, "env", "cpu", [PipelineStep(*SCOPE, "a", "a")])


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (
            lambda ws: ws.register_compute("cpu", vm_priority="low"),
            ValueError,
            "register_compute(): vm_priority must be 'dedicated' or 'lowpriority', got 'low'",
        ),
        (
            lambda ws: ws.register_compute("cpu", compute_min_nodes=3, compute_max_nodes=2),
            ValueError,
            "compute_max_nodes is 2, but must be at least 3",
        ),
        (lambda ws: ws.register_compute("cpu", compute_max_nodes=0), ValueError, "must be at least 1"),
        (
            lambda ws: ws.register_compute("cpu", compute_max_nodes="4"),
            TypeError,
            "compute_max_nodes must be an integer, got str",
        ),
        (lambda ws: ws.register_compute("cpu", compute_max_nodes=True), TypeError, "must be an integer, got bool"),
        (lambda ws: ws.register_compute("cpu", compute_min_nodes=-1), ValueError, "must be an integer ≥ 0, got -1"),
        (lambda ws: ws.register_compute("cpu", idle_seconds=1.5), TypeError, "idle_seconds must be an integer"),
        (lambda ws: ws.register_compute(None), TypeError, "name must be a string, got nothing"),
        (lambda ws: ws.register_compute("cpu", ""), ValueError, "compute_size is empty"),
        (
            lambda ws: ws.register_env(None, ["pandas"]),
            TypeError,
            "register_env(): name must be a string, got nothing",
        ),
        (lambda ws: ws.register_env("e", [None]), TypeError, "dependencies[0] must be a string"),
        (lambda ws: ws.register_env("e", 5), TypeError, "dependencies must be a list, got int"),
        (lambda ws: ws.register_env("e", "pandas"), TypeError, "Use ['pandas']"),
        (lambda ws: ws.register_env("e", ["six"], python_version=3.10), TypeError, "python_version must be a string"),
        (lambda ws: ws.register_env("e", docker_image=1), TypeError, "docker_image must be a string"),
        (lambda ws: ws.register_blob_datastore("d", "c", "a", None), TypeError, "storage_key must be a string"),
        (lambda ws: ws.register_blob_datastore("d", "", "a", "k"), ValueError, "container_name is empty"),
        (lambda ws: ws.register_csv("d", None), TypeError, "dataset_name must be a string"),
        (lambda ws: ws.register_csv("d", "x", multi_line="no"), TypeError, "multi_line must be true or false"),
        (lambda ws: ws.register_csv("d", "x", delimiter=None), TypeError, "delimiter must be a string"),
    ],
)
def test_of_a_workspace(workspace, call, error, told):
    with pytest.raises(error) as caught:
        call(workspace)
    assert isinstance(caught.value, WrapperError)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda made: made.run(None), TypeError, "run(): experiment_name must be a string, got nothing"),
        (lambda made: made.run("a b"), ValueError, "Use a name such as 'a-b'"),
        (lambda made: made.run("e", timeout="5"), TypeError, "timeout must be a number, got str"),
        (lambda made: made.run("e", tags=["x"]), TypeError, "tags must be a mapping, got list"),
        (lambda made: made.run("e", wait="no"), TypeError, "wait must be true or false"),
        (lambda made: made.run("e", parameters="lr=1"), TypeError, "parameters must be a mapping, got str"),
        (lambda made: made.register(None, ""), ValueError, "must be a non-empty string, got None"),
        (lambda made: made.register("p", "", start_now=1), TypeError, "register(): start_now must be true or false"),
        (lambda made: made.register("p", "", experiment_name=5), TypeError, "experiment name must be a non-empty"),
    ],
)
def test_of_a_pipeline(pipeline, call, error, told):
    with pytest.raises(error) as caught:
        call(pipeline)
    assert isinstance(caught.value, WrapperError)
    assert told in str(caught.value)


@pytest.mark.parametrize("check", [check_compute_name, check_datastore_name, check_experiment_name])
def test_a_name_is_a_string(check):
    with pytest.raises(TypeError, match="must be a non-empty string, got None"):
        check(None)
