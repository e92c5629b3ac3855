"""Processes for commands and programs that begin with the SDK imported, as jobs of the local service do.

Each is a process of its own, with its own variables, folder and output. It is spared importing the SDK, which costs
more than most commands do: for each test process, one parent imports it, and forks. How an interpreter starts (what a
command imports, the console script, encodings) only real processes show.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.started import FORKS, counts

# Linux keeps messages of such a socket whole, and tells when the other end is gone.
POSSIBLE = sys.platform == "linux"
# Read when an interpreter starts, or a library is imported: a fork would not see them.
_AT_START = ("PYTHON", "HOME", "PATH", "LD_", "LANG", "LC_")
_LARGEST = 200_000
_PRELOADED = (
    *("azureml.core", "azureml.data", "azureml.pipeline.core", "azureml.pipeline.steps", "azureml.train.hyperdrive"),
    *("azureml.dataprep", "azureml.dataprep.rslex", "pandas", "requests", "rich.table", "rich.console", "yaml"),
    *("azureml_wrapper.testing", "azureml_wrapper.cli"),
)


def _preloaded() -> list[str]:
    work = Path(__file__).parents[1] / "azureml_wrapper" / "cli" / "work"
    return [*_PRELOADED, *(f"azureml_wrapper.cli.work.{file.stem}" for file in work.glob("[a-z]*.py"))]


def can_fork(extra: dict[str, str]) -> bool:
    """Whether a fork can have these variables in addition to those of this process.

    With AZUREML_WRAPPER_TEST_FORKS=off it never can: then all commands start as a user starts them.
    """
    allowed = POSSIBLE and os.environ.get("AZUREML_WRAPPER_TEST_FORKS") != "off"
    return allowed and not any(name.startswith(_AT_START) for name in extra)


class Forks:
    """The parent, from the first process on that somebody asks for, with these modules imported."""

    def __init__(self, modules: Sequence[str] | None = None) -> None:
        self._modules = _preloaded() if modules is None else modules
        self._lock = threading.Lock()
        self._parent: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def run(
        self, command: Sequence[str], *, folder: Path, variables: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` returns for `aml …`, or for `python -c TEXT …`."""
        counts[FORKS] += 1
        order = json.dumps({"command": list(command), "folder": str(folder), "variables": variables}).encode()
        with self._lock, open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
            connection = self._connect()
            output, errors = _Reader(), _Reader()
            socket.send_fds(connection, [order], [nothing.fileno(), output.end, errors.end])
            output.begin()
            errors.begin()
            pid = json.loads(connection.recv(100))
            if not select.select([connection], [], [], timeout)[0]:
                os.kill(pid, signal.SIGKILL)
                connection.recv(100)
                raise subprocess.TimeoutExpired(list(command), timeout)
            code = json.loads(connection.recv(100))
        return subprocess.CompletedProcess(list(command), code, output.text(), errors.text())

    def close(self) -> None:
        if self._parent is not None and self._socket is not None:
            self._socket.close()
            self._parent.wait()
            self._parent = None

    def _connect(self) -> socket.socket:
        if self._parent is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, "-m", "tests.forks", str(theirs.fileno()), *self._modules]
            root = Path(__file__).parents[1]
            self._parent = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=root, stdin=subprocess.DEVNULL)
            theirs.close()
        assert self._socket is not None
        return self._socket


class _Reader:
    """Reads all that is written into a pipe, while it is written."""

    def __init__(self) -> None:
        self._read, self.end = os.pipe()
        self._blocks: list[bytes] = []
        self._thread = threading.Thread(target=self._all, daemon=True)

    def begin(self) -> None:
        os.close(self.end)
        self._thread.start()

    def text(self) -> str:
        self._thread.join()
        return b"".join(self._blocks).decode().replace("\r\n", "\n")

    def _all(self) -> None:
        with os.fdopen(self._read, "rb") as stream:
            while block := stream.read1():
                self._blocks.append(block)


def serve(connection: socket.socket) -> Callable[[], Any] | None:
    """Fork until the other end is closed. Returns what is to be run in each child, and None in the parent."""
    while True:
        order, descriptors, *_ = socket.recv_fds(connection, _LARGEST, 3)
        if not order:
            return None
        pid = os.fork()
        if not pid:
            connection.close()
            return _become(json.loads(order), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _become(order: dict[str, Any], descriptors: Sequence[int]) -> Callable[[], Any]:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["variables"])
    # After a change of TZ.
    time.tzset()
    program, *words = order["command"]
    if program == "aml":
        sys.argv = ["aml", *words]
        return importlib.import_module("azureml_wrapper.cli").main
    option, text, *words = words
    assert (program, option) == ("python", "-c"), order["command"]
    sys.argv = ["-c", *words]
    sys.path[0] = ""
    return lambda: exec(compile(text, "<string>", "exec"), _main())  # noqa: S102 - what a test says


def _main() -> dict[str, Any]:
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    return vars(module)


def _end(run: Callable[[], Any]) -> None:
    """Run it, and end this process as an interpreter ends."""
    code: Any = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit((code or 0) & 0xFF)


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    run = serve(connection)
    if run is not None:
        _end(run)


if __name__ == "__main__":
    main()
