"""How a job ended, in run history's words.

The form and text of errors are those of failed runs in Azure (2022-12). `time` is .NET's zero there, and so here.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.distribution import SINGLE_LOG
from azureml_wrapper.local.domain.limits import ERROR_LENGTH
from azureml_wrapper.local.domain.runs import JSON, RunStatus
from azureml_wrapper.local.executor.tickets import StopReason

LOG = SINGLE_LOG
# What the service itself writes into a run's log begins with this.
OWN_LINE = "[local] "
_TRACEBACK = b"Traceback (most recent call last):"
# As much of the log's end as a traceback may take.
_TAIL_BYTES = 64 * 1024
_LAST_LINES = 10
# A shell tells of a signal by 128 and its number.
_SHELL_SIGNALS = 128


@dataclass(frozen=True)
class Ending:
    """A run's last status, and its error where it failed."""

    status: RunStatus
    error: JSON | None = None


COMPLETED = Ending(RunStatus.COMPLETED)
CANCELED = Ending(RunStatus.CANCELED)


def failed(message: str, *, code: str = "UserError") -> Ending:
    """The run failed; `message` is cut to Azure's limit."""
    error = {"code": code, "message": message[:ERROR_LENGTH], "messageParameters": {}, "details": []}
    return Ending(
        RunStatus.FAILED,
        {"error": error, "time": "0001-01-01T00:00:00.000Z", "componentName": "CommonRuntime"},
    )


def stopped(reason: StopReason, *, seconds: float | None = None) -> Ending:
    """The run was stopped from outside."""
    if reason is StopReason.CANCELED:
        return CANCELED
    limit = f" ({seconds:g} s)" if reason is StopReason.TIMEOUT and seconds is not None else ""
    return failed(f"Execution failed: {reason.value}{limit}, and its processes were ended.")


def exited(code: int, program: str, log: Path, name: str = LOG) -> Ending:
    """What the exit code of the script means; negative: minus the signal that ended it. `name` is the log's."""
    if code == 0:
        return COMPLETED
    if code < 0:
        ended = f"was killed by {_signal_text(-code) or f'signal {-code}'}"
    else:
        how = _signal_text(code - _SHELL_SIGNALS)
        ended = f"exited with status code {code}" + (f", which a shell says of {how}" if how else "")
    begin = f"Execution failed. User process '{program}' {ended}. Please check log file '{name}' for error details."
    end = _last_words(log)
    room = ERROR_LENGTH - len(begin) - len(" Error: ")
    return failed(f"{begin} Error: {end[-room:]}" if end else begin)


def _signal_text(number: int) -> str | None:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return None
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _last_words(log: Path) -> str:
    """The last traceback of a log with all that it followed from, or else its last lines."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    place = tail.rfind(_TRACEBACK)
    if place >= 0:
        return tail[place:].decode(errors="replace").strip()
    lines = tail.decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if not line.startswith(OWN_LINE)][-_LAST_LINES:]).strip()
