"""Which answers are taken, which are asked for again, and for how long."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from azureml_wrapper.transfer import http_client
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient, Stopped


@pytest.fixture
def server(monkeypatch):
    """A server that gives `server.answers` in turn, the last again and again; None breaks the connection."""
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            self.server.headers = self.headers
            answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked = 0
        made.url = f"http://127.0.0.1:{made.server_port}/"
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


OK = (200, {}, b"fine")


@pytest.mark.parametrize(
    "first", [None, (503, {}, b""), (500, {}, b""), (429, {"Retry-After": "0"}, b""), (408, {}, b"")]
)
def test_a_broken_connection_and_a_busy_service_are_tried_again(server, first):
    server.answers = [first, first, OK]
    assert HttpClient(server.url).send("GET", server.url).body == b"fine"
    assert server.asked == 3


@pytest.mark.parametrize(("told", "least", "most"), [("30", 30, 39), ("3600", 60, 78), ("Fri, 01 Jan", 0.01, 0.013)])
def test_nobody_comes_back_before_the_service_asks_to(server, told, least, most):
    server.answers = [(503, {"Retry-After": told}, b""), OK]
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    assert HttpClient(server.url, stop=Stop()).send("GET", server.url).body == b"fine"
    [waited] = waits
    assert least <= waited <= most


def test_an_answer_that_breaks_off_is_asked_for_again(server):
    server.answers = [(200, {"Content-Length": "10"}, b"half"), OK]
    assert HttpClient(server.url).send("GET", server.url).body == b"fine"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 501])
def test_a_no_is_a_no(server, status):
    server.answers = [(status, {"x-ms-error-code": "Because"}, b"")]
    with pytest.raises(ErrorResponse, match=f"{status} Because"):
        HttpClient(server.url).send("GET", server.url)
    assert server.asked == 1
    assert HttpClient(server.url).send("GET", server.url, accept=(status,)).status == status


def test_after_some_tries_it_is_given_up(server):
    server.answers = [None]
    with pytest.raises(ConnectionBroken, match=r"\(3 times\)"):
        HttpClient(server.url).send("GET", server.url, attempts=3)
    assert server.asked == 3
    server.answers = [(503, {"x-ms-error-code": "ServerBusy"}, b"")]
    with pytest.raises(ErrorResponse, match="503 ServerBusy"):
        HttpClient(server.url).send("GET", server.url, attempts=2)


def test_who_waits_for_another_try_can_be_stopped(server, monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 60)
    server.answers = [None]
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        HttpClient(server.url, stop=stop).send("GET", server.url)
    assert server.asked == 1


def test_a_proxy_of_the_environment_is_used(server, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.answers = [OK]
    assert HttpClient("http://storage.invalid/").send("GET", "http://storage.invalid/x").body == b"fine"


def test_the_storages_version_is_sent_unless_other_headers_are_given(server):
    server.answers = [OK]
    HttpClient(server.url).send("GET", server.url)
    assert server.headers["x-ms-version"] == http_client.VERSION
    HttpClient(server.url, headers={"Authorization": "Bearer x"}).send("GET", server.url)
    assert (server.headers["Authorization"], server.headers["x-ms-version"]) == ("Bearer x", None)


def test_a_transfer_that_was_stopped_sends_nothing_more(server):
    server.answers = [OK]
    client = HttpClient(server.url)
    client.stop.set()
    with pytest.raises(Stopped):
        client.send("GET", server.url)
    assert server.asked == 0
