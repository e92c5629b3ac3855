"""The service's own process: `python -m azureml_wrapper.local.server --home FOLDER`.

One port serves http and https: the first byte of a connection tells which (0x16 starts a TLS handshake). One address
therefore works for the Python SDK, which always uses https for storage, and for rslex, which uses the protocol in the
datastore's record.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import platform
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import IO, Any

import uvicorn

from azureml_wrapper.local.app import build_application, build_context
from azureml_wrapper.local.background import Attempts, every
from azureml_wrapper.local.domain.errors import ServiceFault
from azureml_wrapper.local.executor.process import become_service
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.home import (
    UNSYNCED,
    Home,
    ServiceInfo,
    discard_trust,
    discard_unfinished,
    forget_clouds,
    refusal,
)
from azureml_wrapper.local.http.application import Application
from azureml_wrapper.local.http.protocol import BoundedProtocol
from azureml_wrapper.local.http.routing import Waiting
from azureml_wrapper.local.logs import LogFile, SafeFormatter
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.syncing import keep_mark, mark_end, mark_start, power_lost_since, restore
from azureml_wrapper.local.tls import server_context

TLS_HANDSHAKE = 0x16
FIRST_BYTE_TIMEOUT = 30.0
IDLE_SECONDS = 900.0
LOCK_TRIES = 20
IDLE_CHECK_SECONDS = 5.0
# After a connection could not be accepted: until then, another one may have been closed.
ACCEPT_PAUSE = 0.1
SERVICE_FILE_SECONDS = 2.0

log = logging.getLogger("azureml_wrapper.local")


class OneServer(uvicorn.Server):
    """uvicorn with one listening socket that speaks both http and https.

    It overrides and reads what uvicorn does not document: tests/contract/test_uvicorn.py has all of it, and setup.py
    allows the versions that pass.
    """

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, tls: ssl.SSLContext, waiting: Waiting
    ) -> None:
        super().__init__(config)
        self._listener, self._tls, self._waiting = listener, tls, waiting
        self._acceptor: asyncio.Task[None] | None = None
        self._complaint = ""
        self._connecting: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self.stop_on_signals()
        yield

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT. Call it before clients find the service, and may stop it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.servers: list[asyncio.Server] = []
        self._acceptor = asyncio.create_task(self._accept())
        self._acceptor.add_done_callback(self._acceptor_ended)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._acceptor:
            self._acceptor.cancel()
        self._listener.close()
        self._waiting.close()
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            # Idle ones, too, would be waited for: those with TLS until the client closes its side.
            if connection.cycle is None or connection.cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)

    def _acceptor_ended(self, task: asyncio.Task[None]) -> None:
        """A service that accepts no connections must not hold the home's lock."""
        if not task.cancelled() and not self.should_exit:
            log.critical("no more connections are accepted: stopping", exc_info=task.exception())
            self.should_exit = True

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                # Too many open files, no memory, or a client that has gone away: none of them lasts.
                self._complain(error)
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            self._complaint = ""
            connection.setblocking(False)
            task = asyncio.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _complain(self, error: OSError) -> None:
        """Log an error once, however often it repeats."""
        if str(error) != self._complaint:
            log.error("cannot accept a connection: %s; trying again", error)
        self._complaint = str(error)

    async def _connect(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            first = await asyncio.wait_for(_peek(connection), FIRST_BYTE_TIMEOUT)
            tls = self._tls if first and first[0] == TLS_HANDSHAKE else None
            await loop.connect_accepted_socket(self._protocol, connection, ssl=tls)
        except (OSError, asyncio.TimeoutError):
            # The client went away, sent nothing, or did not finish its handshake.
            connection.close()

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def settings(application: Any) -> uvicorn.Config:
    """uvicorn's settings: the protocol of httptools, and none of its own logs, signals, headers and proxies."""
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=BoundedProtocol,
        ws="none",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
    )


