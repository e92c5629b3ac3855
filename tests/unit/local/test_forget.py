"""A deleted workspace takes every row with it that belongs to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.metrics import Point, Series
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.database import Database

# What stands beside the workspaces.
SHARED = {
    "workspaces",
    "resource_groups",
    "storage_accounts",
    "blob_notes",
    "blob_changes",
    "sqlite_sequence",
    "writer",
}


def make_context(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return build_context(home, 1)


def add_workspace(context, name):
    made = Workspace(
        workspace_id=context.ids.guid(),
        subscription="s",
        resource_group="g",
        name=name,
        location="local",
        created=context.clock.now(),
    )
    context.workspaces.add(made)
    context.secrets.put(made.workspace_id, "password", "x")
    point = Point(point_id="1", created="2026-01-01", data={"a": 1})
    context.metrics.add(made.workspace_id, "r", Series(name="a", kind="azureml.v1.scalar"), [point])
    return made


def test_rows_of_the_workspace_go_and_those_of_others_stay(tmp_path):
    context = make_context(tmp_path)
    gone, stays = add_workspace(context, "gone"), add_workspace(context, "stays")
    context.workspaces.delete(gone)
    assert context.secrets.names(gone.workspace_id) == []
    assert context.metrics.series(gone.workspace_id, "r") == []
    assert context.secrets.names(stays.workspace_id) == ["password"]
    assert len(context.metrics.points(stays.workspace_id, "r", "a")[0]) == 1
    rows = Database(context.home.database).one("SELECT count(*) AS count FROM metric_points")
    assert rows["count"] == 1


@pytest.mark.parametrize(("kind", "stays"), [("azureml.scriptrun", True), (None, False)])
def test_a_workspace_with_a_job_that_runs_is_not_deleted(tmp_path, kind, stays):
    context = make_context(tmp_path)
    workspace = add_workspace(context, "busy")
    context.blobs.ensure_container(workspace.storage_account, "azureml")
    run = Run(
        workspace_id=workspace.workspace_id,
        run_id="r1",
        experiment="e",
        experiment_id="1",
        created=context.clock.now(),
        status=RunStatus.RUNNING,
        run_type=kind,
    )
    context.runs.add(run)
    with pytest.raises(Conflict, match="unfinished runs, such as r1") if stays else nullcontext():
        context.workspaces.delete(workspace)
    assert (context.workspaces.find("s", "g", "busy") is not None) == stays
    assert context.blobs.has_container(workspace.storage_account, "azureml") == stays


def test_every_table_says_to_which_workspace_a_row_belongs_or_falls_with_one_that_does(tmp_path):
    context = make_context(tmp_path)
    database = Database(context.home.database)
    for table in database.all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        name = table["name"]
        columns = {row["name"] for row in database.all(f"PRAGMA table_info({name})")}
        parents = {row["on_delete"] for row in database.all(f"PRAGMA foreign_key_list({name})")}
        assert name in SHARED or "workspace" in columns or parents == {"CASCADE"}, name


def test_the_space_of_a_deleted_workspace_is_given_back(tmp_path):
    file = tmp_path / "state.sqlite"
    database = Database(file)
    database.execute("CREATE TABLE things (workspace TEXT, body TEXT)")
    database.execute_many("INSERT INTO things VALUES (?, ?)", [("w", "x" * 1000)] * 20_000)
    database.all("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.stat().st_size
    database.forget("w")
    database.compact()
    log = file.with_name("state.sqlite-wal")
    assert (file.stat().st_size < before / 50, log.stat().st_size) == (True, 0)
    database.close()


def test_a_file_of_an_earlier_version_keeps_its_size(tmp_path):
    file = tmp_path / "state.sqlite"
    with closing(sqlite3.connect(file)) as earlier:
        earlier.execute("CREATE TABLE things (workspace TEXT, body TEXT)")
        earlier.executemany("INSERT INTO things VALUES (?, ?)", [("w", "x" * 1000)] * 2000)
        earlier.commit()
    database = Database(file)
    before = file.stat().st_size
    database.forget("w")
    database.compact()
    assert file.stat().st_size >= before
    database.close()
