"""Which workspace `aml local exec` prepares, and which subscriptions a program may ask for."""

from __future__ import annotations

import json

import click
import pytest

from azureml_wrapper.cli.work import programs
from azureml_wrapper.cli.work.local import parse_scope
from azureml_wrapper.cli.work.programs import configured_scope, named_subscriptions
from azureml_wrapper.connection.target import Scope

ONE, TWO = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555"


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


@pytest.mark.parametrize("names", [{"subscription_id": 1}, {"workspace_name": ""}, {"resource_group": None}])
def test_a_config_without_three_names_names_no_workspace(tmp_path, names):
    given = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w", **names}
    (tmp_path / "config.json").write_text(json.dumps(given))
    assert configured_scope(tmp_path) is None


# Subscriptions


def found(folder, *command, **variables):
    return named_subscriptions(command, variables, folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conf/ws.json", f'{{"subscription_id": "{ONE}", "workspace_name": "w"}}'),
        ("conf/deep/azure.yml", f"subscription_id: {ONE}"),
        ("settings.py", f"ws = Workspace('{ONE}', 'group', 'name')"),
        ("study.ipynb", json.dumps({"source": [f'subscription = "{ONE}"']})),
        (".azureml/other.json", f'{{"Id": null, "Scope": "/subscriptions/{ONE}/resourceGroups/g"}}'),
        (".env", f"AML_SUBSCRIPTION={ONE}"),
        (".env.dev", f"AML_SUBSCRIPTION='{ONE}'"),
    ],
)
def test_a_subscription_is_found_in_the_files_of_the_folder(tmp_path, name, text):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert found(tmp_path, "python", "train.py") == [ONE]


def test_a_subscription_is_found_in_the_command_and_in_variables(tmp_path):
    assert found(tmp_path, "python", "a.py", "--subscription_id", "mine") == ["mine"]
    assert found(tmp_path, "python", "-c", f"Workspace('{ONE}', 'g', 'w')") == [ONE]
    assert found(tmp_path, "python", "a.py", MY_SUBSCRIPTION_ID=TWO, OTHER=ONE) == [TWO]


def test_a_subscription_is_found_where_the_program_is_and_in_what_it_names(tmp_path):
    for folder in ("here", "program", "far/.azureml"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "program" / "names.json").write_text(json.dumps({"subscription_id": ONE}))
    (tmp_path / "far" / "ws.json").write_text(json.dumps({"subscription_id": TWO}))
    (tmp_path / "far" / ".azureml" / "config.json").write_text(json.dumps({"subscription_id": "in-folder"}))
    program = tmp_path / "program" / "run.py"
    program.write_text("Workspace.from_config('../far/ws.json'); Workspace.from_config(path='../far/')")
    assert sorted(found(tmp_path / "here", "python", "../program/run.py")) == [ONE, TWO, "in-folder"]


def test_ids_of_other_things_and_of_other_folders_are_not_listed(tmp_path):
    for folder in (".git", "venv", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(json.dumps({"subscription_id": ONE}))
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "cells.json").write_text(json.dumps({"id": TWO}))
    (tmp_path / "template.json").write_text(json.dumps({"subscription_id": "<your subscription>"}))
    (tmp_path / "data.bin").write_text(f"subscription {ONE}")
    assert found(tmp_path, "python", "a.py") == []


def test_a_folder_that_cannot_be_read_hides_nothing_else(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"subscription_id": ONE}))
    (tmp_path / "gone.json").symlink_to(tmp_path / "none")
    (tmp_path / "bytes.py").write_bytes(b"subscription = \xff\x00")
    assert found(tmp_path, "python", "x" * 5000, "'/\0'") == [ONE]


def test_the_search_for_subscriptions_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.py").write_text(f"subscription = '{number}{ONE[1:]}'")
    assert [name[0] for name in found(tmp_path, "python")] == ["0", "1", "2"]
