"""The workspace's key vault through the SDK."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest
import requests
from azureml._restclient.exceptions import ServiceException
from azureml._restclient.models.credential_enums import KeyVaultContentType
from azureml.core import Workspace

from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens


@pytest.fixture
def vault(ws):
    return ws.get_default_keyvault()


@pytest.fixture
def secret(vault, unique):
    """The name of a secret that is removed at the end."""
    name = unique("secret-")
    vault.set_secret(name, "tops3cret")
    yield name
    vault.delete_secret(name)


def test_a_secret_that_was_set_can_be_read(vault, secret):
    assert vault.get_secret(secret) == "tops3cret"


def test_setting_it_again_replaces_it(vault, secret):
    vault.set_secret(secret, "newer ünïcödé\nvalue")
    assert vault.get_secret(secret) == "newer ünïcödé\nvalue"


def test_the_case_of_a_name_does_not_matter(vault, secret):
    assert vault.get_secret(secret.upper()) == "tops3cret"


def test_the_content_type_is_kept(vault, secret):
    vault.set_secret(secret, "x", KeyVaultContentType.password)
    assert vault.get_secret_content_type(secret) == KeyVaultContentType.password.value


def test_several_are_set_and_read_at_once(vault, unique):
    one, two, missing = unique("a-"), unique("b-"), unique("c-")
    vault.set_secrets({one: "1", two: "2"})
    assert vault.get_secrets([one, two, missing]) == {one: "1", two: "2", missing: None}
    vault.delete_secrets([one, two])
    assert vault.get_secrets([one, two]) == {one: None, two: None}


def test_the_list_holds_names_only(vault, secret):
    listed = vault.list_secrets()
    assert {"name": secret} in listed
    assert all(set(item) == {"name"} for item in listed)


def test_a_missing_secret_is_an_error(vault, unique):
    with pytest.raises(ServiceException, match="was not found in this key vault"):
        vault.get_secret(unique("no-"))
    with pytest.raises(ServiceException, match="404"):
        vault.delete_secret(unique("no-"))


@pytest.mark.parametrize("name", ["with_underscore", "with space", "x" * 128])
def test_a_name_that_no_key_vault_takes_is_refused(vault, name):
    with pytest.raises(ServiceException, match="400"):
        vault.set_secret(name, "x")


def test_a_value_that_is_too_long_is_refused(vault, unique):
    name = unique("long-")
    with pytest.raises(ServiceException, match="400"):
        vault.set_secret(name, "x" * 26_000)
    assert vault.get_secrets([name]) == {name: None}


@pytest.mark.local_only
def test_a_batch_with_a_wrong_name_sets_nothing(vault, unique):
    name = unique("good-")
    with pytest.raises(ServiceException, match="wrong_name"):
        vault.set_secrets({name: "1", "wrong_name": "2"})
    assert vault.get_secrets([name]) == {name: None}


@pytest.mark.local_only
def test_a_workspace_does_not_see_the_secrets_of_another(ws, vault, secret, unique):
    other = Workspace.create(
        unique("w"), ws._auth, ws.subscription_id, ws.resource_group, location="local", show_output=False
    )
    assert other.get_default_keyvault().get_secrets([secret]) == {secret: None}
    other.delete()


def answer_to_a_run(ws, workspace_id, name):
    """What a run with a token for `workspace_id` gets when it asks for a secret of `ws`."""
    service = Home().read_service()
    scope = f"/subscriptions/{ws.subscription_id}/resourceGroups/{ws.resource_group}"
    scope += f"/providers/Microsoft.MachineLearningServices/workspaces/{ws.name}"
    address = f"http://127.0.0.1:{service.port}/credential/v2.0{scope}/secrets/{name}"
    token = Tokens(service.secret).run(workspace_id, "some-run")
    return requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.mark.local_only
def test_a_run_reads_the_secrets_of_its_own_workspace_only(ws, secret):
    own = ws.get_details()["workspaceid"]
    assert answer_to_a_run(ws, own, secret).json()["value"] == "tops3cret"
    refused = answer_to_a_run(ws, "another", secret)
    assert refused.status_code == 403
    assert "tops3cret" not in refused.text


@pytest.mark.local_only
def test_the_value_is_nowhere_in_the_home_folder(vault, secret, caplog):
    caplog.set_level(logging.DEBUG)
    value = "needle-in-the-haystack"
    vault.set_secret(secret, value)
    assert vault.get_secret(secret) == value
    home = Home()
    assert value not in home.log_file.read_text()
    files = [file for file in home.path.glob("state.sqlite*") if file.is_file()]
    assert files
    assert all(value.encode() not in file.read_bytes() for file in files)
    with closing(sqlite3.connect(home.database)) as database:
        assert database.execute("SELECT value FROM secrets WHERE name = ?", (secret,)).fetchone()
