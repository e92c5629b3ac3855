"""Datastores through the SDK."""

from __future__ import annotations

import base64
import secrets

import pytest
from azureml.core import Datastore
from azureml.data.data_reference import DataReference
from azureml.exceptions import UserErrorException

pytestmark = pytest.mark.local_only  # accounts are made up here


def new_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def container(ws, unique):
    """A registered container of an account of its own."""
    return Datastore.register_azure_blob_container(
        ws, unique("ds"), f"c-{unique()}", unique("acc"), account_key=new_key()
    )


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    (source / "sub dir").mkdir(parents=True)
    (source / "a.txt").write_text("alpha")
    (source / "sub dir" / "b é.txt").write_text("beta")
    (source / "empty").touch()
    return source


def test_register_gives_a_datastore_that_get_and_the_list_know(ws, container):
    again = Datastore.get(ws, container.name)
    assert (again.container_name, again.account_name) == (container.container_name, container.account_name)
    assert again.account_key == container.account_key
    assert ws.datastores[container.name].account_key == container.account_key


def test_names_are_asked_for_in_upper_and_lower_case_alike(ws, container):
    assert Datastore.get(ws, container.name.upper()).name == container.name


def test_a_missing_datastore_is_named(ws, unique):
    name = unique("no")
    with pytest.raises(UserErrorException, match=rf"\(UserError\) Could not find datastore: {name}\."):
        Datastore.get(ws, name)


def test_a_taken_name_is_an_error_unless_it_is_overwritten(ws, container, unique):
    args = (ws, container.name, f"d-{unique()}", container.account_name)
    with pytest.raises(UserErrorException, match="Another datastore with the same name already exists"):
        Datastore.register_azure_blob_container(*args, account_key=container.account_key)
    changed = Datastore.register_azure_blob_container(*args, account_key=container.account_key, overwrite=True)
    assert changed.container_name == args[2] != container.container_name


@pytest.mark.parametrize("name", ["with-dash", "a b", "a/b", "é"])
def test_a_name_that_azure_refuses_is_refused(ws, name, unique):
    with pytest.raises(Exception, match="lowercase letters, digits and underscores"):
        Datastore.register_azure_blob_container(ws, name, "data", unique("acc"), account_key=new_key())


@pytest.mark.parametrize(
    ("container", "account"), [("Upper", "acct1"), ("ok-name", "Not_Allowed"), ("a--b", "acct1")]
)
def test_a_container_or_account_that_azure_could_not_have_is_refused(ws, container, account, unique):
    with pytest.raises(UserErrorException, match=r"Invalid (container|storage account) name"):
        Datastore.register_azure_blob_container(ws, unique("ds"), container, account, account_key=new_key())


def test_a_key_that_is_not_base64_is_refused_without_being_shown(ws, unique):
    with pytest.raises(UserErrorException, match="not base64") as caught:
        Datastore.register_azure_blob_container(ws, unique("ds"), "data", unique("acc"), account_key="hunter2!")
    assert "hunter2" not in str(caught.value)


def test_another_key_for_a_used_account_is_a_clear_error(ws, container, unique):
    with pytest.raises(UserErrorException, match="is already registered with a different key"):
        Datastore.register_azure_blob_container(
            ws, unique("ds"), "data", container.account_name, account_key=new_key()
        )


def test_the_only_datastore_of_an_account_may_change_its_key(ws, container, folder):
    key = new_key()
    changed = Datastore.register_azure_blob_container(
        ws, container.name, container.container_name, container.account_name, account_key=key, overwrite=True
    )
    changed.upload_files([str(folder / "a.txt")], show_progress=False)
    assert changed.account_key == key


def test_unregister_forgets_the_name_and_keeps_the_data(ws, container, folder, tmp_path):
    container.upload_files([str(folder / "a.txt")], show_progress=False)
    container.unregister()
    with pytest.raises(UserErrorException, match="Could not find datastore"):
        Datastore.get(ws, container.name)
    again = Datastore.register_azure_blob_container(
        ws, container.name, container.container_name, container.account_name, account_key=container.account_key
    )
    assert again.download(str(tmp_path / "back"), show_progress=False) == 1


def test_the_default_datastore_is_the_workspaces_until_another_is_chosen(ws, container):
    own = ws.get_default_datastore()
    assert own.name == "workspaceblobstore"
    try:
        ws.set_default_datastore(container.name)
        assert ws.get_default_datastore().name == container.name
        with pytest.raises(UserErrorException, match="default datastore and cannot be unregistered"):
            container.unregister()
    finally:
        ws.set_default_datastore(own.name)
    with pytest.raises(UserErrorException, match="Could not find datastore"):
        ws.set_default_datastore("nosuchstore")


def test_a_workspace_has_its_four_datastores_after_the_users(ws, container):
    names = list(ws.datastores)
    own = ["workspaceworkingdirectory", "workspaceartifactstore", "workspacefilestore", "workspaceblobstore"]
    assert names[-4:] == own
    assert container.name in names[:-4]
    assert ws.datastores["workspaceblobstore"].container_name == f"azureml-blobstore-{ws._workspace_id}"
    assert ws.datastores["workspaceartifactstore"].container_name == "azureml"


