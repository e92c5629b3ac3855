"""Reads what a script prints, also while it grows."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from azureml_wrapper.jobs.states import log_files
from azureml_wrapper.runs.history_client import Client

# Read at once, in bytes.
BLOCK = 2**20


class LogReader:
    """What was not read yet of a run's logs; of several processes, one after the other with a line between."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._places: dict[str, int] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._shown: str | None = None

    def read(self) -> Iterator[str]:
        """The new pieces, in order."""
        files = log_files(self._client, self._run_id)
        for name in sorted(files):
            for content in self._blocks(name, files[name]):
                if len(files) > 1 and self._shown != name:
                    yield f"{'' if self._shown is None else chr(10)}==> {name} <==\n"
                self._shown = name
                yield content

    def _blocks(self, name: str, address: str) -> Iterator[str]:
        decoder = self._decoders.setdefault(name, codecs.getincrementaldecoder("utf-8")(errors="replace"))
        while True:
            content, total = self._client.read(address, self._places.get(name, 0), BLOCK)
            if not content:
                return
            self._places[name] = self._places.get(name, 0) + len(content)
            if text := decoder.decode(content):
                yield text
            if self._places[name] >= total:
                return
