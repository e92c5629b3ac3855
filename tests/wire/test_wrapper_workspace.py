"""WorkspaceWrapper: what is registered through it is there for the SDK."""

from __future__ import annotations

import base64

import pytest
from azureml.core import Dataset, Datastore, Environment, Workspace
from azureml.core.compute import ComputeTarget

from azureml_wrapper import WorkspaceWrapper
from azureml_wrapper.errors import (
    AlreadyRegistered,
    BadData,
    BadName,
    UnregisteredDatastore,
)

KEY = base64.b64encode(b"key of the account").decode()


@pytest.fixture
def workspace(ws):
    return WorkspaceWrapper.from_workspace(ws)


@pytest.fixture
def csv(tmp_path):
    def write(text="a,b\n1.5,x\n2.5,y\n", name="table.csv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_ws_is_the_sdk_s_own_workspace(workspace, ws):
    assert workspace.ws is ws
    assert isinstance(workspace.ws, Workspace)


class TestEnvironments:
    def test_it_is_registered_with_its_packages_and_those_of_azure_ml(self, workspace, ws, unique):
        registered = workspace.register_env(unique("env"), ["pandas", "matplotlib"])
        found = Environment.get(ws, registered.name)
        packages = list(found.python.conda_dependencies.pip_packages)
        assert packages[:2] == ["pandas", "matplotlib"]
        assert packages[2].startswith("azureml-defaults")

    def test_unchanged_it_says_so_and_stays_as_it_is(self, workspace, unique, reported):
        name = unique("env")
        first = workspace.register_env(name, ["pandas"])
        second = workspace.register_env(name, ["pandas"])
        assert (first.version, second.version) == ("1", "1")
        assert f"Environment '{name}' is already registered, unchanged: version 1." in reported()

    def test_changed_it_gets_a_new_version(self, workspace, unique):
        name = unique("env")
        workspace.register_env(name, ["pandas"])
        assert workspace.register_env(name, ["pandas", "scipy"]).version == "2"
        assert workspace.register_env(name, ["pandas", "scipy"], python_version="3.9").version == "3"

    def test_it_may_come_from_a_requirements_file(self, workspace, unique, tmp_path):
        file = tmp_path / "requirements.txt"
        file.write_text("# for training\npandas>=2  # tables\n\nazureml-core\n")
        found = workspace.register_env(unique("env"), ["numpy"], requirements=file)
        packages = list(found.python.conda_dependencies.pip_packages)
        assert (packages[0], packages[-1]) == ("pandas>=2", "numpy")
        assert not any(package.startswith("azureml-defaults") for package in packages)

    def test_its_options_and_hashes_reach_the_workspace_and_no_output(self, workspace, unique, tmp_path, reported):
        (tmp_path / "base.txt").write_text("six==1.17.0 \\\n  --hash=sha256:00\n")
        file = tmp_path / "requirements.txt"
        file.write_text("-i https://me:pass-3Fz9@example.org/simple\n-r base.txt\n", encoding="utf-16")
        conda = workspace.register_env(unique("env"), requirements=file).python.conda_dependencies
        assert list(conda.pip_packages) == ["six==1.17.0 --hash=sha256:00"]
        assert list(conda.pip_options) == ["-i https://me:pass-3Fz9@example.org/simple"]
        assert "pass-3Fz9" not in reported()

    def test_it_may_come_from_a_conda_file(self, workspace, unique, tmp_path):
        file = tmp_path / "conda.yml"
        file.write_text("dependencies:\n- python=3.9\n- pip:\n  - pandas\n")
        found = workspace.register_env(unique("env"), ["numpy"], conda_file=str(file))
        assert list(found.python.conda_dependencies.pip_packages) == ["pandas", "numpy"]
        assert found.python.conda_dependencies.get_python_version() == "3.9"

    def test_a_docker_image_alone_has_everything(self, workspace, unique):
        found = workspace.register_env(unique("env"), docker_image="library/python:3.10")
        assert found.docker.base_image == "library/python:3.10"
        assert found.python.user_managed_dependencies

    def test_one_text_in_place_of_a_list_is_a_mistake(self, workspace, unique):
        with pytest.raises(TypeError, match=r"must be a list of packages, .* Use \['pandas'\]"):
            workspace.register_env(unique("env"), "pandas")

    def test_a_file_that_is_not_there_is_named(self, workspace, unique):
        with pytest.raises(FileNotFoundError, match=r"nope\.txt"):
            workspace.register_env(unique("env"), requirements="nope.txt")


@pytest.mark.local_only
class TestDatastores:
    def test_it_is_registered_and_found_by_the_sdk(self, workspace, ws, unique):
        name = unique("store")
        workspace.register_blob_datastore(name, "container", "account", KEY)
        found = Datastore.get(ws, name)
        assert (found.container_name, found.account_name, found.account_key) == ("container", "account", KEY)

    def test_unchanged_it_says_so(self, workspace, unique, capfd, reported):
        name = unique("store")
        workspace.register_blob_datastore(name, "container", "account", KEY)
        again = workspace.register_blob_datastore(name, "container", "account", KEY)
        out, err = capfd.readouterr()
        assert again.name == name
        assert f"Datastore '{name}' is already registered, unchanged." in reported()
        assert "rror" not in out + err

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            (("other", "account", KEY), "another container"),
            (("container", "other", KEY), "another account"),
            (("container", "account", KEY[::-1]), "another access key"),
        ],
    )
    def test_changed_it_is_an_error_that_says_what_differs_and_shows_no_key(self, workspace, unique, settings, told):
        name = unique("store")
        workspace.register_blob_datastore(name, "container", "account", KEY)
        with pytest.raises(AlreadyRegistered, match=told) as caught:
            workspace.register_blob_datastore(name, *settings)
        assert KEY not in str(caught.value)
        assert KEY[::-1] not in str(caught.value)

    def test_a_name_that_azure_refuses_is_refused_before_anything_is_asked(self):
        # A workspace that cannot be reached: asking it would be another error.
        nowhere = WorkspaceWrapper.from_workspace(
            Workspace("s", "r", "w", auth=object(), _disable_service_check=True)
        )
        with pytest.raises(BadName, match=r"'-'.*such as 'test_datastore'"):
            nowhere.register_blob_datastore("test-datastore", "container", "account", KEY)
        with pytest.raises(BadName, match="'-'"):
            nowhere.register_csv("test-datastore", "test_dataset.csv")

    def test_unregistered_it_is_gone(self, workspace, ws, unique):
        name = unique("store")
        workspace.register_blob_datastore(name, "container", "account", KEY)
        workspace.unregister_blob_datastore(name)
        assert name not in ws.datastores

    def test_a_typo_cannot_be_unregistered(self, workspace):
        with pytest.raises(UnregisteredDatastore, match="Did you mean 'workspaceblobstore'"):
            workspace.unregister_blob_datastore("workspaceblobstor")

    def test_a_name_like_no_other_is_reported_as_not_registered(self, workspace, reported):
        workspace.unregister_blob_datastore("q9_z")
        assert "Datastore 'q9_z' is not registered; nothing to unregister." in reported()


