"""Services of their own for tests that break them. They run no job unless a test says so: warm starts are off."""

from __future__ import annotations

import pytest

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.conftest import cold_services


@pytest.fixture(scope="module", autouse=True)
def _cold_services():
    with cold_services():
        yield


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    service_process.stop(home)
