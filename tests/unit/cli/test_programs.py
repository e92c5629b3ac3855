"""Which workspace `aml local exec` has to have ready."""

from __future__ import annotations

import json

import click
import pytest

from azureml_wrapper.cli.programs import configured_scope, parse_scope
from azureml_wrapper.connection.target import Scope


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
