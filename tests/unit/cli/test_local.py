"""What `aml local status` counts, and which workspaces `aml local exec` prepares."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import click
import pytest

from azureml_wrapper.cli.work import local
from azureml_wrapper.cli.work.local import (
    configured_scope,
    count_runs,
    describe,
    describe_schedules,
    parse_scope,
    report,
    size,
)
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.local.home import Home


def test_runs_are_counted_by_status(tmp_path):
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.execute("CREATE TABLE runs (status TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [("Failed",), ("Completed",), ("Completed",)])
    database.close()
    assert count_runs(tmp_path / "state.sqlite") == {"Completed": 2, "Failed": 1}


def test_a_database_without_tables_has_no_runs(tmp_path):
    sqlite3.connect(tmp_path / "state.sqlite").close()
    assert count_runs(tmp_path / "state.sqlite") == {}


def test_looking_at_a_home_does_not_make_it(tmp_path):
    home = Home(tmp_path / "none")
    told = describe(home)
    assert told["service"] == "does not run"
    assert told["runs"] == "none"
    given = report(home)
    assert (given["running"], given["address"], given["runs"], given["storage"]) == (False, None, {}, {})
    assert not home.path.exists()


def test_size_is_that_of_all_files_and_follows_no_link(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"12345")
    (tmp_path / "y").write_bytes(b"123")
    before = size(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "far" / "away")
    assert before == 8
    assert size(tmp_path) == 8 + (tmp_path / "link").lstat().st_size


def test_enabled_schedules_are_told_with_the_next_instant(tmp_path):
    file = tmp_path / "state.sqlite"
    assert describe_schedules(file, runs=True) == "none enabled"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE schedules (is_active INTEGER, next_fire TEXT)")
        connection.execute("INSERT INTO schedules VALUES (0, '2026-01-01T00:00:00.000000+00:00')")
        connection.commit()
        assert describe_schedules(file, runs=True) == "none enabled"
        connection.execute("INSERT INTO schedules VALUES (1, NULL), (1, '2026-01-02T08:30:00.000000+00:00')")
        connection.commit()
    told = "2 enabled, the next fires at 2026-01-02 08:30:00 UTC; "
    assert describe_schedules(file, runs=True) == told + "the service stays up for them"
    without = describe_schedules(file, runs=False)
    assert without == told + "none fires until the service runs again (`aml local up`)"


def write(file, name):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"subscription_id": "s", "resource_group": "g", "workspace_name": name}))


def test_the_nearest_config_upwards_is_taken(tmp_path):
    write(tmp_path / "a" / ".azureml" / "config.json", "near")
    write(tmp_path / ".azureml" / "config.json", "far")
    (tmp_path / "a" / "b").mkdir()
    assert configured_scope(tmp_path / "a" / "b") == Scope("s", "g", "near")


def test_a_folder_of_its_own_wins_over_a_nearer_plain_file(tmp_path):
    write(tmp_path / ".azureml" / "config.json", "folder")
    write(tmp_path / "a" / "config.json", "plain")
    assert configured_scope(tmp_path / "a") == Scope("s", "g", "folder")


@pytest.mark.parametrize("name", ["aml_config/config.json", "config.json", ".azureml/project.json"])
def test_the_sdks_other_places_are_known(tmp_path, name):
    write(tmp_path / name, "found")
    assert configured_scope(tmp_path) == Scope("s", "g", "found")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"subscription_id": "s"}'])
def test_a_file_that_is_no_workspaces_config_names_none(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert configured_scope(tmp_path) is None


def test_a_scope_is_three_names():
    assert parse_scope("s/g/w") == Scope("s", "g", "w")


@pytest.mark.parametrize("text", ["", "w", "g/w", "s/g/", "//", "a/b/c/d"])
def test_anything_else_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_scope(text)


SUBSCRIPTION = "0123ABCD-2222-3333-4444-555555555555"
NAMING = {
    "names.py": f"ws = Workspace.get('w', subscription_id='{SUBSCRIPTION}')",
    "conf/azure.json": f'{{"workspace": {{"subscription_id": "{SUBSCRIPTION}"}}}}',
    "deep/in/it/settings.yaml": f"azure:\n  subscription: {SUBSCRIPTION}\n",
    ".azureml/other.json": f'{{"Scope": "/subscriptions/{SUBSCRIPTION}/resourceGroups/g"}}',
    ".env.dev": f"SUBSCRIPTION_ID = '{SUBSCRIPTION}'",
    "notebook.ipynb": f'["subscription_id = \\"{SUBSCRIPTION}\\""]',
}


@pytest.mark.parametrize("name", NAMING)
def test_a_subscription_is_found_in_a_programs_files(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(NAMING[name])
    assert local.named_subscriptions(["python", "x.py"], tmp_path) == [SUBSCRIPTION.lower()]


def test_a_subscription_is_found_in_arguments_and_variables(tmp_path, monkeypatch):
    other = SUBSCRIPTION.replace("2222", "9999").lower()
    monkeypatch.setenv("AML_SUBSCRIPTION", other)
    command = ["python", "x.py", "--subscription", SUBSCRIPTION]
    assert local.named_subscriptions(command, tmp_path) == [SUBSCRIPTION.lower(), other]


def test_other_ids_and_the_files_of_tools_name_no_subscription(tmp_path):
    (tmp_path / "run.py").write_text(f"run_id = '{SUBSCRIPTION}'")
    for folder in (tmp_path / ".git", tmp_path / "env"):
        folder.mkdir()
        (folder / "config.json").write_text(NAMING["conf/azure.json"])
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert local.named_subscriptions(["python", "run.py"], tmp_path) == []


def test_the_search_for_subscriptions_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.py").write_text(f"subscription = '{number}{SUBSCRIPTION[1:]}'")
    assert [found[0] for found in local.named_subscriptions([], tmp_path)] == ["0", "1", "2"]
