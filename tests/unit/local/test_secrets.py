"""Secrets: encrypted in the store, and never shown by accident."""

from __future__ import annotations

import base64
import json
import sqlite3
import tarfile
from contextlib import closing
from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.services import credential
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datastores import AccountStore, Signatures
from azureml_wrapper.local.store.sealing import Seal
from azureml_wrapper.local.store.workspaces import SecretStore
from tests.homes import ARCHIVES
from tests.work import statements

KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2


class StillClock:
    def now(self):
        return datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def database():
    return Database(":memory:")


@pytest.fixture
def store(database):
    return SecretStore(database, StillClock(), Seal(KEY))


def test_a_secret_comes_back_as_it_was_set(store):
    made = store.put("w", "Name", "välue\n", "text/plain")
    assert (made.name, made.value, made.content_type) == ("Name", "välue\n", "text/plain")
    assert store.get("w", "nAME") == made


def test_an_empty_value_is_a_value(store):
    assert store.put("w", "a", "").value == ""


def test_the_table_holds_no_value_in_clear(store, database):
    store.put("w", "a", "needle")
    row = database.one("SELECT * FROM secrets")
    assert b"needle" not in row["value"]


def test_equal_values_are_not_equal_in_the_table(store, database):
    store.put("w", "a", "same")
    store.put("w", "b", "same")
    first, second = database.all("SELECT value FROM secrets")
    assert first["value"] != second["value"]


def test_another_key_does_not_open_it(store, database):
    store.put("w", "a", "needle")
    other = SecretStore(database, StillClock(), Seal(OTHER_KEY))
    with pytest.raises(Conflict, match="Set it again"):
        other.get("w", "a")
    assert other.put("w", "a", "newer").value == "newer"


def test_nothing_shows_the_value(store):
    secret = store.put("w", "a", "needle")
    given = credential.parse_secret({"name": "a", "value": "needle"})
    assert "needle" not in f"{secret!r} {secret} {given!r} {[given]}"


def test_a_deleted_secret_is_gone(store):
    store.put("w", "a", "x")
    store.delete("w", "A")
    assert store.find("w", "a") is None
    with pytest.raises(NotFound, match="was not found in this key vault"):
        store.delete("w", "a")


@pytest.mark.parametrize("name", ["", "a_b", "a b", "a/b", "é", "x" * 128, "a\n"])
def test_a_wrong_name_is_refused(store, name):
    with pytest.raises(Invalid, match="Invalid secret name"):
        store.put("w", name, "x")


@pytest.mark.parametrize("value", [None, 1, ["x"], "x" * 25_001, "é" * 12_501])
def test_a_wrong_value_is_refused_without_being_told(store, value):
    with pytest.raises(Invalid) as caught:
        store.put("w", "a", value)
    assert "xxx" not in caught.value.message
    assert store.names("w") == []


@pytest.mark.parametrize("body", [None, [], "x", {}, {"name": 1}, {"value": "x"}])
def test_a_secret_without_a_name_is_refused(body):
    with pytest.raises(Invalid, match="Secret"):
        credential.parse_secret(body)


def account_key(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def accounts(database):
    return AccountStore(database, Seal(KEY))


def test_the_keys_of_accounts_are_not_in_the_table_in_clear(accounts, database):
    accounts.register("theirs", account_key("needle"))
    own = accounts.ensure("own")
    assert accounts.key("theirs") == account_key("needle")
    assert len(base64.b64decode(own)) == 64
    text = "".join(str(tuple(row)) for row in database.all("SELECT * FROM storage_accounts"))
    assert account_key("needle") not in text
    assert own not in text


def test_asking_for_the_key_of_an_account_again_writes_nothing(database, accounts):
    key = accounts.ensure("known")
    asked = statements(database, lambda: accounts.ensure("known"))
    assert [text for text in asked if not text.startswith("SELECT")] == []
    assert accounts.ensure("known") == key


def test_the_addresses_of_many_files_read_the_accounts_key_once(accounts, database):
    signatures = Signatures(accounts, Addresses(port=8000, key="k"), StillClock())
    accounts.ensure("own")
    names = [f"folder/{number}" for number in range(100)]
    found: list[str] = []
    asked = statements(database, lambda: found.extend(signatures.urls("own", "box", names, permissions="cw")))
    assert len(asked) == 1
    assert found == [signatures.url("own", "box", name, permissions="cw") for name in names]


def test_the_own_key_of_an_account_is_the_same_at_every_start_and_in_no_other_home(accounts, database):
    own = accounts.ensure("own")
    assert AccountStore(database, Seal(KEY)).key("own") == own
    assert AccountStore(database, Seal(OTHER_KEY)).key("own") != own
    assert accounts.ensure("other") != own
    with pytest.raises(Conflict, match="different key"):
        accounts.register("own", account_key("needle"))


def test_without_the_secret_an_account_has_another_key_until_it_is_registered_again(accounts, database, caplog):
    accounts.register("theirs", account_key("needle"))
    other = AccountStore(database, Seal(OTHER_KEY))
    assert other.key("theirs") not in (None, account_key("needle"))
    assert "Cannot decrypt the key of storage account theirs" in caplog.text
    other.register("theirs", account_key("needle"))
    assert other.key("theirs") == account_key("needle")


def test_what_an_earlier_version_left_in_clear_is_encrypted_at_the_start(tmp_path):
    home = Home(tmp_path)
    home.create()
    with tarfile.open(ARCHIVES / "version-0.tar.gz") as archive:
        # Python before 3.11.4 has no `filter=`; the archive is our own.
        archive.extractall(home.path)  # noqa: S202
    with closing(sqlite3.connect(home.database)) as old, old:
        keys = dict(old.execute("SELECT account, key FROM storage_accounts"))
        (workspace,) = next(old.execute("SELECT workspace_id FROM workspaces"))
        body = {"name": "mine", "account": "mine", "container": "data", "kind": "AzureBlob", "credential": "Sas"}
        body |= {"sas": "sv=1&sig=needle", "record": {}}
        old.execute(
            "INSERT INTO documents (workspace, kind, key, created, modified, body)"
            " SELECT workspace, kind, 'mine', created, modified, ? FROM documents WHERE kind = 'datastore' LIMIT 1",
            (json.dumps(body),),
        )
    assert keys
    context = build_context(home, 1)
    assert {account: context.accounts.key(account) for account in keys} == keys
    assert context.datastores.get(workspace, "mine").sas == "sv=1&sig=needle"
    assert context.datastores.tokens("data") == [("mine", "sv=1&sig=needle")]
    files = [file.read_bytes() for file in home.path.glob("state.sqlite*") if "version" not in file.name]
    assert not [text for text in ("needle", *keys.values()) for content in files if text.encode() in content]
