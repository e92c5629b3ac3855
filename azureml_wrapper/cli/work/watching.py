"""Watch a run until it ends: its steps, in a table or line by line, or what its script prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from azureml_wrapper.cli.work.output import COLORS, Record, show_json
from azureml_wrapper.connection.connections import access_of
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.run import ENDS, RunWrapper
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.runs.logs import LogReader
from azureml_wrapper.runs.waiting import wait_or_cancel, wait_with_retries

# Seconds between two looks at a run, the shortest and the longest; each is half as long again as the one before.
STEPS_PAUSES = 0.1, 3.0
LOG_PAUSES = 0.3, 5.0


class Step(Protocol):
    """A RunWrapper, or anything else that has a status."""

    @property
    def status(self) -> str:
        """The current status."""

    @property
    def reused_from(self) -> str | None:
        """The id of the run whose results are reused; None if the script ran."""


class Lines:
    """Prints a line for each change of a step's status: for files, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, steps: Mapping[str, Step]) -> None:
        """Print the steps whose status has changed."""
        for name, step in steps.items():
            status = _word(step)
            if self._last.get(name) != status:
                self._last[name] = status
                self._console.out(f"{time.strftime('%H:%M:%S')} {name} {status}", highlight=False)


class Table:
    """A table of the steps that a terminal redraws in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> Table:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, steps: Mapping[str, Step]) -> None:
        """Redraw the table."""
        table = RichTable("step", "status", box=None)
        for name, step in steps.items():
            status = _word(step)
            table.add_row(Text(name), Text(status, style=COLORS.get(status, "")))
        self._live.update(table)


def show_steps(run: RunWrapper, retries: Mapping[str, int] | None = None) -> RunWrapper:
    """Show the steps until the run ends, and return the run that ended.

    Ctrl-C says that the run continues; a second one cancels it.

    Args:
        run: A run of a pipeline.
        retries: How often a failed step is tried again, by its name.

    Raises:
        RunFailed: The run failed.
        RunCanceled: The run was canceled.
    """
    return wait_with_retries(run, _show_steps, retries or {})


def show_log(run: RunWrapper) -> None:
    """Print what the script prints until the run ends; Ctrl-C and errors as in `show_steps`."""
    wait_or_cancel(run, stream)


def follow(run: RunWrapper, *, no_wait: bool, as_json: bool) -> None:
    """Show a run that was just submitted; its steps until it ends, unless `no_wait`."""
    if as_json:
        try:
            if not no_wait:
                wait_or_cancel(run, RunWrapper.wait)
        finally:
            show_json(state_of(run))
        return
    click.echo(f"Run {run.id}\n{run.portal_url}")
    if not no_wait:
        show_steps(run)


def state_of(run: RunWrapper) -> Record:
    """The run as `--json` prints it after a command has changed it."""
    return {"run": run.id, "status": run.status, "page": run.portal_url}


def stream(run: RunWrapper) -> None:
    """Print what the script prints until the run ends, fetching only what is new.

    The SDK's own streaming misses what is printed after its last look.
    """
    reader = LogReader(_client(run), run.id)
    shortest, longest = LOG_PAUSES
    pause = shortest
    while True:
        ended = run.status in ENDS
        grown = _print_new(reader)
        if ended:
            return
        pause = shortest if grown else min(pause * 1.5, longest)
        time.sleep(pause)


def _show_steps(run: RunWrapper) -> None:
    console = Console()
    pause, longest = STEPS_PAUSES
    with Table(console) if console.is_terminal else Lines(console) as shown:
        while True:
            ended = run.status in ENDS
            shown.show(run.steps)
            if ended:
                return
            run._ends_within(pause)
            pause = min(pause * 1.5, longest)


def _word(step: Step) -> str:
    """The status of a step; `reused` if it did not have to run."""
    return "reused" if step.reused_from else step.status


def _print_new(reader: LogReader) -> bool:
    """Print what is new in the log; whether anything was."""
    grown = False
    for text in reader.read():
        sys.stdout.write(text)
        grown = True
    sys.stdout.flush()
    return grown


def _client(run: RunWrapper) -> HistoryClient:
    """A client for the run's workspace that logs in as the SDK does."""
    ws = run.raw.experiment.workspace
    return HistoryClient(access_of(ws), Scope(ws.subscription_id, ws.resource_group, ws.name))