class TestCsv:
    def test_a_local_file_becomes_a_dataset_of_that_name(self, workspace, ws, unique, csv):
        name = unique("data")
        registered = workspace.register_csv("workspaceblobstore", name, source=csv())
        assert (registered.name, registered.version) == (name, 1)
        table = Dataset.get_by_name(ws, name).to_pandas_dataframe()
        assert table.to_dict("list") == {"a": [1.5, 2.5], "b": ["x", "y"]}

    def test_the_name_may_end_in_csv(self, workspace, unique, csv):
        name = unique("data")
        assert workspace.register_csv("workspaceblobstore", f"{name}.csv", source=csv()).name == name

    def test_a_file_of_the_datastore_becomes_a_dataset(self, workspace, ws, unique, csv):
        name = unique("data")
        ws.get_default_datastore().upload_files([str(csv(name=f"{name}.csv"))], show_progress=False)
        assert workspace.register_csv("workspaceblobstore", name).to_pandas_dataframe().shape == (2, 2)

    def test_unchanged_it_says_so_and_stays_as_it_is(self, workspace, unique, csv, reported):
        name = unique("data")
        file = csv()
        for _ in range(2):
            found = workspace.register_csv("workspaceblobstore", name, source=file)
        assert found.version == 1
        assert workspace.register_csv("workspaceblobstore", name).version == 1
        assert f"Dataset '{name}' is already registered, unchanged: version 1." in reported()

    def test_other_content_makes_a_new_version(self, workspace, unique, csv):
        name = unique("data")
        workspace.register_csv("workspaceblobstore", name, source=csv())
        changed = workspace.register_csv("workspaceblobstore", name, source=csv("a,b\n9.5,z\n"))
        assert changed.version == 2
        assert changed.to_pandas_dataframe().to_dict("list") == {"a": [9.5], "b": ["z"]}

    def test_a_file_that_was_deleted_is_uploaded_again(self, workspace, ws, unique, csv):
        name = unique("data")
        workspace.register_csv("workspaceblobstore", name, source=csv())
        store = ws.get_default_datastore()
        store.blob_service.get_blob_client(store.container_name, f"{name}.csv").delete_blob()
        again = workspace.register_csv("workspaceblobstore", name, source=csv())
        assert again.to_pandas_dataframe().shape == (2, 2)

    def test_another_delimiter_is_an_error_that_names_it_and_then_an_option(self, workspace, unique, csv):
        name, file = unique("data"), csv("a;b\n1.5;x\n2.5;y\n")
        with pytest.raises(BadData, match="delimited by ';'"):
            workspace.register_csv("workspaceblobstore", name, source=file)
        found = workspace.register_csv("workspaceblobstore", name, source=file, delimiter=";")
        assert list(found.to_pandas_dataframe()) == ["a", "b"]

    def test_line_breaks_within_quotes_are_an_error_and_then_an_option(self, workspace, unique, csv):
        name, file = unique("data"), csv('a,b\n"one\ntwo",x\nthree,y\n')
        with pytest.raises(BadData, match="multi_line=True"):
            workspace.register_csv("workspaceblobstore", name, source=file)
        found = workspace.register_csv("workspaceblobstore", name, source=file, multi_line=True)
        assert len(found.to_pandas_dataframe()) == 2

    @pytest.mark.parametrize(
        ("encoding", "codec"),
        [
            ("utf8", "utf-8-sig"),
            ("utf8bom", "utf-8-sig"),
            ("windows1252", "cp1252"),
            ("utf16", "utf-16"),
            ("utf16", "utf-16-le"),
            ("iso88591", "latin-1"),
            ("latin1", "latin-1"),
            ("UTF8", "utf-8"),
        ],
    )
    def test_every_encoding_that_is_accepted_is_read(self, workspace, unique, tmp_path, encoding, codec):
        file = tmp_path / "x.csv"
        file.write_bytes("né,b\r\n1.5,ô\r\n".encode(codec))
        made = workspace.register_csv("workspaceblobstore", unique("data"), source=file, encoding=encoding)
        assert made.to_pandas_dataframe().to_dict("list") == {"né": [1.5], "b": ["ô"]}

    @pytest.mark.parametrize(("text", "told"), [("", "is empty"), ("a,b\n", "a header but no rows")])
    def test_an_empty_file_is_an_error_local_or_stored(self, workspace, ws, unique, csv, text, told):
        name = unique("data")
        file = csv(text, f"{name}.csv")
        with pytest.raises(BadData, match=told):
            workspace.register_csv("workspaceblobstore", name, source=file)
        store = ws.get_default_datastore()
        store.blob_service.get_blob_client(store.container_name, f"{name}.csv").upload_blob(text.encode())
        with pytest.raises(BadData, match=told):
            workspace.register_csv("workspaceblobstore", name)

    def test_a_file_that_is_nowhere_is_named(self, workspace, unique):
        with pytest.raises(BadData, match=r"gone\.csv of datastore 'workspaceblobstore' does not exist"):
            workspace.register_csv("workspaceblobstore", "gone")
        with pytest.raises(BadData, match=r"Cannot read nope\.csv"):
            workspace.register_csv("workspaceblobstore", unique("data"), source="nope.csv")

    def test_a_datastore_that_is_not_there_is_named_with_those_that_are(self, workspace):
        with pytest.raises(UnregisteredDatastore, match=r"Registered: .*workspaceblobstore"):
            workspace.register_csv("nosuchstore", "x")


