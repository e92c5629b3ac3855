"""Every test process has throw-away homes, so that nothing of the user is changed and nothing keeps running.

The SDK computes paths below HOME when it is imported, so the variables are set here, before any test is collected.
With AZUREML_WRAPPER_TEST_CONFIG=path/to/config.json the wire tests talk to that workspace in Azure instead.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

REAL_CONFIG = os.environ.get("AZUREML_WRAPPER_TEST_CONFIG")
if REAL_CONFIG:
    REAL_CONFIG = str(Path(REAL_CONFIG).expanduser().absolute())
    # Keep the login of `az login`.
    os.environ.setdefault("AZURE_CONFIG_DIR", str(Path.home() / ".azure"))

_ROOT = Path(tempfile.mkdtemp(prefix="azureml-wrapper-tests-"))
_USER_HOME = _ROOT / "user"
(_USER_HOME / ".azureml").mkdir(parents=True)
os.environ["HOME"] = str(_USER_HOME)
os.environ["AZUREML_WRAPPER_HOME"] = str(_ROOT / "service")
if not REAL_CONFIG:
    os.environ["AZURE_CONFIG_DIR"] = str(_USER_HOME / ".azure")
# Disables the SDK's telemetry. Read when the SDK is imported, which wire tests do before the wrapper can set it.
os.environ["HBI_WORKSPACE_JOB"] = "true"
# A shell starts background commands with SIGINT ignored, which their children inherit; some tests send SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("AZUREML_WRAPPER_TARGET", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "AZUREML_RUN_ID"):
    os.environ.pop(_name, None)


def pytest_collection_modifyitems(config, items):
    if REAL_CONFIG:
        skip = pytest.mark.skip(reason="only the local service can do this")
        for item in items:
            if item.get_closest_marker("local_only"):
                item.add_marker(skip)


def pytest_sessionfinish(session, exitstatus):
    from azureml_wrapper.local import service_process

    service_process.stop()
    shutil.rmtree(_ROOT, ignore_errors=True)


@pytest.fixture
def reported(caplog):
    """`reported()` is what the library has reported since the test began, or since the last `reported()`."""
    caplog.set_level(logging.INFO, logger="azureml_wrapper")

    def read() -> str:
        records = [record for record in caplog.records if record.name == "azureml_wrapper"]
        caplog.clear()
        return "".join(f"{record.getMessage()}\n" for record in records)

    return read
