"""Secrets: encrypted in the store, and never shown by accident."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.services import credential
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.workspaces import SecretStore

KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2


class StillClock:
    def now(self):
        return datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def database():
    return Database(":memory:")


@pytest.fixture
def store(database):
    return SecretStore(database, StillClock(), KEY)


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
    other = SecretStore(database, StillClock(), OTHER_KEY)
    with pytest.raises(Conflict, match="Set the secret again"):
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
