"""What stores keep in memory of rows that hardly change: it is read once, and never older than its row."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.domain.storage import Datastore
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.database import MEMORY, REMEMBERED, Database, Remembered
from tests.work import statements

STORE = "workspaceblobstore"


@pytest.fixture
def database():
    database = Database(MEMORY)
    database.execute("CREATE TABLE pairs (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    database.execute("INSERT INTO pairs VALUES ('a', 'old')")
    return database


@pytest.fixture
def pairs(database):
    return Remembered(database)


def value(database, pairs, key="a"):
    def read():
        row = database.one("SELECT value FROM pairs WHERE key = ?", (key,))
        return row["value"] if row else None

    return pairs.get(key, read)


def change(database, pairs, new="new"):
    database.execute("UPDATE pairs SET value = ?", (new,))
    pairs.forget()


def test_a_value_is_read_once_until_it_changes(database, pairs):
    assert len(statements(database, lambda: [value(database, pairs) for _ in range(3)])) == 1
    change(database, pairs)
    assert value(database, pairs) == "new"


def test_what_does_not_exist_is_asked_for_again(database, pairs):
    assert value(database, pairs, "b") is None
    database.execute("INSERT INTO pairs VALUES ('b', 'here')")
    assert value(database, pairs, "b") == "here"


def test_what_a_transaction_takes_back_is_not_kept(database, pairs):
    def change_and_fail():
        with database.transaction():
            change(database, pairs)
            assert value(database, pairs) == "new"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert value(database, pairs) == "old"


def test_a_change_between_reading_and_keeping_waits(database, pairs):
    changing = threading.Thread(target=change, args=(database, pairs))

    def read_slowly():
        changing.start()
        changing.join(0.2)
        return "old"

    assert pairs.get("a", read_slowly) == "old"
    changing.join()
    assert value(database, pairs) == "new"


def test_no_more_are_kept_than_are_needed(database, pairs):
    for number in range(3 * REMEMBERED):
        pairs.get(number, lambda: "x")
    assert len(pairs._known) <= REMEMBERED


@pytest.fixture
def context(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return build_context(home, 1)


@pytest.fixture
def workspace(context):
    return context.workspaces.get("local", "local", "local").workspace_id


def compute(context, nodes):
    now = context.clock.now()
    return Compute(name="cpu", created=now, modified=now, max_nodes=nodes)


def test_a_compute_is_read_once_until_it_changes(context, workspace):
    def look():
        return [context.computes.find(workspace, "CPU") for _ in range(3)]

    context.computes.put(workspace, compute(context, 1))
    assert len(statements(context.database, look)) == 1
    context.computes.put(workspace, compute(context, 2))
    assert {found.max_nodes for found in look()} == {2}
    context.computes.delete(workspace, "cpu")
    assert look() == [None] * 3


def test_a_datastore_is_read_once_until_it_changes(context, workspace):
    def look():
        return [context.datastores.find(workspace, "Mine") for _ in range(3)]

    mine = Datastore(name="mine", account="account1", container="data")
    context.datastores.add(workspace, mine)
    assert len(statements(context.database, look)) == 1
    context.datastores.put(workspace, replace(mine, container="other"))
    assert {found.container for found in look()} == {"other"}
    context.datastores.delete(workspace, "mine")
    assert look() == [None] * 3


def test_a_saved_dataset_is_read_once(context, workspace):
    saved = context.datasets.save_folder(workspace, STORE, "a")

    def look():
        return [context.datasets.saved(workspace, saved.saved_id) for _ in range(3)]

    assert len(statements(context.database, look)) == 1
    assert look() == [saved] * 3


def test_a_snapshot_is_read_once(context, workspace):
    empty = read_tree({"name": "", "type": "Directory", "hash": "h", "children": {}})
    context.snapshots.add(workspace, "s", empty, {})

    def look():
        return [context.snapshots.get(workspace, "s") for _ in range(3)]

    assert len(statements(context.database, look)) == 1
    context.snapshots.discard_incomplete(context.clock.now())
    assert len(look()) == 3
    context.workspaces.delete(context.workspaces.by_id(workspace))
    with pytest.raises(NotFound):
        look()


def test_the_environment_of_a_step_is_looked_up_once_until_another_is_registered(context, workspace):
    sent = {"name": "mine", "python": {"userManagedDependencies": True}}

    def look():
        return {context.environments.used(workspace, dict(sent)) for _ in range(3)}

    first = look()
    assert len(first) == 1
    assert next(iter(first)).startswith("Autosave_")
    assert statements(context.database, look) == []
    context.environments.register(workspace, "mine", sent)
    assert look() == {"1"}


def test_a_deleted_workspace_leaves_nothing(context, workspace):
    context.computes.put(workspace, compute(context, 1))
    saved = context.datasets.save_folder(workspace, STORE, "a")
    assert context.computes.find(workspace, "cpu")
    assert context.datasets.saved(workspace, saved.saved_id)
    context.workspaces.delete(context.workspaces.by_id(workspace))
    assert context.computes.find(workspace, "cpu") is None
    with pytest.raises(NotFound):
        context.datasets.saved(workspace, saved.saved_id)
