"""What `OneServer` relies on in uvicorn, beyond what uvicorn documents. No SDK here.

A new version of uvicorn may be allowed in setup.py once this file passes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import signal
import socket
import ssl
import struct
import threading
from contextlib import closing

import pytest
import uvicorn

from azureml_wrapper.local.home import Home
from azureml_wrapper.local.http.routing import Waiting
from azureml_wrapper.local.server import TLS_HANDSHAKE, OneServer, listen, settings
from azureml_wrapper.local.tls import server_context
from tests.waiting import until

TIMEOUT = 30
TLS = bytes([TLS_HANDSHAKE])


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.create()
    return home


class Echo:
    """An ASGI application that answers with the scheme and the body; `/slow` waits to be released."""

    def __init__(self):
        self.reached, self.release = threading.Event(), threading.Event()

    async def __call__(self, scope, receive, send):
        body = (await receive())["body"]
        if scope["path"] == "/slow":
            self.reached.set()
            await asyncio.to_thread(self.release.wait, TIMEOUT)
        content = scope["scheme"].encode() + b" " + body
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]}
        )
        await send({"type": "http.response.body", "body": content})


@pytest.fixture
def serve(home):
    """`serve(client)`: run the server in this thread while `client(server, connect)` runs in another one."""

    def run(client, application=None):
        listener = listen(home)
        port = listener.getsockname()[1]

        def connect(scheme="http"):
            if scheme == "http":
                return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT))
            trust = ssl.create_default_context(cafile=str(home.authority))
            return closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=trust))

        async def main():
            server = OneServer(settings(application or Echo()), listener, server_context(home), Waiting())
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                return await asyncio.to_thread(client, server, connect)
            finally:
                server.should_exit = True
                await asyncio.wait_for(serving, TIMEOUT)

        return asyncio.run(main())

    return run


def ask(connection, path="/", body=b"hello"):
    connection.request("POST", path, body)
    return connection.getresponse().read()


@pytest.mark.parametrize("first", [b"", TLS, TLS + b"no handshake"], ids=["nothing", "one byte", "nonsense"])
def test_a_client_that_goes_away_before_its_request_costs_nothing(serve, caplog, first):
    def client(server, connect):
        with connect() as known:
            known.connect()
            address = known.sock.getpeername()
        for _ in range(3):
            with socket.create_connection(address, TIMEOUT) as gone:
                gone.sendall(first)
                # Its end is a reset, not a close.
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with connect() as connection:
            answer = ask(connection)
        # They came before this one.
        until(lambda: not server._connecting)
        return answer

    assert serve(client) == b"http hello"
    # asyncio complains about a task's exception once the task is gone.
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_protocol_object_is_made_for_a_socket_that_we_accepted(serve, scheme):
    def client(_server, connect):
        with connect(scheme) as connection:
            return [ask(connection), ask(connection)]

    assert serve(client) == [f"{scheme} hello".encode()] * 2


def test_open_connections_are_known_with_their_requests_and_transports(serve):
    echo = Echo()

    def client(server, connect):
        with connect() as idle, connect() as busy:
            ask(idle)
            busy.request("POST", "/slow", b"")
            assert echo.reached.wait(TIMEOUT)
            found = {bool(each.cycle.response_complete): each for each in server.server_state.connections}
            assert set(found) == {True, False}
            assert all(isinstance(each.transport, asyncio.Transport) for each in found.values())
            echo.release.set()
            busy.getresponse().read()

    serve(client, echo)


def test_a_connection_without_a_request_has_no_cycle(serve):
    def client(server, connect):
        with connect() as connection:
            connection.connect()
            connection.send(b"POST / HTTP/1.1\r\n")
            until(lambda: server.server_state.connections)
            return [each.cycle for each in server.server_state.connections]

    assert serve(client) == [None]


def test_the_end_waits_for_a_running_request_and_not_for_idle_connections(serve):
    echo, told = Echo(), []

    def client(server, connect):
        with connect() as idle, connect() as busy:
            ask(idle)
            busy.request("POST", "/slow", b"x")
            assert echo.reached.wait(TIMEOUT)
            server.should_exit = True
            idle.sock.settimeout(TIMEOUT)
            with pytest.raises(ConnectionResetError):
                told.append(idle.sock.recv(1) or _closed())
            echo.release.set()
            told.append(busy.getresponse().read())

    serve(client, echo)
    assert told == [b"http x"]


def _closed():
    raise ConnectionResetError


def test_signals_are_ours_while_it_serves(serve):
    """uvicorn's own handling would raise them again at the end."""

    def client(server, _connect):
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        until(lambda: server.should_exit)

    serve(client)


def test_nothing_listens_but_our_socket(serve):
    def client(server, _connect):
        return server.servers

    assert serve(client) == []


def test_the_settings_are_known():
    config = settings(Echo())
    assert isinstance(config, uvicorn.Config)
    config.load()
    assert config.lifespan_class(config).state == {}


def test_the_listener_is_closed_at_the_end(serve):
    ports = []

    def client(server, _connect):
        ports.append(server._listener.getsockname()[1])

    serve(client)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), timeout=TIMEOUT)


def exchange(connect, *parts, scheme="http"):
    """The answer to raw bytes, which may come before all of them are sent."""
    with connect(scheme) as connection:
        connection.connect()
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sock.sendall(part)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        return answer.status, answer.getheader("connection"), answer.read()


HEADS = {
    "address": (b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 70_000),),
    "one header": (b"GET / HTTP/1.1\r\nx: %s\r\n\r\n" % (b"x" * 70_000),),
    "many headers": (b"GET / HTTP/1.1\r\n%s\r\n" % (b"x: %s\r\n" % (b"x" * 1000) * 70),),
    "address without an end": (b"GET /%s" % (b"x" * 70_000),),
    "header without an end": (b"GET / HTTP/1.1\r\nx: %s" % (b"x" * 70_000),),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", HEADS)
def test_address_and_headers_have_a_bound(serve, kind, scheme):
    status, connection, body = serve(lambda _, connect: exchange(connect, *HEADS[kind], scheme=scheme))
    assert (status, connection) == (431, "close")
    assert body == b"The address and the headers of a request may have 64 KiB together."


def test_the_bound_is_for_each_head_and_not_for_bodies(serve):
    def client(_, connect):
        with connect() as connection:
            answers = []
            for _ in range(3):
                connection.request("POST", "/" + "x" * 30_000, b"x" * 200_000, headers={"x": "x" * 30_000})
                answers.append(connection.getresponse().read()[:8])
            return answers

    assert serve(client) == [b"http xxx"] * 3


def test_what_is_not_http_is_still_a_bad_request(serve):
    status, connection, body = serve(lambda _, connect: exchange(connect, b"not http\r\n\r\n"))
    assert (status, connection, body) == (400, "close", b"Invalid HTTP request received.")
