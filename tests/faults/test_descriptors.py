"""Without file descriptors a service waits; as soon as there are some, it goes on."""

from __future__ import annotations

import json
import logging
import resource
import socket
import subprocess
import sys

import pytest
import requests

from azureml_wrapper.local import server, service_process
from azureml_wrapper.local.tokens import Tokens
from tests.waiting import until

START = "from azureml_wrapper.local import service_process; print(service_process.start().pid)"
LIMIT, CONNECTIONS = 128, 178


def open_files(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


@pytest.fixture
def small(home, monkeypatch):
    """A service that may open few files."""
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(home.path))
    subprocess.run(["sh", "-c", f'ulimit -n {LIMIT} && exec "$0" -c "$1"', sys.executable, START], check=True)
    return service_process.find(home)


def test_a_service_out_of_descriptors_accepts_again(home, small):
    connections = [socket.create_connection(("127.0.0.1", small.port), timeout=60) for _ in range(CONNECTIONS)]
    until(lambda: "cannot accept a connection" in home.log_file.read_text())
    for connection in connections:
        connection.close()
    headers = {"Authorization": f"Bearer {Tokens(small.secret).user()}"}
    assert requests.get(f"http://127.0.0.1:{small.port}/subscriptions", headers=headers, timeout=60).ok
    # Once, not every tenth of a second.
    assert home.log_file.read_text().count("cannot accept a connection") == 1


def test_the_service_may_open_as_many_files_as_the_machine_allows(home, monkeypatch):
    monkeypatch.setenv("AZUREML_WRAPPER_HOME", str(home.path))
    subprocess.run(["sh", "-c", 'ulimit -Sn 256 && exec "$0" -c "$1"', sys.executable, START], check=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert open_files(service_process.find(home).pid) == min(hard, 65_536)


@pytest.mark.parametrize("starter", ["cold", "warm"])
def test_what_the_service_changes_for_itself_does_not_reach_jobs(tmp_path, starter):
    # In a process of its own, because a process has one umask and one limit.
    program = f"""
import json, os, sys, time
from pathlib import Path
from azureml_wrapper.local.executor import launcher, process, warm
script, log = Path({str(tmp_path / "job.py")!r}), Path({str(tmp_path / "log")!r})
script.write_text('''
import json, os, resource, time
# A new process has its limit a moment after its start (process.py, Shell.limit).
end = time.monotonic() + 30
while resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 256 and time.monotonic() < end:
    time.sleep(0.01)
print(json.dumps([os.umask(0), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
''')
os.umask(0o027)
process.become_service()
starter = warm.WarmStarter() if {starter == "warm"} else process.ColdStarter()
variables = dict(os.environ)
starter.preload(sys.executable, variables)
if {starter == "warm"}:
    assert starter.await_ready(sys.executable, variables, 120)
command = [sys.executable, launcher.__file__, str(script)]
print(starter.explain(command, folder=script.parent, variables=variables), file=sys.stderr)
assert starter.start(command, folder=script.parent, variables=variables, log=log).wait() == 0, log.read_text()
starter.close()
print(log.read_text())
"""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -Sn 256 && exec "$0" -c "$1"', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert starter in done.stderr.lower()
    assert json.loads(done.stdout) == [0o027, 256]


def test_a_service_that_cannot_accept_any_more_ends(caplog):
    class Broken(server.OneServer):
        def __init__(self):
            self.should_exit = False

    class Task:
        cancelled = staticmethod(lambda: False)
        exception = staticmethod(lambda: RuntimeError("gone"))

    broken = Broken()
    with caplog.at_level(logging.CRITICAL):
        broken._acceptor_ended(Task())
    assert broken.should_exit
    assert "no more connections are accepted" in caplog.text
