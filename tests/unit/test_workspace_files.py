"""The names of a workspace are read without the models of configs, and are those that the loader finds."""

from __future__ import annotations

import json

import pytest

from azureml_wrapper import WorkspaceWrapper
from azureml_wrapper.config.loader import load
from azureml_wrapper.config.models import WorkspaceConfig
from azureml_wrapper.config.workspace_files import plain_names
from azureml_wrapper.errors import ConfigError

NAMES = {"ws_name": "my-ws_1", "resource_group": "rg.(1)", "subscription_id": "local"}
OF_AZURE = {"workspace_name": "my-ws_1", "resource_group": "rg.(1)", "subscription_id": "local"}


@pytest.mark.parametrize("written", [NAMES, OF_AZURE])
def test_plain_names_are_those_of_the_loader(tmp_path, monkeypatch, written):
    file = tmp_path / ".azureml" / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(written), encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    found, _ = load(WorkspaceConfig, file)
    for source in (None, file, str(file)):
        assert plain_names(source) == (found.ws_name, found.resource_group, found.subscription_id)
    scope = WorkspaceWrapper.from_config().scope
    assert (scope.name, scope.resource_group, scope.subscription_id) == plain_names(file)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**NAMES, "ws_name": "${WS}"}),
        json.dumps({**NAMES, "ws_name": " ws"}),
        json.dumps({**NAMES, "ws_name": ""}),
        json.dumps({**NAMES, "ws_name": 1}),
        json.dumps({**NAMES, "workspace_name": "ws"}),
        json.dumps({**NAMES, "env_name": "e"}),
        json.dumps({**NAMES, "$schema": "s"}),
        json.dumps({name: NAMES[name] for name in list(NAMES)[:2]}),
        json.dumps(NAMES)[:-1] + ', "ws_name": "twice"}',
        json.dumps([list(NAMES.items())]),
        "[" * 100_000,
        "{",
        "",
    ],
)
def test_everything_else_is_left_to_the_loader(tmp_path, monkeypatch, text):
    file = tmp_path / "config.json"
    file.write_text(text)
    assert plain_names(file) is None


def test_what_is_no_json_file_is_left_to_the_loader(tmp_path):
    (tmp_path / "config.yml").write_text("ws_name: a\nresource_group: b\nsubscription_id: c\n")
    assert plain_names(tmp_path / "config.yml") is None
    assert plain_names(tmp_path / "missing.json") is None
    assert plain_names(NAMES) is None
    with pytest.raises(ConfigError, match="cannot be read"):
        WorkspaceWrapper.from_config(tmp_path / "missing.json")
