"""Shows what a run's script prints, while it runs; the SDK's streaming leaves out what comes after its last poll."""

from __future__ import annotations

import sys
import time

from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.run import ENDS, RunWrapper
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.runs.logs import LogReader

FIRST_PAUSE, LAST_PAUSE = 0.3, 5.0  # seconds between two looks; each is half as long again as the one before


def stream(run: RunWrapper) -> None:
    """Print the logs of the script to the end of the run; of each look, only what is new is fetched."""
    reader = LogReader(_client(run), run.id)
    pause = FIRST_PAUSE
    while True:
        ended = run.status in ENDS
        grown = _show(reader)
        if ended:
            return
        pause = FIRST_PAUSE if grown else min(pause * 1.5, LAST_PAUSE)
        time.sleep(pause)


def _show(reader: LogReader) -> bool:
    """Print what is new; whether there was something."""
    grown = False
    for text in reader.read():
        sys.stdout.write(text)
        grown = True
    sys.stdout.flush()
    return grown


def _client(run: RunWrapper) -> HistoryClient:
    """What asks the services of the run's workspace, as the SDK that is connected does."""
    ws = run.raw.experiment.workspace

    def token() -> str:
        return str(ws._auth.get_authentication_header()["Authorization"].partition(" ")[2])

    access = Access(str(ws.service_context._get_run_history_url()), token)
    return HistoryClient(access, Scope(ws.subscription_id, ws.resource_group, ws.name))
