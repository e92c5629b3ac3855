"""The real SDK against the local service, or against Azure (AZUREML_WRAPPER_TEST_CONFIG)."""

from __future__ import annotations

import uuid

import pytest

from tests import planted
from tests.conftest import REAL_CONFIG, cold_services


@pytest.fixture(scope="session")
def ws():
    """A workspace that all tests of a process share; names come from `unique`."""
    if not REAL_CONFIG:
        from azureml_wrapper.connection.local import connect_local
        from azureml_wrapper.connection.target import Scope

        planted.plant(connect_local(Scope("local", "local", "planted")))
    return find_workspace(REAL_CONFIG)


def find_workspace(file):
    """That of a config, which in Azure has to exist: a mistake in it must not create one."""
    from azureml.core import Workspace

    from azureml_wrapper import WorkspaceWrapper
    from azureml_wrapper.connection.credentials import authenticate
    from azureml_wrapper.connection.local import connect_local
    from azureml_wrapper.connection.target import Scope, choose_target

    scope = WorkspaceWrapper.from_config(file).scope if file else Scope("local", "local", "local")
    if choose_target(scope.subscription_id) == "local":
        return connect_local(scope)
    names = {"subscription_id": scope.subscription_id, "resource_group": scope.resource_group}
    return Workspace.get(scope.name, auth=authenticate(), **names)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """The SDK leaves `logs/` and `outputs/` in the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def cold():
    """For files whose tests have services of their own, with no job or one, and never use `ws`."""
    with cold_services():
        yield


@pytest.fixture
def unique():
    """`unique("data")`: a name that no other test has."""

    def make(prefix: str = "t") -> str:
        return f"{prefix}{uuid.uuid4().hex[:10]}"

    return make
