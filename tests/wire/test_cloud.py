"""The cloud executor's parts against a workspace: computes, data, and the run of a script."""

from __future__ import annotations

import base64
import secrets

import pytest
from azureml.core import Datastore

from azureml_wrapper import WorkspaceWrapper
from azureml_wrapper.errors import (
    BadName,
    MissingInput,
    ScriptNotFound,
    SnapshotTooLarge,
    UnregisteredCompute,
    UnregisteredDatastore,
)
from azureml_wrapper.projects.execution import Execution, ExecutionOptions
from azureml_wrapper.projects.project import Project
from azureml_wrapper.projects.project_resources import (
    compute_target,
    read_compute_file,
    required_data,
    upload_data,
)

pytestmark = pytest.mark.local_only


@pytest.fixture
def store(ws, unique):
    name, key = unique("s"), base64.b64encode(secrets.token_bytes(64)).decode()
    return Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=key)


@pytest.fixture
def project(tmp_path, unique):
    """A project with one script, a compute of its own, and an environment without packages."""
    folder = tmp_path / "project"
    for name in ("pipeline", "data_blobs/raw", "data_blobs/working/images"):
        (folder / name).mkdir(parents=True)
    (folder / "pipeline" / "my script.py").write_text("print('ran')\n")
    (folder / "data_blobs" / "raw" / "a.txt").write_text("1")
    (folder / "data_blobs" / "working" / "images" / "b.txt").write_text("2")
    (folder / "pptdaml.yaml").write_text("name: x\ndependencies:\n  - python=3.10\n")
    (folder / "compute.yaml").write_text(f"compute_name: {unique('c')}\n")
    return Project.at(folder)


@pytest.fixture
def execution(ws, project, store):
    """`execution(script_path=…)`: an Execution, with the datastore of this test."""

    def make(**given):
        fields = {"script_path": "my script.py", "datastore_name": store.name, **given}
        return Execution(WorkspaceWrapper.from_workspace(ws), project, ExecutionOptions(**fields))

    return make


def stored(store):
    container = store.blob_service.get_container_client(store.container_name)
    return {blob.name for blob in container.list_blobs()}


# Computes


def test_a_compute_is_made_once_and_then_used(ws, project, reported):
    wanted = read_compute_file(project.compute_file(None))
    made = compute_target(ws, wanted)
    assert (made.name, made.type) == (wanted.name, "AmlCompute")
    assert f"Compute '{wanted.name}' created" in reported()
    assert compute_target(ws, wanted).name == wanted.name
    assert reported() == f"Using the existing compute '{wanted.name}'.\n"


def test_a_compute_that_is_there_is_used_as_it_is_and_what_differs_is_told(ws, project, reported):
    file = project.compute_file(None)
    compute_target(ws, read_compute_file(file))
    file.write_text(f"{file.read_text()}compute_max_nodes: 3\n")
    found = compute_target(ws, read_compute_file(file))
    assert found.scale_settings.maximum_node_count == 1
    assert "as it is, although its file differs: compute_max_nodes is 1, not 3." in reported()


def test_a_file_of_az_ml_makes_the_same(ws, unique, tmp_path):
    name = unique("c")
    text = f"name: {name}\ntype: amlcompute\nsize: STANDARD_D2_V2\nmax_instances: 2\n"
    file = tmp_path / "az.yaml"
    file.write_text(text)
    made = compute_target(ws, read_compute_file(file))
    assert (made.vm_size.upper(), made.scale_settings.maximum_node_count) == ("STANDARD_D2_V2", 2)


def test_a_compute_may_be_named_and_is_missed_with_near_names(ws, project):
    made = compute_target(ws, read_compute_file(project.compute_file(None)))
    assert compute_target(ws, made.name).name == made.name
    with pytest.raises(UnregisteredCompute, match=f"Did you mean .*{made.name}"):
        compute_target(ws, f"{made.name}x")


# Data


