"""What a project says in `.azureml`."""

from __future__ import annotations

import json

import pytest

from azureml_wrapper.errors import BadValue, ConfigError, ConfigNotFound, ConfigSyntax, MissingKey
from azureml_wrapper.jobs.settings import read_settings

WORKSPACE = {"subscription_id": "local", "resource_group": "rg", "workspace_name": "w"}
STORE = {"datastore_name": "d", "account_name": "a", "container_name": "c", "account_key": "${STORAGE_KEY}"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_KEY", "c2VjcmV0")
    (tmp_path / ".azureml").mkdir()
    (tmp_path / "tools").mkdir()
    monkeypatch.chdir(tmp_path / "tools")
    put(tmp_path, config=WORKSPACE, compute_target={"compute_target": "cpu"}, datastore=STORE)
    put(tmp_path, environment={"name": "e", "dependencies": ["numpy"], "conda_file": "conda.yml"})
    return tmp_path


def put(folder, **files):
    for name, content in files.items():
        (folder / ".azureml" / f"{name}.json").write_text(json.dumps(content))


def read(**given):
    return read_settings(**{**dict.fromkeys(("workspace", "compute_target", "datastore", "environment")), **given})


def test_the_four_files_of_the_nearest_folder_are_read(project):
    found = read()
    assert (found.scope.name, found.scope.resource_group, found.compute) == ("w", "rg", "cpu")
    assert (found.datastore.datastore_name, found.datastore.account_key) == ("d", "c2VjcmV0")
    assert found.environment.dependencies == ["numpy"]
    assert found.environment.conda_file == project / ".azureml" / "conda.yml"


def test_each_can_be_another_file_or_a_name(project):
    other = project / "other.json"
    other.write_text(json.dumps({"compute_target": "gpu"}))
    assert read(compute_target=str(other)).compute == "gpu"
    found = read(workspace="w2", compute_target="big", datastore="mine", environment="maskrcnn")
    assert (found.scope.name, found.scope.resource_group, found.compute) == ("w2", "rg", "big")
    assert (found.datastore.datastore_name, found.datastore.account_key) == ("mine", None)
    assert (found.environment.name, found.environment.dependencies) == ("maskrcnn", None)


def test_a_file_that_does_not_exist_is_no_name(project):
    with pytest.raises(ConfigNotFound, match=r"nowhere\.json cannot be read"):
        read(compute_target="nowhere.json")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("config", r"No \.azureml/config\.json found in .*tools or above it"),
        ("compute_target", r"compute_target\.json not found .*{\"compute_target\": \"NAME\"}.*--compute_target"),
        ("environment", r"\.azureml/environment\.json not found .*--environment"),
    ],
)
def test_a_missing_file_is_told_with_what_to_write(project, file, told):
    (project / ".azureml" / f"{file}.json").unlink()
    with pytest.raises(ConfigNotFound, match=told):
        read()


def test_without_a_datastore_none_is_named(project):
    (project / ".azureml" / "datastore.json").unlink()
    assert read().datastore is None


@pytest.mark.parametrize("name", ["config", "compute_target", "datastore", "environment"])
def test_broken_json_is_told_with_line_and_column(project, name):
    (project / ".azureml" / f"{name}.json").write_text('{\r\n  "a": 1\r\n  "b": 2\r\n}')
    with pytest.raises(ConfigSyntax, match=rf"{name}\.json, line 3, column 3: Expecting ',' delimiter"):
        read()


def test_a_new_datastore_is_whole(project):
    put(project, datastore={"datastore_name": "d", "account_name": "a"})
    with pytest.raises(
        BadValue, match=r"datastore\.json: a new datastore also needs container_name and account_key\.$"
    ):
        read()


def test_wrong_keys_are_told_with_their_line(project):
    put(project, compute_target={"compute_targt": "cpu"})
    with pytest.raises(ConfigError, match=r"(?s)compute_targt.*Did you mean 'compute_target'"):
        read()


def test_a_key_is_not_shown_and_is_known_as_private_where_it_is_written(project):
    assert read().private == ()
    put(project, datastore={**STORE, "account_key": "d3JpdHRlbg=="})
    found = read()
    assert [file.name for file in found.private] == ["datastore.json"]
    assert "d3JpdHRlbg" not in repr(found)
    escaped = json.dumps({**STORE, "account_key": "d3J+dHRlbg=="}).replace("+", "\\u002b")
    (project / ".azureml" / "datastore.json").write_text(escaped)
    assert [file.name for file in read().private] == ["datastore.json"]


def test_a_definition_of_the_sdk_is_taken_as_it_is(project):
    definition = {"name": "maskrcnn", "docker": {"baseImage": "image"}, "python": {"userManagedDependencies": True}}
    put(project, environment=definition)
    assert read().environment == definition
    put(project, environment={"docker": {"baseImage": "image"}})
    with pytest.raises(BadValue, match="without a name"):
        read()


def test_a_workspace_without_a_name_is_told(project):
    put(project, config={"subscription_id": "local", "resource_group": "rg"})
    with pytest.raises(MissingKey, match="ws_name is missing"):
        read()
