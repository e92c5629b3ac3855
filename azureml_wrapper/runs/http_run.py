"""A run over HTTP alone: what a RunWrapper says and does that needs no SDK, for commands that only read or cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from azureml_wrapper.assets.names import distinct_names
from azureml_wrapper.errors import RunTimeout, UnregisteredRun
from azureml_wrapper.run import ENDS, FAILED, SHORTEST_PAUSE, in_our_words, pause
from azureml_wrapper.runs.failure import Failure, find_traceback
from azureml_wrapper.runs.history_client import JSON, HistoryClient, history_time
from azureml_wrapper.runs.logs import log_files

# Kinds of runs that have a service of their own; only the SDK knows how to cancel them.
_OF_OTHER_SERVICES = ("hyperdrive", "automl")
_SCRIPT_RUN = "azureml.scriptrun"


class HttpRun:
    """A run, or a step of one.

    Args:
        client: The workspace's services.
        entry: Run history's entry of the run.
        experiment: The name of its experiment.
    """

    def __init__(self, client: HistoryClient, entry: JSON, experiment: str) -> None:
        self._client, self._entry = client, entry
        self.experiment = experiment

    @classmethod
    def find(cls, client: HistoryClient, run_id: str) -> HttpRun:
        """The run with that id; `UnregisteredRun` if the workspace has none."""
        entry = client.run(run_id)
        if entry is None:
            raise UnregisteredRun(f"Workspace {client.workspace.name} has no run {run_id!r}; `aml runs` lists them.")
        return cls(client, entry, client.experiment(str(entry["experimentId"])))

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self._entry["runId"])

    @property
    def name(self) -> str:
        """The step's name; for a run without a name, its id."""
        return str(self._entry.get("name") or self._entry.get("displayName") or self.id)

    @property
    def status(self) -> str:
        """The status when the run was last asked for."""
        return in_our_words(str(self._entry.get("status")))

    @property
    def has_ended(self) -> bool:
        """Whether the run had ended when it was last asked for."""
        return self.status in ENDS

    @property
    def properties(self) -> dict[str, Any]:
        """The run's properties."""
        return dict(self._entry.get("properties") or {})

    @property
    def reused_from(self) -> str | None:
        """The id of the run whose results this one reuses; None if the script ran."""
        reused = self.properties.get("azureml.reusedrunid")
        return str(reused) if reused else None

    @property
    def portal_url(self) -> str:
        """The address of the run's page."""
        return self._client.page(self.id)

    @property
    def duration(self) -> float:
        """Seconds since the run started, until it ended; 0.0 before it starts."""
        start = history_time(self._entry.get("startTimeUtc"))
        return 0.0 if start is None else (self._ended_at() - start).total_seconds()

    def steps(self) -> dict[str, HttpRun]:
        """The steps that have started, by name, in the order and with the names of `RunWrapper.steps`."""
        children = reversed(list(self._client.children(self.experiment, self.id)))
        started = [HttpRun(self._client, entry, self.experiment) for entry in children]
        created = sorted(started, key=lambda step: str(step._entry.get("createdUtc") or ""))
        names = dict(zip(map(id, created), distinct_names([step.name for step in created]), strict=True))
        return {names[id(step)]: step for step in started}

    def addresses(self, prefix: str) -> dict[str, str]:
        """Return name -> signed address of the run's files whose names begin with `prefix`."""
        return self._client.files(self.id, prefix)

    def address(self, name: str) -> str:
        """Return a new signed address of one of the run's files."""
        return self._client.file(self.id, name)

    def failure(self, steps: dict[str, HttpRun]) -> Failure | None:
        """Why the run failed, as `RunWrapper.failure`; None if nothing failed."""
        failed = {name: step for name, step in steps.items() if step.status == FAILED}
        if failed:
            first = min(failed, key=lambda name: failed[name]._ended_at())
            return failed[first]._own_failure(first)
        return self._own_failure(None) if self.status == FAILED else None

    def refresh(self, wait: float = 0.0) -> HttpRun:
        """Ask for the run's entry again; with `wait`, let the local service answer when it ends."""
        self._entry = self._client.run(self.id, wait) or self._entry
        return self

    @property
    def is_canceled_by_sdk(self) -> bool:
        """Whether only the SDK can cancel the run: it has a service of its own, or runs on a user's machine."""
        kind = str(self._entry.get("runType") or "")
        on_machine = kind == _SCRIPT_RUN and self._entry.get("target") == "local" and not self._client.is_local
        return on_machine or kind in _OF_OTHER_SERVICES

    def cancel(self) -> None:
        """Ask the run to stop, and return at once."""
        self._client.cancel(self.experiment, self._entry)

    def wait(self, timeout: float | None) -> None:
        """Wait until the run has ended; `RunTimeout` after `timeout` seconds."""
        started, elapsed = time.monotonic(), 0.0
        while not self._ends_within(pause(elapsed, timeout, is_local=self._client.is_local)):
            elapsed = time.monotonic() - started
            if timeout is not None and elapsed >= timeout and not self.refresh().has_ended:
                state = f"still {self.status} after {timeout:g} s"
                raise RunTimeout(f"Run {self.id} is {state}. Wait again, or cancel it.")

    def _ends_within(self, seconds: float) -> bool:
        held, began = self._client.is_local, time.monotonic()
        if self.refresh(seconds if held else 0.0).has_ended:
            return True
        # A service that shuts down answers at once.
        left = seconds - (time.monotonic() - began)
        time.sleep(max(0.0, min(left, SHORTEST_PAUSE) if held else left))
        return False

    def _ended_at(self) -> datetime:
        return history_time(self._entry.get("endTimeUtc")) or datetime.now(timezone.utc)

    def _own_failure(self, step: str | None) -> Failure:
        error = self._client.details(self.experiment, self.id).get("error") or {}
        message = str((error.get("error") or {}).get("message") or "")
        traceback = find_traceback(message) or find_traceback(self._log() if step else "")
        return Failure.of(step, message, traceback)

    def _log(self) -> str:
        """What the step has printed; of a pipeline in a pipeline, what its steps have."""
        steps = self.steps()
        if steps:
            return "\n".join(f"==> {name} <==\n{each._log()}" for name, each in steps.items())
        return "".join(self._script_logs())

    def _script_logs(self) -> Iterator[str]:
        for _, address in sorted(log_files(self._client, self.id).items()):
            content, _ = self._client.read(address)
            yield content.decode("utf-8", errors="replace")
