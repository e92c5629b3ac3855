"""The bench on which executors are tested, once for each way to start processes."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tls import server_context
from tests.conftest import cold_services
from tests.contract.bench import STARTERS, Bench


@pytest.fixture(scope="module", autouse=True)
def _cold_services():
    """The services started here run no job, and a preloaded process costs them seconds; the bench has its own."""
    with cold_services():
        yield


@pytest.fixture(params=STARTERS)
def bench(request, tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    server_context(home)
    bench = Bench(home, STARTERS[request.param])
    yield bench
    bench.executor.close()
