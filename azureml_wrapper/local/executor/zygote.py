"""Forks processes of jobs from an interpreter that has already imported the SDK.

    python zygote.py DESCRIPTOR

`import azureml.core` takes one to three seconds, a fork of a process that has done it less than ten milliseconds.
Like launcher.py, this file has no dependencies: the interpreter (Python 3.9 or later) may not have azureml_wrapper.
It exchanges lines of JSON with the service over the socket DESCRIPTOR:

    service → zygote   {"job": 7, "command": […], "folder": "…", "variables": {…}, "log": "…"}
                       {"go": 7}                         the child waits for it before it begins
                       {"reap": 7}
    zygote → service   {"ready": ["azureml", "numpy", …],    top-level modules that every child has imported
                        "places": {"…/site-packages": 17…}}  folders of packages, and when they last changed (ns)
                       {"job": 7, "pid": 4242}  or  {"job": 7, "error": "…"}
                       {"job": 7, "ended": true}             not reaped yet, so that its number is not reused
                       {"job": 7, "code": 0}                 minus a signal that ended it

It ends when the service closes the socket; its children continue, except those that have not begun.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

# What almost every step of Azure ML imports, the expensive ones first.
PRELOADED = ("azureml.core", "numpy", "pandas", "azureml.data", "azureml.dataprep", "azureml.dataprep.rslex")


class Zygote:
    """The parent process: accepts orders, forks, and reports how its children end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting = b""
        self._ends, wakeup = _ends_of_children()
        self._poll = select.poll()
        for descriptor in (connection.fileno(), self._ends):
            self._poll.register(descriptor, select.POLLIN)
        self._children: dict[int, int] = {}  # job → child
        self._running: dict[int, int] = {}  # those whose end has not been reported
        self._gates: dict[int, int] = {}  # job → the end of a pipe; its child reads the other one
        # Opened by libraries during their import; a new process that imports them has these, too.
        self._kept = descriptors() - {connection.fileno(), self._ends, wakeup}

    def serve(self) -> dict[str, Any] | None:
        """Fork until the service is gone. Returns the order in each child, and None in the parent at the end."""
        self._send({"ready": _top_level_modules(), "places": _places()})
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._ends:
                    self._report_ends()
                    continue
                orders = self._read()
                if orders is None:
                    return None
                for order in orders:
                    if "go" in order:
                        self._open(order["go"])
                    elif "reap" in order:
                        self._reap(order["reap"])
                    elif self._fork(order) == 0:
                        return order

    def _read(self) -> list[dict[str, Any]] | None:
        """All orders received so far, None at the end. Without a file object, whose buffer poll does not see."""
        data = self._connection.recv(65536)
        if not data:
            return None
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _fork(self, order: dict[str, Any]) -> int:
        job: int = order["job"]
        closed, opened = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(closed)
            os.close(opened)
            self._send({"job": job, "error": str(error)})
            return -1
        if pid == 0:
            become(order, self._kept | {closed})
            await_go(closed)
            return pid
        os.close(closed)
        self._gates[job] = opened
        self._children[job] = self._running[job] = pid
        self._send({"job": job, "pid": pid})
        return pid

    def _report_ends(self) -> None:
        # Signals of several ends may have become one.
        os.read(self._ends, 65536)
        for job, pid in list(self._running.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                del self._running[job]
                self._send({"job": job, "ended": True})

    def _open(self, job: int) -> None:
        gate = self._gates.pop(job)
        # The child may have been stopped already.
        with contextlib.suppress(BrokenPipeError):
            os.write(gate, b"1")
        os.close(gate)

    def _reap(self, job: int) -> None:
        if job in self._gates:
            os.close(self._gates.pop(job))
        _, status = os.waitpid(self._children.pop(job), 0)
        self._send({"job": job, "code": os.waitstatus_to_exitcode(status)})

    def _send(self, message: dict[str, Any]) -> None:
        # The service may be gone; the next read will notice.
        with contextlib.suppress(BrokenPipeError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")


def _ends_of_children() -> tuple[int, int]:
    """A pipe that has something to read when a child has ended, and its other end.

    A signal, and no pidfd: kernels before 5.3, WSL 1 and some sandboxes have none.
    """
    ends, wakeup = os.pipe()
    for descriptor in (ends, wakeup):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    # The interpreter writes to the pipe only for signals that have a handler.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.siginterrupt(signal.SIGCHLD, False)
    return ends, wakeup


def await_go(gate: int) -> None:
    """Wait for the service's word; end if the service is gone before, because then nothing knows this process."""
    word = os.read(gate, 1)
    os.close(gate)
    if not word:
        os._exit(0)


def become(order: dict[str, Any], kept: set[int]) -> None:
    """Turn the forked child into the requested process."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect(order["log"])
    for descriptor in descriptors() - kept - {0, 1, 2}:
        os.close(descriptor)
    os.chdir(order["folder"])
    # Set by the interpreter itself if the locale is C (PEP 538); all others come from the order.
    coerced = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}
    os.environ.clear()
    os.environ.update({**coerced, **order["variables"]})
    time.tzset()
    sys.argv[:] = order["command"][1:]
    if order["command"][0] != sys.executable:
        # A job's own environment is bin/python's.
        environment = os.path.dirname(os.path.dirname(order["command"][0]))  # noqa: PTH120
        sys.modules["overlay_site"].adopt(environment)
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = order["command"]
    if "numpy" in sys.modules:
        # The standard library's generator seeds itself after a fork; numpy's would repeat its parent's numbers.
        sys.modules["numpy"].random.seed()


def descriptors() -> set[int]:
    """The open descriptors of this process."""
    # The descriptor of the listing itself is closed by the time it is checked.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}  # noqa: PTH110, PTH208


def finish(code: int) -> None:
    """End the child as the interpreter would, but without destroying thousands of imported modules (75 ms).

    Waits for threads, runs `atexit` functions, and flushes files that were not closed.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for thing in gc.get_objects():
        # Not `isinstance`: it asks a proxy for its class, and that of a dead object, or a lazy one, raises.
        if issubclass(type(thing), io.IOBase):
            # As at the interpreter's end, where errors of destructors are ignored.
            with contextlib.suppress(Exception):
                if not thing.closed and thing.writable():
                    thing.flush()
    os._exit(code)


def exit_code(error: BaseException) -> int:
    """Report an uncaught exception as the interpreter does, and return the exit code."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 1


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stdout = sys.__stdout__ = _unbuffered(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _unbuffered(2, sys.stderr)  # type: ignore[misc]


def _unbuffered(descriptor: int, model: Any) -> io.TextIOWrapper:
    """A stream as PYTHONUNBUFFERED=1 makes it in a new process, with the name and encoding of `model`."""
    raw: Any = open(descriptor, "wb", 0, closefd=False)  # noqa: SIM115
    raw.name = model.name
    text = io.TextIOWrapper(raw, encoding=model.encoding, errors=model.errors, write_through=True)
    text.mode = "w"  # type: ignore[misc] # as the interpreter does for its own
    return text


def _top_level_modules() -> list[str]:
    """The imported modules, without built-in ones, which a file of the same name never hides."""
    return sorted({name.partition(".")[0] for name in sys.modules} - {*sys.builtin_module_names, "__main__"})


def _places() -> dict[str, int]:
    """The folders of the imported packages. Installing another version changes them."""
    modules: list[tuple[str, Any]] = list(sys.modules.items())
    files = [module.__file__ for name, module in modules if "." not in name and _is_package(module)]
    folders = {os.path.dirname(os.path.dirname(file)) for file in files}  # noqa: PTH120
    return {folder: os.stat(folder).st_mtime_ns for folder in folders if os.path.isdir(folder)}  # noqa: PTH112, PTH116


def _is_package(module: Any) -> bool:
    """Whether a module is a package with a file; namespace packages have none."""
    return bool(getattr(module, "__path__", None) and getattr(module, "__file__", None))


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        # If a package is missing, scripts cannot import it either.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Beside this file, which is not in a package here.
    launcher = importlib.import_module("launcher")
    importlib.import_module("overlay_site")

    gc.collect()
    gc.freeze()
    if Zygote(connection).serve() is None:
        return
    code = 0
    try:
        launcher.main()
    except BaseException as error:  # noqa: BLE001 - as the interpreter itself does
        code = exit_code(error)
    finish(code)


if __name__ == "__main__":
    main()
