"""What users get for their own tests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from azureml_wrapper import WorkspaceWrapper

pytestmark = [pytest.mark.local_only, pytest.mark.usefixtures("cold")]

HOMES: list[str] = []


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_azure_ml_of_its_own(local_workspace, turn):
    home = os.environ["AZUREML_WRAPPER_HOME"]
    assert home not in HOMES
    HOMES.append(home)
    assert list(local_workspace.datasets) == []
    assert "mine" not in local_workspace.environments
    WorkspaceWrapper.from_workspace(local_workspace).register_env("mine", ["pandas"])
    assert "mine" in local_workspace.environments


def test_the_wrapper_is_on_the_same_one(local_workspace):
    assert WorkspaceWrapper(local_workspace.name, "local", "local").ws is local_workspace


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_reads_its_own_data(local_workspace, tmp_path, turn):
    """rslex remembers for the life of the process where a workspace's datastores are."""
    (tmp_path / "t.csv").write_text(f"a\n{turn}5\n")
    workspace = WorkspaceWrapper.from_workspace(local_workspace)
    table = workspace.register_csv("workspaceblobstore", "t", source=tmp_path / "t.csv")
    assert table.to_pandas_dataframe()["a"].tolist() == [turn * 10 + 5]


def test_importing_the_plugin_imports_no_sdk():
    # pytest imports it in every project that has azureml_wrapper installed.
    code = "import sys, azureml_wrapper.testing; print('azureml.core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
