"""The logs of a run's script: which of the run's files they are, their last line, and what is new while they grow."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from azureml_wrapper.runs.history_client import HistoryClient

# Scripts log here: in Azure's current runtime, and in the one before.
SCRIPT_LOG_FOLDERS = ("user_logs", "azureml-logs")
_SCRIPT_LOGS = (re.compile(r"user_logs/std_log.*\.txt"), re.compile(r"azureml-logs/70_driver_log.*\.txt"))
# Bytes per request.
BLOCK = 2**20
# Bytes at the end of a log in which the last line is searched; of a longer log, the first request finds the length.
TAIL = 4096
# Colors and the like, which a table must not pass on to a terminal.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
# What the service and, at exit, the SDK (azureml/_run_impl/run_base.py) write into the script's log.
_NOT_THE_SCRIPTS = re.compile(
    r"\[local\] |Cleaning up all outstanding Run operations|\d+ items cleaning up|Cleanup took "
)


def script_logs(names: Iterable[str]) -> list[str]:
    """Return those of a run's files that hold what its script has printed, one per process."""
    known = sorted(names)
    found = ([name for name in known if pattern.fullmatch(name)] for pattern in _SCRIPT_LOGS)
    return next(filter(None, found), [])


def log_files(client: HistoryClient, run_id: str) -> dict[str, str]:
    """Return the script's log files, each with the address to read it at."""
    for folder in SCRIPT_LOG_FOLDERS:
        files = client.files(run_id, folder)
        if names := script_logs(files):
            return {name: files[name] for name in names}
    return {}


def last_line(client: HistoryClient, run_id: str) -> str:
    """Return the last line that the script has printed; empty if it has printed nothing."""
    files = log_files(client, run_id)
    if not files:
        return ""
    address = files[sorted(files)[0]]
    content, size = client.read(address, 0, TAIL)
    if size > TAIL:
        start = max(TAIL, size - TAIL)
        rest, _ = client.read(address, start)
        content = content + rest if start == TAIL else rest
    lines = content.decode("utf-8", errors="replace").replace("\r", "\n").split("\n")
    printed = filter(None, (_CONTROLS.sub("", line).strip() for line in reversed(lines)))
    return next((line for line in printed if not _NOT_THE_SCRIPTS.match(line)), "")


class LogReader:
    """Reads a run's logs piece by piece; those of several processes one after the other, each under a heading."""

    def __init__(self, client: HistoryClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._offsets: dict[str, int] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._shown: str | None = None

    def read(self) -> Iterator[str]:
        """Yield what is new since the last call, in order."""
        files = log_files(self._client, self._run_id)
        for name in sorted(files):
            for text in self._new_text(name, files[name]):
                if len(files) > 1 and self._shown != name:
                    yield f"{'' if self._shown is None else chr(10)}==> {name} <==\n"
                self._shown = name
                yield text

    def _new_text(self, name: str, address: str) -> Iterator[str]:
        decoder = self._decoders.setdefault(name, codecs.getincrementaldecoder("utf-8")(errors="replace"))
        while True:
            content, total = self._client.read(address, self._offsets.get(name, 0), BLOCK)
            if not content:
                return
            self._offsets[name] = self._offsets.get(name, 0) + len(content)
            if text := decoder.decode(content):
                yield text
            if self._offsets[name] >= total:
                return
