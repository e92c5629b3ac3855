"""Forks processes of jobs from an interpreter that has already imported the SDK.

    python zygote.py DESCRIPTOR

`import azureml.core` takes one to three seconds, a fork of a process that has done it less than ten milliseconds.
Not even those are waited for: the child of the next job, the spare, is forked while another job runs.
Like launcher.py, this file has no dependencies: the interpreter (Python 3.9 or later) may not have azureml_wrapper.
It exchanges lines of JSON with the service over the socket DESCRIPTOR:

    service → zygote   {"job": 7, "command": […], "folder": "…", "variables": {…}, "log": "…", "report": ["…", 123]}
                       {"go": 7}                         the child waits for it before it begins
                       {"reap": 7}
    zygote → service   {"ready": ["azureml", "numpy", …],    top-level modules that every child has imported
                        "places": {"…/site-packages": 17…}}  folders of packages, and when they last changed (ns)
                       {"job": 7, "pid": 4242}  or  {"job": 7, "error": "…"}
                       {"job": 7, "ended": true}             not reaped yet, so that its number is not reused
                       {"job": 7, "code": 0}                 minus a signal that ended it

The system takes longer to free a process's memory than a short job runs. A child that has given back all else
reports that itself: it opens the pipe `report` (a path, and its inode) and writes {"job": 7, "pid": 4242, "code": 0}.

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
import resource
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

# What almost every step of Azure ML imports, the expensive ones first.
PRELOADED = ("azureml.core", "numpy", "pandas", "azureml.data", "azureml.dataprep", "azureml.dataprep.rslex")
# Not io.IOBase, an abstract class, which takes 2 ms to compare itself with the types of all objects.
_STREAM = io.IOBase.__bases__[0]
# What a pipe takes at once. Longer orders, of jobs with thousands of arguments, get a child of their own.
LONGEST_LINE = 60_000
# A process that has used more memory (in KiB) is waited for until the system has it back.
LARGEST = 1024 * 1024


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
        self._running: dict[int, int] = {}  # those whose end has not been seen
        self._gates: dict[int, int] = {}  # job → the end of a pipe; its child reads the other one
        self._released: set[int] = set()  # jobs that are over for the service, while their processes still end
        self._spare: tuple[int, int] | None = None  # a child without a job, and its gate
        # Opened by libraries during their import; a new process that imports them has these, too.
        self._kept = descriptors() - {connection.fileno(), self._ends, wakeup}

    def serve(self) -> dict[str, Any] | None:
        """Fork until the service is gone. Returns the order in each child, and None in the parent at the end."""
        self._send({"ready": _top_level_modules(), "places": _places()})
        while True:
            # Not before the jobs that wait for their word have it.
            if not self._spare and not self._gates and (taken := self._fork_spare()) is not None:
                return taken
            for descriptor, _ in self._poll.poll():
                if descriptor == self._ends:
                    self._note_ends()
                    continue
                orders = self._read()
                if orders is None:
                    return None
                for order in orders:
                    if "go" in order:
                        self._open(order["go"])
                    elif "reap" in order:
                        self._reap(order["reap"])
                    elif (taken := self._begin(order)) is not None:
                        return taken

    def _read(self) -> list[dict[str, Any]] | None:
        """All orders received so far, None at the end. Without a file object, whose buffer poll does not see."""
        data = self._connection.recv(65536)
        if not data:
            return None
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _begin(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """Give an order to a child. Returns it in a new child, None in the parent."""
        job: int = order["job"]
        data = json.dumps(order).encode() + b"\n"
        if self._spare and self._hand_over(data):
            pid, gate = self._spare
            self._spare = None
        else:
            try:
                pid, gate = self._fork()
            except OSError as error:
                self._send({"job": job, "error": str(error)})
                return None
            if pid == 0:
                return become(order, _Gate(gate))
        self._gates[job] = gate
        self._children[job] = self._running[job] = pid
        self._send({"job": job, "pid": pid})
        return None

    def _hand_over(self, data: bytes) -> bool:
        """Give an order to the spare. False if that is gone, or the order is too long to be written at once."""
        if not self._spare or len(data) > LONGEST_LINE:
            return False
        try:
            while data:  # a signal may interrupt the writing
                data = data[os.write(self._spare[1], data) :]
        except BrokenPipeError:
            self._drop_spare()
            return False
        return True

    def _fork_spare(self) -> dict[str, Any] | None:
        """Fork the child of the next job. Returns its order in the child, None in the parent."""
        try:
            pid, gate = self._fork()
        except OSError:
            # The next job reports it, if it still cannot be forked.
            return None
        if pid == 0:
            orders = _Gate(gate)
            return become(json.loads(orders.line()), orders)
        self._spare = pid, gate
        return None

    def _fork(self) -> tuple[int, int]:
        """Fork a child, with a pipe between the two: its number (0 in the child), and the own end of the pipe."""
        closed, opened = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(closed)
            os.close(opened)
            raise
        if pid == 0:
            detach(self._kept | {closed})
            return 0, closed
        os.close(closed)
        return pid, opened

    def _drop_spare(self) -> None:
        if self._spare:
            pid, gate = self._spare
            os.close(gate)
            os.waitpid(pid, 0)
            self._spare = None

    def _note_ends(self) -> None:
        # Signals of several ends may have become one.
        os.read(self._ends, 65536)
        if self._spare and _has_ended(self._spare[0]):
            self._drop_spare()
        for job, pid in list(self._running.items()):
            if _has_ended(pid):
                del self._running[job]
                if job in self._released:
                    self._reap(job)
                else:
                    self._send({"job": job, "ended": True})

    def _open(self, job: int) -> None:
        gate = self._gates.pop(job)
        # The child may have been stopped already.
        with contextlib.suppress(BrokenPipeError):
            os.write(gate, b"1\n")
        os.close(gate)

    def _reap(self, job: int) -> None:
        if job in self._gates:
            os.close(self._gates.pop(job))
        if job in self._running:
            # It has reported its end.
            self._released.add(job)
            return
        self._released.discard(job)
        _, status = os.waitpid(self._children.pop(job), 0)
        self._send({"job": job, "code": os.waitstatus_to_exitcode(status)})

    def _send(self, message: dict[str, Any]) -> None:
        # The service may be gone; the next read will notice.
        with contextlib.suppress(BrokenPipeError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is not reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


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


class _Gate:
    """A child's end of its pipe from the zygote: the order, and the word to begin."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""

    def line(self) -> bytes:
        """The next line. Without one the process ends: the service is gone, and nothing knows this child."""
        while b"\n" not in self._data:
            part = os.read(self._descriptor, 65536)
            if not part:
                os._exit(0)
            self._data += part
        line, _, self._data = self._data.partition(b"\n")
        return line

    def close(self) -> None:
        os.close(self._descriptor)


