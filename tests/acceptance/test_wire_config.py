"""The wire tests can be held against any workspace: AZUREML_WRAPPER_TEST_CONFIG names its config."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import ROOT

CODE = """
from tests import conftest
from tests.wire.conftest import find_workspace

print(find_workspace(conftest.REAL_CONFIG).get_details()["id"])
conftest.pytest_sessionfinish(None, 0)
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def pointed(shell):
    """A shell in which the wire tests are pointed at a workspace, here one of the local service."""
    config = {"subscription_id": "local", "resource_group": "theirs", "workspace_name": "field-station"}
    (shell.folder / "config.json").write_text(json.dumps(config))
    shell.extra |= {"AZUREML_WRAPPER_TEST_CONFIG": str(shell.folder / "config.json"), "PYTHONPATH": str(ROOT)}
    return shell


def test_the_wire_tests_take_the_workspace_of_a_config(pointed):
    assert "resourceGroups/theirs/" in pointed.run("python", "-c", CODE).stdout


def test_what_only_the_local_service_can_do_is_left_out_there(pointed):
    both = [
        "tests/wire/test_experiment.py::test_an_experiment_is_found_by_id",
        "tests/wire/test_studio.py::test_the_page_shows_the_metrics",
    ]
    pointed.folder = ROOT
    output = pointed.run("python", "-m", "pytest", "-p", "no:randomly", "-q", "-rs", *both).stdout
    assert "1 passed, 1 skipped" in output
    assert "only the local service can do this" in output
