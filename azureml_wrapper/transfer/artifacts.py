"""The files of a run, at the signed addresses that the artifact service gives."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from azureml_wrapper.transfer.crew import Crew
from azureml_wrapper.transfer.downloads import fetch, ready
from azureml_wrapper.transfer.facts import Facts
from azureml_wrapper.transfer.fetching import Remote
from azureml_wrapper.transfer.http import Http
from azureml_wrapper.transfer.report import TransferReport
from azureml_wrapper.transfer.scan import safe_names, scan
from azureml_wrapper.transfer.tally import Tally

ORIGIN = "ExperimentRun"


def download_artifacts(
    run: Any, folder: Path, *, prefix: str, facts: Facts, shown: bool | None = None
) -> TransferReport:
    """Fetch a run's files below `prefix`; their sizes are not known before."""
    tally = Tally(f"from run {run.id} to {folder}")
    addresses = _addresses(run, prefix)
    if not addresses:
        return tally.report()
    # An artifact may be of any size; an empty one is a file, too.
    list(safe_names(addresses, dict.fromkeys(addresses, 1)))
    http = Http(next(iter(addresses.values())))
    places = ready(folder, 0)
    files = scan(folder).files
    remotes = []
    for name, address in addresses.items():
        known, file = facts.remote.get(name), files.get(name)
        same = known and file and facts.local_md5(name, file) == known[1]
        url = Address(run, name, address)
        remotes.append(Remote(name, url, url.renew, unless=known[0] if known and same else ""))
    with tally.telling(), Crew(http.stop) as crew:
        fetch(http, remotes, places, crew=crew, tally=tally, facts=facts, shown=shown)
        tally.check()
    http.close()
    facts.keep(addresses, addresses)
    return tally.report()


class Address:
    """The signed address of a run's file; `renew` asks for another one, for signatures expire."""

    def __init__(self, run: Any, name: str, address: str) -> None:
        self._run, self._name, self._address = run, name, _quoted(address)
        self._lock = threading.Lock()

    def __call__(self) -> str:
        return self._address

    def renew(self) -> None:
        with self._lock:
            found = self._run._client.artifacts.get_file_uri(ORIGIN, self._run._container, self._name)
            self._address = _quoted(found)


def _addresses(run: Any, prefix: str) -> dict[str, str]:
    """Name -> signed address of each file."""
    if run._container is None:
        # A run that has no place for files yet (azureml/core/run.py, get_file_names).
        return {}
    found = run._client.artifacts.get_files_by_artifact_prefix_id(f"{ORIGIN}/{run._container}/{prefix}")
    return {str(name): str(address) for name, address in found if str(name).startswith(prefix)}


def _quoted(address: str) -> str:
    """An address with everything escaped that has to be: the local service leaves blanks and accents as they are."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=quote(parts.path, safe="/%~")))
