"""For your own tests: pytest fixtures with a workspace on a throw-away local Azure ML.

    def test_training(local_workspace):
        WorkspaceWrapper.from_workspace(local_workspace).register_env("env", ["pandas"])

    def test_computes(local_ml_client):
        local_ml_client.compute.begin_create_or_update(AmlCompute(name="cpu")).result()

pytest finds this plugin once azureml_wrapper is installed. Importing this module does not import the SDK.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azureml.core import Workspace


@pytest.fixture
def local_service_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of a service that runs for one test; AZUREML_WRAPPER_HOME points to it."""
    from azureml_wrapper.connection.local import TRUST_VARIABLE, variables_restored
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import HOME_VARIABLE

    home = tmp_path_factory.mktemp("azureml_wrapper_home")
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    with variables_restored(), service_process.running(home):
        os.environ.pop(TRUST_VARIABLE, None)
        yield home


@pytest.fixture
def local_workspace_name() -> str:
    """The name of the test's workspace.

    Each has a new one: rslex, which reads datasets for the SDK, caches the addresses of datastores by the name of the
    workspace for as long as the process runs. A test that reads data from a workspace with the name of another test's
    would wait for that other test's service.
    """
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def local_workspace(local_service_home: Path, local_workspace_name: str) -> Workspace:
    """A workspace of SDK v1, of a service that runs for one test."""
    from azureml_wrapper.connection.connections import connect
    from azureml_wrapper.connection.target import Scope

    return connect(Scope("local", "local", local_workspace_name), target="local")


@pytest.fixture
def local_ml_client(local_service_home: Path, local_workspace_name: str) -> MLClient:
    """A client of SDK v2, of the same workspace as `local_workspace`."""
    from azureml_wrapper.local import ml_client

    return ml_client(local_workspace_name)
