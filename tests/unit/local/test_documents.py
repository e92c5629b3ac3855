"""Documents: named records with versions."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.clock import SystemClock
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.documents import Documents


@pytest.fixture
def database():
    return Database(":memory:")


@pytest.fixture
def environments(database):
    return Documents(database, SystemClock(), "environment")


def test_versions_count_up_and_the_latest_is_found(environments):
    for number in (1, 2, 3):
        assert environments.add_version("ws", "e", {"n": number}).version == number
    assert environments.get("ws", "e").body == {"n": 3}
    assert environments.get("ws", "e", version=2).body == {"n": 2}
    assert [document.body["n"] for document in environments.versions("ws", "e")] == [1, 2, 3]


def test_latest_gives_one_document_a_key(environments):
    environments.add_version("ws", "a", {"n": 1})
    environments.add_version("ws", "b", {"n": 2})
    environments.add_version("ws", "a", {"n": 3})
    assert {d.key: d.body["n"] for d in environments.latest("ws")} == {"a": 3, "b": 2}


def test_a_taken_key_is_a_conflict_and_put_replaces(environments):
    environments.add("ws", "a", {"n": 1})
    with pytest.raises(Conflict, match="environment 'a'"):
        environments.add("ws", "a", {"n": 2})
    environments.put("ws", "a", {"n": 3})
    assert environments.get("ws", "a").body == {"n": 3}


def test_kinds_and_workspaces_do_not_see_each_other(database, environments):
    environments.add("ws", "a", {"n": 1})
    assert Documents(database, SystemClock(), "compute").find("ws", "a") is None
    assert environments.find("other", "a") is None


def test_a_missing_document_is_named(environments):
    with pytest.raises(NotFound, match="environment with name or id 'nope'"):
        environments.get("ws", "nope")


def test_an_alias_finds_the_newest(environments):
    environments.add("ws", "a", {"n": 1}, alias="hash")
    environments.add("ws", "b", {"n": 2}, alias="hash")
    assert environments.find_alias("ws", "hash").key == "b"
    assert environments.find_alias("ws", "other") is None


def test_delete_removes_every_version_and_tells_whether_there_was_one(environments):
    environments.add_version("ws", "a", {})
    environments.add_version("ws", "a", {})
    assert environments.delete("ws", "a")
    assert not environments.delete("ws", "a")
    assert environments.latest("ws") == []


def test_a_transaction_that_fails_leaves_nothing(database, environments):
    def add_and_fail():
        with database.transaction():
            environments.add("ws", "a", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert environments.find("ws", "a") is None
