"""The storage for tools other than the SDK: adlfs, pandas, pyarrow, azure-storage-blob with a connection string."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import adlfs
import pandas as pd
import pyarrow.parquet as parquet
import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    ResourceTypes,
    Services,
    generate_account_sas,
    generate_container_sas,
)
from azureml.core import Datastore

from azureml_wrapper import NotRegistered, local
from azureml_wrapper.local.tokens import Tokens

pytestmark = pytest.mark.local_only

KEY = "bXkta2V5"
EVERYTHING = {"read": True, "list": True, "write": True, "create": True, "delete": True}


@pytest.fixture
def store(ws, unique):
    """A datastore of an account of the user's own."""
    name = unique("store")
    return Datastore.register_azure_blob_container(ws, name, f"c-{name}", name, account_key=KEY)


@pytest.fixture
def given(store):
    return local.connection_string(store.account_name)


@pytest.fixture
def files(given):
    return adlfs.AzureBlobFileSystem(connection_string=given, skip_instance_cache=True)


def later(hours=1):
    return datetime.now(timezone.utc) + timedelta(hours=hours)


def account_sas(store, types, *, services=None, **permissions):
    allowed = AccountSasPermissions(**(permissions or EVERYTHING))
    return generate_account_sas(
        store.account_name, KEY, types, allowed, later(), services=services or Services(blob=True)
    )


def with_sas(given, sas):
    return f"{given.split(';')[0]};SharedAccessSignature={sas}"


def refusal(call):
    with pytest.raises(HttpResponseError) as caught:
        call()
    return caught.value.status_code, caught.value.error_code


# The connection string


def test_a_connection_string_names_an_address_that_every_client_accepts(store, given):
    port = local.start().port
    assert given == f"BlobEndpoint=http://127.0.0.1:{port};AccountName={store.account_name};AccountKey={KEY}"


def test_the_account_of_a_workspace_has_one_before_its_first_use(ws):
    account = ws.get_details()["storageAccount"].rpartition("/")[2]
    service = BlobServiceClient.from_connection_string(local.connection_string(account))
    assert f"azureml-blobstore-{ws._workspace_id}" in [container.name for container in service.list_containers()]


def test_an_unknown_account_is_an_error_with_those_that_there_are(store):
    with pytest.raises(
        NotRegistered, match=f"Did you mean .*'{store.account_name}'.* It has: .*{store.account_name}"
    ):
        local.connection_string(store.account_name[:-1])


def test_the_keys_are_for_users_only(ws):
    service = local.start()
    address = f"http://127.0.0.1:{service.port}/datastore/v1.0/accounts"
    tokens = Tokens(service.secret)
    for token, status in ((tokens.user(), 200), (tokens.run(ws._workspace_id, "r"), 403), ("x", 401)):
        assert requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code == status
    assert requests.get(address, timeout=10).status_code == 401


# Clients


def test_adlfs_writes_lists_copies_and_deletes(store, files):
    root = store.container_name
    files.pipe(f"{root}/a/é b.txt", b"hello")
    files.pipe(f"{root}/a/large.bin", b"0" * 9_000_000)
    assert files.cat(f"{root}/a/é b.txt") == b"hello"
    files.mv(f"{root}/a/é b.txt", f"{root}/b/c.txt")
    assert files.find(root) == [f"{root}/a/large.bin", f"{root}/b/c.txt"]
    assert (files.info(f"{root}/a/large.bin")["size"], files.isdir(f"{root}/a")) == (9_000_000, True)
    files.rm(f"{root}/a", recursive=True)
    assert files.find(root) == [f"{root}/b/c.txt"]
    assert root in files.ls("")


def test_pandas_and_pyarrow_read_what_the_sdk_wrote_and_the_other_way_round(store, files, given):
    options = {"connection_string": given}
    pd.DataFrame({"a": [1, 2]}).to_csv(f"abfs://{store.container_name}/t/x.csv", index=False, storage_options=options)
    store.download(".", prefix="t/x.csv", show_progress=False)
    assert Path("t/x.csv").read_text() == "a\n1\n2\n"
    pd.DataFrame({"a": [3]}).to_parquet("x.parquet")
    store.upload_files(["x.parquet"], target_path="t", show_progress=False)
    assert parquet.read_table(f"{store.container_name}/t/x.parquet", filesystem=files)["a"].to_pylist() == [3]
    assert pd.read_parquet(f"az://{store.container_name}/t/x.parquet", storage_options=options)["a"].tolist() == [3]


def test_a_container_is_made_and_deleted(given, unique):
    service = BlobServiceClient.from_connection_string(given)
    container = service.create_container(unique("c"))
    container.upload_blob("a.txt", b"x")
    assert [blob.name for blob in container.list_blobs()] == ["a.txt"]
    container.delete_container()
    assert not container.exists()


# Signatures instead of keys


def test_the_signature_of_a_container_opens_that_container_only(store, given):
    allowed = ContainerSasPermissions(**EVERYTHING)
    sas = generate_container_sas(
        store.account_name, store.container_name, account_key=KEY, permission=allowed, expiry=later()
    )
    service = BlobServiceClient.from_connection_string(with_sas(given, sas))
    container = service.get_container_client(store.container_name)
    container.upload_blob("a.txt", b"x")
    assert [blob.name for blob in container.list_blobs()] == ["a.txt"]
    assert refusal(lambda: list(service.list_containers())) == (403, "AuthenticationFailed")
    assert refusal(lambda: service.create_container(f"{store.container_name}2"))[0] == 403
    assert refusal(container.delete_container)[0] == 403


def test_the_signature_of_an_account_opens_all_of_it(store, given):
    sas = account_sas(store, ResourceTypes(service=True, container=True, object=True))
    files = adlfs.AzureBlobFileSystem(connection_string=with_sas(given, sas), skip_instance_cache=True)
    files.mkdir(f"{store.container_name}2")
    files.pipe(f"{store.container_name}2/a.txt", b"x")
    assert files.ls("") == [store.container_name, f"{store.container_name}2"]
    assert files.find(f"{store.container_name}2") == [f"{store.container_name}2/a.txt"]
    files.rmdir(f"{store.container_name}2")


def test_the_signature_of_an_account_opens_what_it_names(store, given):
    mismatch = (403, "AuthorizationResourceTypeMismatch")
    objects = BlobServiceClient.from_connection_string(
        with_sas(given, account_sas(store, ResourceTypes(object=True)))
    )
    container = objects.get_container_client(store.container_name)
    container.upload_blob("a.txt", io.BytesIO(b"x"))
    assert refusal(lambda: list(container.list_blobs())) == mismatch
    assert refusal(lambda: list(objects.list_containers())) == mismatch
    queues = account_sas(store, ResourceTypes(object=True), services=Services(queue=True))
    elsewhere = BlobServiceClient.from_connection_string(with_sas(given, queues))
    blob = elsewhere.get_blob_client(store.container_name, "a.txt")
    assert refusal(lambda: blob.download_blob()) == (403, "AuthorizationServiceMismatch")
    everything = ResourceTypes(service=True, container=True, object=True)
    reading = with_sas(given, account_sas(store, everything, read=True, list=True))
    service = BlobServiceClient.from_connection_string(reading)
    assert [found.name for found in service.list_containers()] == [store.container_name]
    permission = (403, "AuthorizationPermissionMismatch")
    assert refusal(lambda: service.create_container("another")) == permission
    assert refusal(service.get_container_client(store.container_name).delete_container) == permission
