"""How a job ended: its last status, and its error in the words of failed runs in Azure (2022-12)."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.local.domain.jobs import SINGLE_LOG
from azureml_wrapper.local.domain.limits import ERROR_LENGTH
from azureml_wrapper.local.domain.runs import JSON, RunError, RunStatus
from azureml_wrapper.local.executor.slots import StopReason

LOG = SINGLE_LOG
# The prefix of lines that the service itself writes into a run's log.
OWN_LINE = "[local] "
_IMPORT_ERROR = re.compile(r"^(ModuleNotFoundError|ImportError): ", re.MULTILINE)
_TRACEBACK = b"Traceback (most recent call last):"
# The part of a log in which the last traceback is searched.
_TAIL_BYTES = 64 * 1024
_LAST_LINES = 10
# A shell reports a signal as 128 and its number.
_SHELL_SIGNALS = 128


@dataclass(frozen=True)
class Ending:
    """A run's last status, and its error if it failed: the service's, or as the run's script has sent it."""

    status: RunStatus
    error: RunError | JSON | None = None


COMPLETED = Ending(RunStatus.COMPLETED)
CANCELED = Ending(RunStatus.CANCELED)


def failed(message: str, *, code: str = "UserError") -> Ending:
    """The run failed."""
    return Ending(RunStatus.FAILED, RunError(message=message, code=code, component="CommonRuntime"))


def stopped(reason: StopReason, *, seconds: float | None = None) -> Ending:
    """The run was stopped from outside."""
    if reason is StopReason.CANCELED:
        return CANCELED
    limit = f" ({seconds:g} s)" if reason is StopReason.TIMEOUT and seconds is not None else ""
    return failed(f"Execution failed: {reason.value}{limit}, and its processes were stopped.")


def exited(code: int, program: str, log: Path, name: str = LOG, *, missing: str = "") -> Ending:
    """The meaning of a script's exit code; a negative one is minus the signal that ended it.

    Args:
        name: The log's.
        missing: What to add if the script failed because it could not import something.
    """
    if code == 0:
        return COMPLETED
    if code < 0:
        ended = f"was killed by {_signal_text(-code) or f'signal {-code}'}"
    else:
        how = _signal_text(code - _SHELL_SIGNALS)
        ended = f"exited with status code {code}" + (f", which in a shell means {how}" if how else "")
    begin = f"Execution failed. User process '{program}' {ended}. Please check log file '{name}' for error details."
    end = _last_words(log)
    remark = f"\n\n{OWN_LINE}{missing}" if missing and _IMPORT_ERROR.search(end) else ""
    room = ERROR_LENGTH - len(begin) - len(" Error: ") - len(remark)
    return failed(f"{begin} Error: {end[-room:]}{remark}" if end else begin)


def missing_module(python: str, client: str | None) -> str:
    """What to do if a module is missing in the service's own Python; `client` is the submitter's, None if unknown."""
    ran = f"The job ran in the service's Python, {python}"
    if client is None:
        where = ". If the module is installed in another one, list its package in the environment, or"
    else:
        where = f"; the run was submitted from {client}. List the package in the environment, or, to use that Python,"
    return f"{ran}{where} stop the service (`aml local down`) and start it from there (`aml local up`)."


def _signal_text(number: int) -> str | None:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return None
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _last_words(log: Path) -> str:
    """The last traceback of a log with its causes, or else its last lines."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    place = tail.rfind(_TRACEBACK)
    if place >= 0:
        return tail[place:].decode(errors="replace").strip()
    lines = tail.decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if not line.startswith(OWN_LINE)][-_LAST_LINES:]).strip()
