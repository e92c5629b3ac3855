"""Datasets: descriptions of data, and the names they are registered under."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from azureml_wrapper.local.domain.clock import RandomIds, SystemClock
from azureml_wrapper.local.domain.datasets import DatasetKind, Source
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore

PREFIX = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores"


@pytest.fixture
def store():
    database, clock, ids = Database(":memory:"), SystemClock(), RandomIds()
    workspaces = WorkspaceStore(database)
    workspaces.add(
        Workspace(
            workspace_id="ws", subscription="s", resource_group="g", name="w1", location="local", created=clock.now()
        )
    )
    return DatasetStore(database, clock, ids, workspaces)


def definition(*paths, transformations=None, key="pattern"):
    content = {"type": "mltable", "paths": [{key: path} for path in paths]}
    if transformations:
        content["transformations"] = transformations
    return json.dumps({"blocks": [], "meta": {"RsDataflow": yaml.safe_dump(content)}})


def save(store, *paths, **options):
    return store.save("ws", DatasetKind.FILE, definition(*paths, **options))


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (f"{PREFIX}/blobs/paths/a/b.csv", Source("blobs", "a/b.csv")),
        (f"{PREFIX}/blobs/paths/a/**/*.csv", Source("blobs", "a/**/*.csv")),
        (f"{PREFIX}/blobs/paths/%C3%A9%20%7Bx%7D.csv", Source("blobs", "é {x}.csv")),
        (f"{PREFIX}/blobs/paths/", Source("blobs", "")),
        (f"{PREFIX}/blobs", Source("blobs", "")),
        (f"{PREFIX.replace('datastores', 'Datastores')}/Blobs/paths/a", Source("Blobs", "a")),
        ("https://example.org/a b.csv", Source(None, "https://example.org/a b.csv")),
        ("file:///data/a.csv", Source(None, "file:///data/a.csv")),
    ],
)
def test_sources_are_read_from_the_description(store, address, source):
    saved = save(store, address)
    assert store.sources(saved) == [source]


def test_sources_keep_their_order_whatever_they_are_called(store):
    for key in ("pattern", "file", "folder"):
        assert save(store, f"{PREFIX}/a/paths/2", f"{PREFIX}/b/paths/1", key=key).sources == [
            Source("a", "2"),
            Source("b", "1"),
        ]


def test_transformations_are_named(store):
    saved = save(store, f"{PREFIX}/a/paths/x", transformations=[{"read_delimited": {}}, {"take": 3}, "drop_missing"])
    assert saved.transformations == ["read_delimited", "take", "drop_missing"]


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{not json",
        json.dumps({"blocks": [{"type": "Microsoft.DPrep.GetFilesBlock"}], "meta": {}}),
        "- a\n- b\n",
        "type: [unclosed",
        definition("azureml://nowhere"),
        json.dumps({"meta": {"RsDataflow": "paths: [a, b]"}}),
        json.dumps({"meta": [5]}),
        '{"a":' * 20_000,
        "[" * 20_000,
        "paths: 2026-02-30T25:61:61+99:99",
        "paths: !!timestamp x",
        "paths: !!bool x",
        "paths: !!int x",
    ],
)
def test_a_description_that_cannot_be_read_is_refused(store, broken):
    with pytest.raises(Invalid):
        store.save("ws", DatasetKind.TABULAR, broken)


def test_an_equal_description_is_the_same_saved_dataset(store):
    one = save(store, f"{PREFIX}/a/paths/x")
    assert save(store, f"{PREFIX}/a/paths/x").saved_id == one.saved_id
    assert save(store, f"{PREFIX}/a/paths/y").saved_id != one.saved_id
    assert store.save("ws", DatasetKind.TABULAR, one.definition).saved_id != one.saved_id
    assert store.save("other", DatasetKind.FILE, one.definition).saved_id != one.saved_id


def test_a_saved_dataset_is_found_by_its_id(store):
    saved = save(store, f"{PREFIX}/a/paths/x")
    assert store.saved("ws", saved.saved_id) == saved
    with pytest.raises(NotFound, match="nope"):
        store.saved("ws", "nope")
    with pytest.raises(NotFound):
        store.saved("other", saved.saved_id)


def test_a_folder_becomes_a_file_dataset(store):
    saved = store.save_folder("ws", "blobs", "dataset/run 1/é/")
    assert saved.kind is DatasetKind.FILE
    assert saved.sources == [Source("blobs", "dataset/run 1/é/")]
    assert "/subscriptions/s/resourcegroups/g/workspaces/w1/datastores/blobs/" in saved.dataflow


def test_versions_count_up_and_are_found(store):
    for path in ("x", "y"):
        store.register("ws", "data", save(store, f"{PREFIX}/a/paths/{path}"), tags={"p": path})
    assert store.by_name("ws", "data").version == 2
    assert store.by_name("ws", "data", 1).tags == {"p": "x"}
    assert store.by_name("ws", "data", 1).dataset_id == store.by_name("ws", "data", 2).dataset_id
    with pytest.raises(NotFound, match="version 3"):
        store.by_name("ws", "data", 3)


def test_a_taken_name_is_a_conflict_without_a_new_version(store):
    store.register("ws", "data", save(store, f"{PREFIX}/a/paths/x"))
    with pytest.raises(Conflict, match="'data'"):
        store.register("ws", "data", save(store, f"{PREFIX}/a/paths/y"), new_version=False)


def test_a_saved_dataset_has_one_name_and_version(store):
    saved = save(store, f"{PREFIX}/a/paths/x")
    store.register("ws", "data", saved)
    for name in ("data", "other"):
        with pytest.raises(Invalid, match=r"Version 1 has been registered as data:1 \(name:version\)\."):
            store.register("ws", name, saved)
    assert store.find("ws", "other") is None


def test_describing_changes_one_version(store):
    for path in ("x", "y"):
        store.register("ws", "data", save(store, f"{PREFIX}/a/paths/{path}"))
    store.describe("ws", replace(store.by_name("ws", "data", 1), description="old", tags={"é": "1"}))
    assert store.by_name("ws", "data", 1).description == "old"
    assert store.by_name("ws", "data", 1).tags == {"é": "1"}
    assert store.by_name("ws", "data", 2).description is None


def test_listing_gives_the_latest_of_each_name(store):
    for name, path in (("b", "1"), ("a", "2"), ("b", "3")):
        store.register("ws", name, save(store, f"{PREFIX}/a/paths/{path}"))
    assert [(v.name, v.version) for v in store.latest("ws")] == [("a", 1), ("b", 2)]
    assert store.latest("other") == []
    assert [v.version for v in store.versions("ws", store.by_name("ws", "b").dataset_id)] == [1, 2]


def test_unregistering_forgets_the_name_and_keeps_what_was_saved(store):
    saved = save(store, f"{PREFIX}/a/paths/x")
    store.register("ws", "data", saved)
    store.unregister("ws", "data")
    assert store.find("ws", "data") is None
    assert store.by_saved_id("ws", saved.saved_id) is None
    assert store.saved("ws", saved.saved_id) == saved
    assert store.register("ws", "again", saved).version == 1
    with pytest.raises(NotFound, match="'data'"):
        store.unregister("ws", "data")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\\b", "a\nb", "x" * 256])
def test_a_name_that_could_not_be_found_again_is_refused(store, name):
    with pytest.raises(Invalid, match="name"):
        store.register("ws", name, save(store, f"{PREFIX}/a/paths/x"))


def test_a_name_may_have_blanks(store):
    assert store.register("ws", "diabetes dataset", save(store, f"{PREFIX}/a/paths/x")).version == 1
