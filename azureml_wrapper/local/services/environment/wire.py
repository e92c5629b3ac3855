"""JSON of the environment service."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.environments import EnvironmentVersion
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.services.environments import conda_name


def environment(record: EnvironmentVersion, workspace: Workspace) -> dict[str, Any]:
    """A definition with its name and version."""
    place = f"azureml://locations/{workspace.location}/workspaces/{workspace.workspace_id}"
    return {
        "name": record.name,
        "version": record.version,
        "assetId": f"{place}/environments/{record.name}/versions/{record.version}",
        **record.definition,
    }


def image(record: EnvironmentVersion) -> dict[str, Any]:
    """What Azure reports for an environment whose image has not been built."""
    python = record.definition.get("python") or {}
    return {
        "imageExistsInRegistry": False,
        "ingredients": {"dockerfile": None},
        "pythonEnvironment": {
            "interpreterPath": python.get("interpreterPath") or "python",
            "condaEnvironmentPath": None,
        },
        "dockerImage": {
            "name": f"azureml/{conda_name(python.get('condaDependencies') or {})}",
            "registry": {"address": None, "username": None, "password": None},
        },
        "vulnerabilityFindings": None,
    }


def read_labels(body: object) -> list[str]:
    """The labels in a request such as `{"Labels": ["stable"]}`."""
    labels = body.get("Labels", body.get("labels")) if isinstance(body, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise Invalid("Labels must be a list of strings.")
    return labels