def test_many_datastores_are_listed_in_pages(ws, unique):
    account, key, prefix = unique("acc"), new_key(), unique("many")
    for number in range(3):
        Datastore.register_azure_blob_container(ws, f"{prefix}_{number}", "data", account, account_key=key)
    from azureml.data.datastore_client import _DatastoreClient

    found, token = [], None
    while True:
        page, token = _DatastoreClient._list(ws, token, 2)
        found += [datastore.name for datastore in page]
        if not token:
            break
    assert len(found) == len(set(found))
    assert [name for name in found if name.startswith(prefix)] == [f"{prefix}_{number}" for number in (2, 1, 0)]


def test_other_kinds_of_datastore_say_that_they_are_not_there(ws, unique):
    with pytest.raises(Exception, match="Unsupported datastore type AzureFile: the local service"):
        Datastore.register_azure_file_share(ws, unique("fs"), "share", unique("acc"), account_key=new_key())
    with pytest.raises(Exception, match="Unsupported datastore type AzureDataLakeGen2"):
        Datastore.register_azure_data_lake_gen2(
            ws, unique("dl"), "files", unique("acc"), tenant_id="t", client_id="c", client_secret="s"
        )


def test_upload_and_download_bring_back_the_same_files(container, folder, tmp_path):
    reference = container.upload(str(folder), "in/put", show_progress=False)
    assert isinstance(reference, DataReference)
    assert container.download(str(tmp_path / "back"), prefix="in/put", show_progress=False) == 3
    back = {file.relative_to(tmp_path / "back" / "in" / "put") for file in (tmp_path / "back").rglob("*.*")}
    assert {path.as_posix() for path in back} == {"a.txt", "sub dir/b é.txt"}
    assert (tmp_path / "back" / "in" / "put" / "sub dir" / "b é.txt").read_text() == "beta"


def test_upload_leaves_what_is_there_unless_told_to_overwrite(container, folder, tmp_path):
    file = folder / "a.txt"
    container.upload_files([str(file)], show_progress=False)
    file.write_text("changed")
    container.upload_files([str(file)], overwrite=False, show_progress=False)
    container.download(str(tmp_path / "one"), show_progress=False)
    assert (tmp_path / "one" / "a.txt").read_text() == "alpha"
    container.upload_files([str(file)], overwrite=True, show_progress=False)
    container.download(str(tmp_path / "two"), show_progress=False)
    assert (tmp_path / "two" / "a.txt").read_text() == "changed"


def test_a_large_file_goes_up_in_blocks_and_comes_back_whole(container, tmp_path):
    data = secrets.token_bytes(1024) * (70 * 1024)  # above the client's 64 MiB for one request
    (tmp_path / "big.bin").write_bytes(data)
    container.upload_files([str(tmp_path / "big.bin")], show_progress=False)
    container.download(str(tmp_path / "back"), show_progress=False)
    assert (tmp_path / "back" / "big.bin").read_bytes() == data


def test_a_sas_token_opens_its_container(ws, container, folder, tmp_path, unique):
    from datetime import datetime, timedelta, timezone

    from azureml._vendor.azure_storage.blob import ContainerSasPermissions, generate_container_sas

    token = generate_container_sas(
        container.account_name,
        container.container_name,
        account_key=container.account_key,
        permission=ContainerSasPermissions(read=True, list=True, write=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    shared = Datastore.register_azure_blob_container(
        ws, unique("sas"), container.container_name, container.account_name, sas_token=token
    )
    assert shared.sas_token == token
    shared.upload(str(folder), show_progress=False)
    assert shared.download(str(tmp_path / "back"), show_progress=False) == 3


def test_a_sas_token_from_elsewhere_is_taken_at_its_word(ws, folder, tmp_path, unique):
    token = f"?sv=2020-08-04&sr=c&sp=rwl&se=2999-01-01T00:00:00Z&sig={'A' * 43}%3D"
    shared = Datastore.register_azure_blob_container(ws, unique("sas"), "theirs", unique("acc"), sas_token=token)
    shared.upload(str(folder), show_progress=False)
    assert shared.download(str(tmp_path / "back"), show_progress=False) == 3


def test_a_sas_token_that_is_none_is_refused(ws, unique):
    with pytest.raises(UserErrorException, match="sig missing"):
        Datastore.register_azure_blob_container(ws, unique("sas"), "data", unique("acc"), sas_token="?sp=r&se=2999")


def test_a_datastore_without_credentials_is_opened_with_the_accounts_key(ws, folder, tmp_path, unique):
    store = Datastore.register_azure_blob_container(ws, unique("none"), "data", unique("acc"))
    store.upload(str(folder), show_progress=False)
    assert store.download(str(tmp_path / "back"), show_progress=False) == 3


def test_the_native_reader_lists_and_reads_a_container(container, folder, tmp_path):
    """rslex: list with and without delimiter, HEAD, ranged GET, the container's metadata, spaces in names."""
    from azureml.core import Dataset

    container.upload(str(folder), "in put", show_progress=False)
    files = Dataset.File.from_files((container, "in put/**"))
    assert sorted(files.to_path()) == ["/a.txt", "/empty", "/sub dir/b é.txt"]
    back = [path for path in files.download(str(tmp_path / "back")) if path.endswith("é.txt")]
    assert open(back[0], encoding="utf-8").read() == "beta"  # noqa: SIM115, PTH123


def test_path_gives_a_data_reference(container):
    reference = container.path("in/put").as_mount()
    assert reference.path_on_datastore == "in/put"
    assert reference.mode == "mount"
