"""Forks job processes from an interpreter that has imported the SDK already.

    python zygote.py DESCRIPTOR

`import azureml.core` costs one to three seconds, a fork of a process that has done it less than ten milliseconds.
Like launcher.py beside it this file stands alone: the interpreter (Python 3.9 or later) may have no azureml_wrapper.
It speaks lines of JSON with the service, over the socket DESCRIPTOR:

    service → zygote   {"job": 7, "command": […], "folder": "…", "variables": {…}, "log": "…"}
                       {"reap": 7}
    zygote → service   {"ready": ["azureml", "numpy", …],    top-level modules that every child has imported
                        "places": {"…/site-packages": 17…}}  the folders of packages, and when they last changed (ns)
                       {"job": 7, "pid": 4242}  or  {"job": 7, "error": "…"}
                       {"job": 7, "ended": true}             not reaped yet, so that its number stays its own
                       {"job": 7, "code": 0}                 minus the signal that ended it

It ends when the service closes the socket; its children go on.
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

# What almost every step of Azure ML imports, the expensive first.
PRELOADED = ("azureml.core", "numpy", "pandas", "azureml.data", "azureml.dataprep", "azureml.dataprep.rslex")


class Zygote:
    """The parent: takes orders, forks, and tells how its children end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting = b""
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._watched: dict[int, int] = {}  # descriptor of a child → job
        self._children: dict[int, int] = {}  # job → child
        # Opened by libraries while they were imported; a fresh process that imports them has these too.
        self._kept = descriptors() - {connection.fileno()}

    def serve(self) -> dict[str, Any] | None:
        """Fork until the service is gone. Gives each child its order; the parent gets None at the end."""
        self._tell({"ready": _top_level_modules(), "places": _places()})
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._connection.fileno():
                    self._say_ended(descriptor)
                    continue
                orders = self._read()
                if orders is None:
                    return None
                for order in orders:
                    if "reap" in order:
                        self._reap(order["reap"])
                    elif self._fork(order) == 0:
                        return order

    def _read(self) -> list[dict[str, Any]] | None:
        """All orders that have come, None at the end. No file object: what it buffers, poll would not tell of."""
        data = self._connection.recv(65536)
        if not data:
            return None
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _fork(self, order: dict[str, Any]) -> int:
        job: int = order["job"]
        try:
            pid = os.fork()
        except OSError as error:
            self._tell({"job": job, "error": str(error)})
            return -1
        if pid == 0:
            become(order, self._kept)
            return pid
        descriptor = os.pidfd_open(pid)
        self._watched[descriptor], self._children[job] = job, pid
        self._poll.register(descriptor, select.POLLIN)
        self._tell({"job": job, "pid": pid})
        return pid

    def _say_ended(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        self._tell({"job": self._watched.pop(descriptor), "ended": True})

    def _reap(self, job: int) -> None:
        _, status = os.waitpid(self._children.pop(job), 0)
        self._tell({"job": job, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, Any]) -> None:
        # The service may be gone; the next read finds out.
        with contextlib.suppress(BrokenPipeError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")


def become(order: dict[str, Any], kept: set[int]) -> None:
    """Turn the forked child into the process that was ordered."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect(order["log"])
    for descriptor in descriptors() - kept - {0, 1, 2}:
        os.close(descriptor)
    os.chdir(order["folder"])
    # Set by the interpreter itself where the locale is C (PEP 538); all others are the order's.
    coerced = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}
    os.environ.clear()
    os.environ.update({**coerced, **order["variables"]})
    time.tzset()
    sys.argv[:] = order["command"][1:]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = order["command"]
    if "numpy" in sys.modules:
        # The standard library's generator seeds itself after a fork; numpy's would repeat its parent's numbers.
        sys.modules["numpy"].random.seed()


def descriptors() -> set[int]:
    """The open descriptors of this process."""
    # The listing's own is among them, but closed by the time it is looked at.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}  # noqa: PTH110, PTH208


def finish(code: int) -> None:
    """End the child as the interpreter would, but for taking apart thousands of imported modules (75 ms).

    Threads are waited for, `atexit` functions run, and what was written to files that nobody closed is saved.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for thing in gc.get_objects():
        if isinstance(thing, io.IOBase) and not thing.closed and thing.writable():
            with contextlib.suppress(OSError, ValueError):
                thing.flush()
    os._exit(code)


def exit_code(error: BaseException) -> int:
    """What an uncaught exception means for the exit code; tells the user as the interpreter does."""
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
    """As PYTHONUNBUFFERED=1 makes them in a process that starts cold; name and encoding are those of `model`."""
    raw: Any = open(descriptor, "wb", 0, closefd=False)  # noqa: SIM115
    raw.name = model.name
    text = io.TextIOWrapper(raw, encoding=model.encoding, errors=model.errors, write_through=True)
    text.mode = "w"  # type: ignore[misc] # as the interpreter does for its own
    return text


def _top_level_modules() -> list[str]:
    """Built-in modules are left out: a file of the same name never hides them."""
    return sorted({name.partition(".")[0] for name in sys.modules} - {*sys.builtin_module_names, "__main__"})


def _places() -> dict[str, int]:
    """Where the imported packages lie. Installing another version changes the folder: its metadata is new there."""
    modules: list[tuple[str, Any]] = list(sys.modules.items())
    files = [module.__file__ for name, module in modules if "." not in name and _is_package(module)]
    folders = {os.path.dirname(os.path.dirname(file)) for file in files}  # noqa: PTH120
    return {folder: os.stat(folder).st_mtime_ns for folder in folders if os.path.isdir(folder)}  # noqa: PTH112, PTH116


def _is_package(module: Any) -> bool:
    """Those of namespaces have no file."""
    return bool(getattr(module, "__path__", None) and getattr(module, "__file__", None))


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        # A package that is not there is one that the scripts cannot import either.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    launcher = importlib.import_module("launcher")  # beside this file, which is no package here

    gc.collect()
    gc.freeze()
    if Zygote(connection).serve() is None:
        return
    code = 0
    try:
        launcher.main()
    except BaseException as error:  # noqa: BLE001 - what the interpreter itself does with it
        code = exit_code(error)
    finish(code)


if __name__ == "__main__":
    main()