@pytest.mark.local_only
class TestComputes:
    def test_it_is_created_as_asked(self, workspace, ws, unique):
        name = unique("c")
        workspace.register_compute(name, "STANDARD_D2_V2", 0, 3, vm_priority="lowpriority", idle_seconds=120)
        found = ComputeTarget(ws, name)
        assert found.vm_size.upper() == "STANDARD_D2_V2"
        assert found.scale_settings.maximum_node_count == 3
        assert found.vm_priority.lower() == "lowpriority"

    def test_unchanged_it_says_so(self, workspace, unique, reported):
        name = unique("c")
        workspace.register_compute(name)
        assert workspace.register_compute(name).name == name
        assert f"Compute target '{name}' already exists, unchanged." in reported()

    def test_changed_it_is_an_error_that_says_what_differs(self, workspace, unique):
        name = unique("c")
        workspace.register_compute(name, idle_seconds=300)
        with pytest.raises(AlreadyRegistered, match="compute_max_nodes is 1, not 4; idle_seconds is 300, not 1800"):
            workspace.register_compute(name, compute_max_nodes=4)

    def test_a_name_that_azure_refuses_is_refused_before_anything_is_asked(self, workspace):
        with pytest.raises(BadName, match="such as 'test-compute'"):
            workspace.register_compute("test_compute")
