"""Runs what is measured: a fresh process in a session of its own, within a limit of time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.memory import PeakMemory, family

TAIL, LAST = 4000, 200
ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Failed)\b")


class NotMeasured(Exception):
    """An entry has no result. The message is the reason that the table shows."""


class Failed(NotMeasured):
    """What was to be measured did not work. `output` is the end of what it printed."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(reason)
        self.output = output


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that ended well: wall time from start to end, the most memory of its family in bytes, its output."""

    seconds: float
    peak: int
    output: str

    def json(self) -> Any:
        """The line of JSON that it printed; `Failed` if it printed none."""
        for line in reversed(self.output.splitlines()):
            if line.startswith("{"):
                return json.loads(line)
        raise Failed("printed no values", self.output[-TAIL:])


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    variables: Mapping[str, str],
    limit: float,
    with_memory_of: Sequence[int] | None = None,
) -> Finished:
    """Run a command to its end. Memory is that of its family and of `with_memory_of`'s; not measured if None.

    Raises `NotMeasured` at the limit (in seconds; the family is killed), and if a process ended before its memory
    was read; `Failed` for another exit code than 0.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        late = threading.Event()
        # Popen.wait(timeout) would look only every 50 ms.
        timer = threading.Timer(limit, _end, (process.pid, late))
        timer.start()
        watched = [] if with_memory_of is None else [process.pid, *with_memory_of]
        with PeakMemory(watched) if watched else contextlib.nullcontext() as memory:
            try:
                code = process.wait()
                seconds = time.perf_counter() - start
            except KeyboardInterrupt:
                _end(process.pid, late)
                raise
            finally:
                timer.cancel()
        output, told = _text(out), _text(errors)
    if late.is_set():
        raise NotMeasured(f"cut off at the limit of {limit:.0f} s")
    if code:
        raise Failed(f"failed with exit code {code}: {error_line(told or output)}", (output + told)[-TAIL:])
    if memory and not memory.bytes:
        raise NotMeasured("ended before its memory could be read")
    return Finished(seconds=seconds, peak=memory.bytes if memory else 0, output=output)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def error_line(output: str) -> str:
    """The last line that names an error of Python, or else the last one."""
    lines = [line for line in output.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ERROR.match(line)), lines[-1] if lines else "no output")[:LAST]


def _end(pid: int, late: threading.Event) -> None:
    late.set()
    for each in [*family(pid)][::-1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
