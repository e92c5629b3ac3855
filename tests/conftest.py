"""Every test process has throw-away homes, so that nothing of the user is changed and nothing keeps running.

The SDK computes paths below HOME when it is imported, so the variables are set here, before any test is collected.
With AZUREML_WRAPPER_TEST_CONFIG=path/to/config.json the wire tests talk to that workspace in Azure instead.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import shutil
import signal
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

from tests import planted, started

REAL_CONFIG = os.environ.get("AZUREML_WRAPPER_TEST_CONFIG")
if REAL_CONFIG:
    REAL_CONFIG = str(Path(REAL_CONFIG).expanduser().absolute())
    # Keep the login of `az login`.
    os.environ.setdefault("AZURE_CONFIG_DIR", str(Path.home() / ".azure"))

_TESTS = Path(__file__).parent
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
os.environ.update(planted.SHELL)
_LEAKS = pytest.StashKey[list[str]]()

_REPORTS: list[dict[str, int]] = []
started.watch()


def pytest_configure(config):
    """In a whole session each process imports other files first, so that in a fresh clone none compiles them all."""
    worker = getattr(config, "workerinput", None)
    if worker and config.args == config.getini("testpaths"):
        first = int(worker["workerid"].removeprefix("gw"))
        for file in sorted(_TESTS.rglob("test_*.py"))[first :: worker["workercount"]]:
            # The collection says why a file cannot be imported.
            with contextlib.suppress(Exception):
                importlib.import_module(".".join(file.relative_to(_TESTS.parent).with_suffix("").parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a file to one process as a whole: what its tests share is made once, and imported once.

    The files of tests/architecture go together, because they share the syntax trees of the source.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "architecture" if nodeid.startswith("tests/architecture/") else super()._split_scope(nodeid)

    # The order is that of the next function.
    config.option.loadscopereorder = False
    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if REAL_CONFIG:
        skip = pytest.mark.skip(reason="only the local service can do this")
        for item in items:
            if item.get_closest_marker("local_only"):
                item.add_marker(skip)
    # The largest files first, so that no process works alone at the end; the others as they come, that is at random.
    costs: dict[Path, float] = defaultdict(float)
    for item in items:
        costs[item.path] += _cost(item)
    items.sort(key=lambda item: -costs[item.path])


def _cost(item) -> float:
    """A test's time, roughly: most of those without processes take milliseconds."""
    if slow := item.get_closest_marker("slow"):
        return slow.args[0] if slow.args else 5
    return 0 if "unit" in item.path.parts else 1


def pytest_collection_finish(session):
    # What was imported until now stays, and is large: each collection of garbage would look through it.
    gc.freeze()


def pytest_sessionfinish(session, exitstatus):
    from azureml_wrapper.local import service_process

    service_process.stop()
    if session is not None:
        _report(session.config)
        _search(session)
    shutil.rmtree(_ROOT, ignore_errors=True)


def _search(session):
    """Fail the session if a secret of the suite lies in clear in a service's home."""
    leaks = planted.search(_ROOT)
    if hasattr(session.config, "workeroutput"):
        # A worker of pytest-xdist: the process that has started it reports.
        session.config.workeroutput["leaks"] = leaks
        return
    leaks += session.config.stash.get(_LEAKS, [])
    leaks += planted.search(session.config._tmp_path_factory.getbasetemp())
    if leaks:
        report = session.config.pluginmanager.get_plugin("terminalreporter")
        report.write_line(f"Secrets lie in clear in {len(leaks)} files of services:", red=True)
        report.write_line("\n".join(leaks[:20]))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _report(config):
    """Keep the numbers of what was started, or send them to the process that shows the summary."""
    folders = [_ROOT]
    with contextlib.suppress(AttributeError):
        folders.append(config._tmp_path_factory.getbasetemp())
    found = dict(started.counts + started.in_logs(folders))
    if hasattr(config, "workeroutput"):
        config.workeroutput["started"] = found
    elif not config.getoption("numprocesses", None):
        _REPORTS.append(found)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    found = getattr(node, "workeroutput", {})
    _REPORTS.append(found.get("started", {}))
    node.config.stash.setdefault(_LEAKS, []).extend(found.get("leaks", []))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"started: {started.line(started.total(_REPORTS))}")


@contextlib.contextmanager
def cold_services():
    """Services that are started meanwhile preload nothing: that costs each of them more than a job or two saves.

    Fixtures of modules may start services, too, so the fixture that enters this has to be one of a module.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZUREML_WRAPPER_WARM", "off")
        yield


@pytest.fixture
def reported(caplog):
    """`reported()` is what the library has reported since the test began, or since the last `reported()`."""
    caplog.set_level(logging.INFO, logger="azureml_wrapper")

    def read() -> str:
        records = [record for record in caplog.records if record.name == "azureml_wrapper"]
        caplog.clear()
        return "".join(f"{record.getMessage()}\n" for record in records)

    return read
