"""For your own tests: a pytest fixture with a workspace on a throw-away local Azure ML.

    def test_training(local_workspace):
        WorkspaceWrapper.from_workspace(local_workspace).register_env("env", ["pandas"])

pytest finds this plugin once azureml_wrapper is installed. Importing this module does not import the SDK.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azureml.core import Workspace


@pytest.fixture
def local_workspace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace of a service that runs for one test; AZUREML_WRAPPER_HOME points to its home.

    Each workspace has a new name: rslex, which reads datasets for the SDK, caches the addresses of datastores by the
    name of the workspace for as long as the process runs. A test that reads data from a workspace with the name of
    another test's would wait for that other test's service.
    """
    from azureml_wrapper.connection.connections import connect
    from azureml_wrapper.connection.local import TRUST_VARIABLE, variables_restored
    from azureml_wrapper.connection.target import Scope
    from azureml_wrapper.local import service_process
    from azureml_wrapper.local.home import HOME_VARIABLE

    home = tmp_path_factory.mktemp("azureml_wrapper_home")
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    with variables_restored(), service_process.running(home):
        os.environ.pop(TRUST_VARIABLE, None)
        yield connect(Scope("local", "local", f"test-{uuid.uuid4().hex[:12]}"), target="local")