def test_raw_and_working_are_uploaded_and_nothing_else(project, store, reported):
    (project.folder / "data_blobs" / "notes.txt").write_text("mine")
    upload_data(project, store, "data_blobs")
    assert stored(store) == {"data_blobs/raw/a.txt", "data_blobs/working/images/b.txt"}
    assert "data_blobs/raw: 1 uploaded" in reported()
    upload_data(project, store, "data_blobs")
    assert "data_blobs/raw: 1 unchanged; 0 bytes" in reported()


def test_what_is_gone_stays_in_the_storage_unless_it_is_asked_for(project, store):
    (project.folder / "data_blobs" / "raw" / "c.txt").write_text("3")
    upload_data(project, store, "d")
    (project.folder / "data_blobs" / "raw" / "a.txt").unlink()
    upload_data(project, store, "d")
    assert "d/raw/a.txt" in stored(store)
    upload_data(project, store, "d", delete=True)
    assert stored(store) == {"d/raw/c.txt", "d/working/images/b.txt"}


def test_a_project_without_data_is_told(tmp_path, store, reported):
    (tmp_path / "pipeline").mkdir()
    upload_data(Project.at(tmp_path), store, "d")
    assert "no data to upload" in reported()
    assert stored(store) == set()


@pytest.mark.parametrize(
    ("path", "told"),
    [("working/images", "working/images/"), ("working/images/b.txt", "working/images/b.txt"), ("", "/")],
)
@pytest.mark.parametrize("mode", ["mount", "download"])
def test_a_required_folder_and_a_required_file_are_told_apart(ws, project, store, path, told, mode):
    upload_data(project, store, "d")
    consumed, found = required_data(ws, store, "d", path, mode=mode)
    assert (consumed.mechanism, found) == (mode, told)


def test_data_that_are_not_in_the_storage_are_missed_with_near_names(ws, project, store):
    upload_data(project, store, "d")
    with pytest.raises(MissingInput, match=r"Did you mean 'working/images'\?.*--should-upload-datasets True"):
        required_data(ws, store, "d", "working/image", mode="mount")
    with pytest.raises(MissingInput, match="Correct --required-datasets-path"):
        required_data(ws, store, "d", "working/images/c", mode="mount")


# Executions


def test_an_order_is_checked_before_the_workspace_is_asked(execution, project, monkeypatch):
    with pytest.raises(BadName, match="my experiment"):
        execution(experiment_name="my experiment")
    assert execution().experiment == "my-script"
    monkeypatch.setattr("azureml._restclient.snapshots_client.SNAPSHOT_MAX_SIZE_BYTES", 10)
    with pytest.raises(SnapshotTooLarge, match=r"Largest: my script\.py"):
        execution()


def test_a_run_is_known_by_its_id_from_the_beginning(execution, unique):
    made = execution(experiment_name=unique("e"), required_datasets_path="working/images", arguments=("--x", "1"))
    assert made.submitted() is None
    run = made.submit()
    assert run.id == made.run_id == made.submitted().id
    run.wait(timeout=120)
    assert run.logs().endswith("ran\n")
    definition = run.raw.get_details()["runDefinition"]
    assert definition["arguments"] == ["--x", "1"]
    assert (
        definition["environmentVariables"]
        | {
            "CLOUD_EXECUTOR_SCRIPT": "my script.py",
            "CLOUD_EXECUTOR_DATASETS": "working/images/",
        }
        == definition["environmentVariables"]
    )


def test_a_datastore_that_does_not_exist_is_missed_before_anything_is_sent(execution):
    made = execution(datastore_name="nosuchstore")
    with pytest.raises(UnregisteredDatastore):
        made.submit()
    assert made.submitted() is None


def test_a_compute_that_does_not_exist_is_missed_before_data_are_uploaded(execution, store):
    with pytest.raises(UnregisteredCompute):
        execution(compute="nosuchcompute").submit()
    assert stored(store) == set()


def test_a_script_that_would_not_be_sent_is_missed_here(execution, project):
    (project.pipeline / ".amlignore").write_text("my*\n")
    with pytest.raises(ScriptNotFound, match=r"my script\.py would not be uploaded: .*amlignore excludes it"):
        execution()
