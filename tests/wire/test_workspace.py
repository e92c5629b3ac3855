"""Workspaces through the SDK."""

from __future__ import annotations

import pytest
from azureml.core import Workspace
from azureml.exceptions import ProjectSystemException


def test_get_gives_the_workspace_by_its_names(ws):
    again = Workspace.get(
        name=ws.name, subscription_id=ws.subscription_id, resource_group=ws.resource_group, auth=ws._auth
    )
    assert again.get_details()["workspaceid"] == ws.get_details()["workspaceid"]


def test_get_of_a_missing_workspace_is_an_error(ws, unique):
    with pytest.raises(ProjectSystemException, match="Workspace not found"):
        Workspace.get(
            name=unique(), subscription_id=ws.subscription_id, resource_group=ws.resource_group, auth=ws._auth
        )
