"""The real SDK against the local service, or against Azure (AZUREML_WRAPPER_TEST_CONFIG)."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.conftest import REAL_CONFIG


@pytest.fixture(scope="session")
def ws():
    """A workspace that all tests of a process share; names come from `unique`."""
    if REAL_CONFIG:
        from azureml.core import Workspace

        return Workspace.from_config(REAL_CONFIG)
    from azureml_wrapper.connection import Scope, connect_local

    return connect_local(Scope("local", "local", "local"))


@pytest.fixture
def unique():
    """`unique("data")`: a name that no other test has."""

    def make(prefix: str = "t") -> str:
        return f"{prefix}{uuid.uuid4().hex[:10]}"

    return make


@pytest.fixture
def real_config() -> dict | None:
    return json.loads(Path(REAL_CONFIG).read_text()) if REAL_CONFIG else None