async def _peek(connection: socket.socket) -> bytes:
    """The first byte that the client sends, without taking it from the socket."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def listen(home: Home, port: int | None = None) -> socket.socket:
    """A listening socket on 127.0.0.1: on `port`, else on the port of the last start, else on a free one."""
    # asyncio sets TCP_NODELAY only if the protocol is given; without it, responses wait 40 ms for a delayed ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for choice in (port,) if port else (home.last_port() or 0, 0):
        try:
            listener.bind(("127.0.0.1", choice))
            break
        except OSError as error:
            if port or not choice:
                raise SystemExit(
                    f"Cannot listen on port {choice} of 127.0.0.1: {error.strerror}. Choose another one with --port."
                ) from error
            log.warning("port %s of the last start is in use; choosing another one", choice)
    listener.listen(512)
    listener.setblocking(False)
    return listener


def take_lock(home: Home) -> IO[str] | None:
    """Hold the home's lock until the process ends; None if another service holds it.

    Clients that check for a service (service_process.py) hold the lock for a few microseconds, so this tries often.
    """
    file = home.lock_file.open("a")
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return file
    file.close()
    return None


def serve(home: Home, *, port: int | None = None, idle: float = IDLE_SECONDS, ready: IO[str] | None = None) -> bool:
    """Run the service until it is stopped. Returns False if this home already has a running service."""
    with refusing(home):
        lock = take_lock(home)
    if lock is None:
        return False
    with lock:
        with refusing(home):
            # A killed service has left it; until the new one is written, clients must wait for this service.
            home.service_file.unlink(missing_ok=True)
            discard_unfinished(home)
            listener = listen(home, port)
            number: int = listener.getsockname()[1]
            home.write_port(number)
            forget_clouds(home)
            fault_point("start.port-written")
            context = open_stores(home, number)
            application = build_application(context)
            context.executor.recover()
            context.pipeline_executor.recover()
            context.sweeps.recover()
            fault_point("start.recovered")
            server = OneServer(settings(application), listener, server_context(home), context.waiting)
            python = f"{sys.executable} ({platform.python_version()})"
            info = ServiceInfo(pid=os.getpid(), port=number, secret=home.secret(), python=python)
        asyncio.run(_run(context, application, server, info, idle=idle, ready=ready))
        is_complete = context.syncer.close()
        context.database.close()
        if is_complete:
            Attempts("marking the home as complete").attempt(partial(mark_end, home))
    return True


@contextlib.contextmanager
def refusing(home: Home) -> Iterator[None]:
    """Exit with a sentence if the home cannot be used: a damaged or locked database, a full or read-only disk."""
    try:
        yield
    except ServiceFault as fault:
        raise SystemExit(fault.message) from fault
    except OSError as error:
        raise SystemExit(refusal(home, error)) from error


def open_stores(home: Home, port: int) -> Context:
    """All stores, without the incomplete files of a service that lost its power."""
    since = power_lost_since(home)
    context = build_context(home, port)
    if since is not None:
        log.warning("the last service lost its power: looking for incomplete files")
        restore(home.blobs, context.database, since, home.path / UNSYNCED)
        context.snapshots.discard_incomplete(datetime.fromtimestamp(since / 1e9, timezone.utc))
        context.blocks.clear()
        discard_trust(home)
    mark_start(home)
    context.syncer.start()
    return context


async def _run(
    context: Context,
    application: Application,
    server: OneServer,
    info: ServiceInfo,
    *,
    idle: float,
    ready: IO[str] | None,
) -> None:
    server.stop_on_signals()
    with refusing(context.home):
        context.home.write_service(info)
    log.info("listening on http://127.0.0.1:%s, pid %s", info.port, info.pid)
    tell(ready, "ready")
    context.executor.preload()
    await asyncio.to_thread(context.scheduler.start)
    tasks = [
        asyncio.create_task(
            every(SERVICE_FILE_SECONDS, "the check of service.json", partial(keep_service_file, context.home, info))
        ),
        asyncio.create_task(every(SERVICE_FILE_SECONDS, "the check of the clock", partial(keep_mark, context.home))),
    ]
    if idle > 0:
        check = idle_check(server, application, context, idle)
        tasks.append(asyncio.create_task(every(min(IDLE_CHECK_SECONDS, idle), "the check for idleness", check)))
    try:
        await server.serve()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(context.scheduler.close)
        # Pipelines first, so that the end of a step does not start the next one.
        context.pipeline_executor.close()
        context.sweeps.close()
        await asyncio.to_thread(context.executor.close)
        # Then what follows from the ends of the jobs.
        await asyncio.to_thread(context.work_queue.close)
        remove = partial(context.home.service_file.unlink, missing_ok=True)
        Attempts("removing service.json").attempt(remove)


def idle_check(server: OneServer, application: Application, context: Context, idle: float) -> Callable[[], None]:
    """A check that stops the server after `idle` seconds without requests, jobs and schedules."""
    busy = time.monotonic()

    def check() -> None:
        nonlocal busy
        # The scheduler comes last, because it queries the database.
        if context.executor.is_busy() or context.scheduler.is_busy():
            busy = time.monotonic()
        if time.monotonic() - max(application.last_request, busy) > idle:
            log.info("idle for %.0f s: stopping", idle)
            server.should_exit = True

    return check


def keep_service_file(home: Home, info: ServiceInfo) -> None:
    """Write service.json again if it was damaged or deleted: without it, no client finds the service."""
    if home.read_service() != info:
        log.warning("%s was damaged or deleted; writing it again", home.service_file)
        home.write_service(info)


def tell(ready: IO[str] | None, word: str) -> None:
    """Tell the process that started the service; it may have ended in the meantime."""
    if ready:
        with contextlib.suppress(BrokenPipeError), ready:
            ready.write(f"{word}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="azureml_wrapper.local.server", description=__doc__)
    parser.add_argument("--home", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument(
        "--idle", type=float, default=IDLE_SECONDS, help="seconds without work before the service stops; 0 for never"
    )
    parser.add_argument("--ready-fd", type=int, help="file descriptor to write to when the service listens")
    options = parser.parse_args()
    home = Home(options.home)
    handler = LogFile(home.log_file)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # One line for each malformed request, which needs no token.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    become_service()
    with refusing(home):
        home.create()
    ready = os.fdopen(options.ready_fd, "w") if options.ready_fd is not None else None
    if not serve(home, port=options.port, idle=options.idle, ready=ready):
        tell(ready, "busy")


if __name__ == "__main__":
    main()