def detach(kept: set[int]) -> None:
    """Give a forked child a session, signals and descriptors of its own, as a new process has them."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for descriptor in descriptors() - kept - {0, 1, 2}:
        os.close(descriptor)
    if numpy := sys.modules.get("numpy"):
        # The standard library's generator seeds itself after a fork; numpy's would repeat its parent's numbers.
        numpy.random.seed()


def become(order: dict[str, Any], gate: _Gate) -> dict[str, Any]:
    """Turn a detached child into the requested process, and let it begin when the service says so."""
    _redirect(order["log"])
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
    gate.line()
    gate.close()
    return order


def descriptors() -> set[int]:
    """The open descriptors of this process."""
    # The descriptor of the listing itself is closed by the time it is checked.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}  # noqa: PTH110, PTH208


def finish(code: int, order: dict[str, Any], pid: int) -> None:
    """End the child as the interpreter would, but without destroying thousands of imported modules (75 ms).

    Waits for threads, runs `atexit` functions, flushes files that were not closed, and reports the end.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for thing in gc.get_objects():
        # Not `isinstance`: it asks a proxy for its class, and that of a dead object, or a lazy one, raises.
        if issubclass(type(thing), _STREAM):
            # As at the interpreter's end, where errors of destructors are ignored.
            with contextlib.suppress(Exception):
                if not thing.closed and thing.writable():
                    thing.flush()
    # Not in a copy that the script has made of its process. If it fails, the zygote reports the end.
    with contextlib.suppress(OSError):
        if os.getpid() == pid and "report" in order:
            _report(order, code)
    os._exit(code)


def _report(order: dict[str, Any], code: int) -> None:
    """Report the end to the service, after giving back everything except memory."""
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > LARGEST or len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
        # The next job may need the memory, or a thread may still use a file or a device.
        return
    place, inode = order["report"]
    # Locks, ports and devices are free now, as after the end.
    for descriptor in descriptors():
        os.close(descriptor)
    pipe = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
    # Another process may have the number of a service that is gone.
    if os.fstat(pipe).st_ino == inode:
        os.write(pipe, json.dumps({"job": order["job"], "pid": os.getpid(), "code": code}).encode() + b"\n")


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
    for descriptor in {nothing, output} - {0, 1, 2}:
        os.close(descriptor)
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
    order = Zygote(connection).serve()
    if order is None:
        return
    code, pid = 0, os.getpid()
    try:
        launcher.main()
    except BaseException as error:  # noqa: BLE001 - as the interpreter itself does
        code = exit_code(error)
    finish(code, order, pid)


if __name__ == "__main__":
    main()
