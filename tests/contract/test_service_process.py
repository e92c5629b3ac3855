"""The service as a process: one per home, found and left as promised. No SDK here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from azureml_wrapper.local import server, service_process
from azureml_wrapper.local.home import Home, ServiceInfo
from azureml_wrapper.local.tokens import Tokens
from tests.waiting import until

SCOPE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/local"
START = "from azureml_wrapper.local import service_process; print(service_process.start().pid)"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    service_process.stop(home)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A home whose service runs, for tests that only look at it or ask it something."""
    home = Home(tmp_path_factory.mktemp("running") / "home")
    service_process.start(home)
    yield home
    service_process.stop(home)


def url(info, path):
    return f"http://127.0.0.1:{info.port}{path}"


def bearer(info):
    return {"Authorization": f"Bearer {Tokens(info.secret).user()}"}


def test_nothing_is_found_where_nothing_runs(home):
    assert service_process.find(home) is None
    assert service_process.stop(home) is False


def test_a_started_service_is_found_and_stopped(home):
    info = service_process.start(home)
    assert service_process.find(home) == info
    assert service_process.start(home) == info
    assert service_process.stop(home) is True
    assert service_process.find(home) is None
    with pytest.raises(requests.ConnectionError):
        requests.get(url(info, "/subscriptions"), timeout=30)


def test_a_home_of_a_later_version_is_refused_with_what_to_do(home):
    home.create()
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("PRAGMA user_version = 1000")
    with pytest.raises(service_process.ServiceError, match=r"(?s)1000.*which reads versions up to"):
        service_process.start(home)
    assert "Traceback" not in home.log_file.read_text()


def test_processes_that_start_at_the_same_instant_get_one_service(home):
    environment = {**os.environ, "AZUREML_WRAPPER_HOME": str(home.path)}

    def start(_):
        done = subprocess.run(
            [sys.executable, "-c", START], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        pids = set(pool.map(start, range(4)))
    assert pids == {str(service_process.find(home).pid)}


def test_it_comes_back_on_the_port_it_had(home):
    first = service_process.start(home)
    service_process.stop(home)
    assert service_process.start(home).port == first.port


def test_it_takes_another_port_where_its_own_is_taken(home):
    first = service_process.start(home)
    service_process.stop(home)
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        blocker.bind(("127.0.0.1", first.port))
        blocker.listen()
        assert service_process.start(home).port != first.port


def test_a_wanted_port_that_is_taken_is_an_error_that_names_it(home):
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        port = blocker.getsockname()[1]
        with pytest.raises(service_process.ServiceError, match=f"Cannot listen on port {port} of 127.0.0.1"):
            service_process.start(home, port=port)


def test_a_home_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(service_process.ServiceError, match=r"(?s)Cannot use the home folder.*_HOME"):
        service_process.start(Home(tmp_path / "file" / "home"))


def test_a_killed_service_is_started_again_with_its_state(home):
    first = service_process.start(home)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: service_process.find(home) is None)
    second = service_process.start(home)
    assert second.pid != first.pid
    assert second.secret == first.secret
    assert requests.get(url(second, "/subscriptions"), headers=bearer(first), timeout=30).ok


def test_it_leaves_by_itself_when_nobody_needs_it(home):
    service_process.start(home, idle=0.3)
    until(lambda: service_process.find(home) is None)


def test_what_is_secret_is_readable_by_its_owner_only(running):
    assert running.path.stat().st_mode & 0o777 == 0o700
    for file in (running.service_file, running.path / "secret", running.tls / "server.pem"):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_the_secret_is_not_shown():
    assert "s3cret" not in repr(ServiceInfo(pid=1, port=2, secret="s3cret"))


def test_it_listens_on_loopback_only(running):
    info = service_process.start(running)
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows = [fields[1] for fields in sockets if fields[3] == "0A"]
    addresses = {row.split(":")[0] for row in rows if int(row.split(":")[1], 16) == info.port}
    assert addresses == {"0100007F"}


def test_http_and_https_share_the_port(running):
    info = service_process.start(running)
    plain = requests.get(url(info, "/subscriptions"), headers=bearer(info), timeout=30)
    secure = requests.get(
        url(info, "/subscriptions").replace("http:", "https:"),
        headers=bearer(info),
        timeout=30,
        verify=str(running.authority),
    )
    assert plain.json() == secure.json()


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc", "Bearer a.b.c"])
def test_a_request_without_a_good_token_is_refused(running, header):
    info = service_process.start(running)
    headers = {"Authorization": header} if header else {}
    answer = requests.get(url(info, "/subscriptions"), headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["error"]["innerError"]["code"] == "AuthenticationError"


@pytest.mark.parametrize("path", ["/discovery/wrong", "/metadata/wrong/endpoints"])
def test_a_wrong_key_in_an_address_is_refused(running, path):
    info = service_process.start(running)
    assert requests.get(url(info, path), timeout=30).status_code == 401


def test_a_foreign_host_name_is_refused(running):
    info = service_process.start(running)
    answer = requests.get(
        url(info, "/subscriptions"), headers={**bearer(info), "Host": "evil.example:80"}, timeout=30
    )
    assert answer.status_code == 400
    assert "evil.example" in answer.json()["error"]["message"]


def test_an_unknown_route_is_named(running):
    info = service_process.start(running)
    answer = requests.post(url(info, "/no/such/service"), headers=bearer(info), timeout=30)
    assert answer.status_code == 501
    assert "POST /no/such/service" in answer.json()["error"]["message"]


def test_a_body_beyond_the_limit_is_refused(running):
    info = service_process.start(running)
    answer = requests.put(
        url(info, f"{SCOPE}/computes/large"),
        data=(b"x" * 2**20 for _ in range(65)),
        headers=bearer(info),
        timeout=30,
    )
    assert answer.status_code == 413


def test_the_answer_to_a_fault_has_azures_envelope(running):
    info = service_process.start(running)
    scope = "/subscriptions/a/resourceGroups/b/providers/Microsoft.MachineLearningServices/workspaces/c"
    answer = requests.get(url(info, scope), headers=bearer(info), timeout=30)
    body = answer.json()
    assert answer.status_code == 404
    assert body["error"]["details"] == []
    assert set(body) == {"error", "correlation", "environment", "location", "time", "componentName"}


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(home):
    """Nagle's algorithm would hold each answer back for 40 ms."""
    with server.listen(home) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        connection, _ = listener.accept()

        async def is_sent_at_once():
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, connection)
            try:
                return transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            finally:
                transport.close()

        assert asyncio.run(is_sent_at_once())
