"""RunWrapper: a run of a pipeline, of a step, or of a script."""

from __future__ import annotations

import contextlib
import html
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import distinct_names, folder_name
from azureml_wrapper.connection.target import is_local_address
from azureml_wrapper.errors import MissingInput, RunCanceled, RunFailed, RunTimeout, did_you_mean
from azureml_wrapper.runs.failure import Failure, find_traceback
from azureml_wrapper.workspace import PathLike

if TYPE_CHECKING:
    from azureml.core import Experiment, Run

COMPLETED, FAILED, CANCELED = "Completed", "Failed", "Canceled"
ENDS = (COMPLETED, FAILED, CANCELED)
# Pipelines and Azure's older services use other words.
_WORDS = {"Finished": COMPLETED, "Cancelled": CANCELED}
# Seconds between two requests for the status: a twentieth of the time that the run has taken, within these bounds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
# Seconds for which the local Azure ML delays its answer until the run ends.
HELD_SECONDS = 20.0


def in_our_words(status: str) -> str:
    """The status of a run as `RunWrapper.status` says it."""
    return _WORDS.get(status, status)


class RunWrapper:
    """A submitted run. `raw` is the SDK's own object."""

    def __init__(self, raw: Run) -> None:
        self._raw = raw
        self._is_plain = False
        self._end: str | None = None
        self._canceled_here = False

    @classmethod
    def _of_child(cls, raw: Any) -> RunWrapper:
        """A child as a listing returns it. The SDK's StepRun costs requests, so that `raw` creates it when needed."""
        run = cls(raw)
        run._is_plain = True
        run._remember(raw._run_dto.get("status"))
        return run

    @property
    def raw(self) -> Run:
        """The PipelineRun, StepRun or ScriptRun of the SDK."""
        if self._is_plain:
            self._raw, self._is_plain = self._raw.experiment.workspace.get_run(self.id), False
        return self._raw

    @property
    def experiment(self) -> Experiment:
        """The SDK's Experiment of the run."""
        return self._raw.experiment

    @property
    def id(self) -> str:
        """The run's id, unique in its workspace."""
        return str(self._raw.id)

    @property
    def name(self) -> str:
        """The step's name; for a run without a name, its id."""
        return str(self._raw._run_dto.get("name") or self._raw._run_dto.get("display_name") or self.id)

    @property
    def status(self) -> str:
        """The current status: "Completed", "Failed", "Canceled", "Running", "Queued", …; the same for all kinds."""
        if self._end is None:
            from azureml.core import Run

            # The status in run history; PipelineRun and StepRun would translate it.
            self._remember(Run.get_status(self._raw))
        return self._end or self._seen

    @property
    def reused_from(self) -> str | None:
        """The id of the run whose results this one reuses, because nothing has changed; None if the script ran."""
        reused = (self._raw._run_dto.get("properties") or {}).get("azureml.reusedrunid")
        return str(reused) if reused else None

    @property
    def portal_url(self) -> str:
        """The address of the run's page."""
        return str(self._raw.get_portal_url())

    @property
    def steps(self) -> dict[str, RunWrapper]:
        """The steps that have started, by name, in the order in which they started.

        Of steps with the same name, the one created first has it; the others are "train (2)", "train (3)", ….
        """
        children = list(self._raw.get_children(_rehydrate_runs=False))
        # The service lists the newest first, and numbers must not change when a queued step starts.
        started = [RunWrapper._of_child(child) for child in reversed(children)]
        created = sorted(started, key=RunWrapper._created)
        names = dict(zip(map(id, created), distinct_names([step.name for step in created]), strict=True))
        return {names[id(step)]: step for step in started}

    @property
    def metrics(self) -> dict[str, Any]:
        """The run's metrics by name; a list if logged repeatedly. Steps have their own, `steps[name].metrics`."""
        return dict(self._raw.get_metrics())

    @property
    def duration(self) -> float:
        """Seconds since the run started, until it ended; 0.0 before it starts."""
        details = self._raw._client.get_runstatus()
        start, end = details.start_time_utc, details.end_time_utc
        if start is None:
            return 0.0
        return max(0.0, float(end.timestamp() if end else time.time()) - float(start.timestamp()))

    @property
    def failure(self) -> Failure | None:
        """The first failed step, its exit code and its last traceback; None if nothing failed.

        A string with the attributes `step`, `exit_code` and `traceback`.
        """
        failed = {name: step for name, step in self.steps.items() if step.status == FAILED}
        if failed:
            first = min(failed, key=lambda name: failed[name]._ended_at())
            return failed[first]._own_failure(first)
        return self._own_failure(None) if self.status == FAILED else None

    def wait(self, timeout: float | None = None, show_output: bool = False) -> RunWrapper:
        """Wait until the run has ended, and return it.

        Args:
            timeout: Seconds to wait. Default: no limit.
            show_output: Print the logs while they grow, as the SDK does.

        Raises:
            RunFailed: The run failed; the message is that of `failure`.
            RunCanceled: The run was canceled, but not by `cancel` of this object.
            RunTimeout: The run has not ended after `timeout` seconds. It continues.
        """
        started = time.monotonic()
        if show_output:
            self._stream(timeout)
        elapsed = 0.0
        while not self._ends_within(pause(elapsed, timeout, is_local=self._is_local)):
            elapsed = time.monotonic() - started
            if timeout is not None and elapsed >= timeout and self.status not in ENDS:
                state = f"still {self.status} after {timeout:g} s"
                raise RunTimeout(f"Run {self.id} is {state}. Wait again, or cancel it.")
        self._raise_for_end()
        return self

    def logs(self, step: str | None = None) -> str:
        """Return what the script has printed; of a pipeline, what each step has printed, under its name.

        Args:
            step: Return the log of this step only: its name in `steps`, or its id.

        Raises:
            MissingInput: The run has no such step, or it has not started (a KeyError).
        """
        steps = self.steps
        if step is not None:
            found = steps.get(step) or next((each for each in steps.values() if each.id == step), None)
            if found is None:
                hint = did_you_mean(step, steps) or f" Steps that have started: {', '.join(steps) or 'none yet'}."
                raise MissingInput(f"Run {self.id} has no step {step!r}.{hint}")
            return found.logs()
        if steps:
            return "\n".join(f"==> {name} <==\n{each.logs()}" for name, each in steps.items())
        return "".join(map(self._read, self._script_logs()))

    def download(self, folder: PathLike) -> Path:
        """Download outputs, logs and other files of the run, and those of each step into a subfolder of its name.

        Files that an earlier download has brought and that are unchanged are skipped.

        Args:
            folder: Folder to download to; created if it is missing.

        Returns:
            The folder.

        Raises:
            TransferFailed: Not everything could be downloaded, or a file has a name that leads out of the folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        self._download_own(target)
        steps = self.steps
        # Some file systems take "Train" and "train" for the same folder.
        folders = distinct_names(list(map(folder_name, steps)), str.casefold)
        for name, step in zip(folders, steps.values(), strict=True):
            step._download_own(target / name)
        return target

    def cancel(self) -> None:
        """Ask the run to stop, and return at once; `abort` waits until it has. A run that has ended is left alone."""
        if self.status not in ENDS:
            self._canceled_here = True
            self.raw.cancel()

    def abort(self, *, timeout: float | None = 600) -> RunWrapper:
        """Cancel the run, wait until it has stopped, and return it. A run that has ended is left alone.

        Args:
            timeout: Seconds to wait; None waits without a limit.

        Raises:
            RunTimeout: The run has not stopped after `timeout` seconds.
        """
        self.cancel()
        # A run that fails while it is asked to stop has stopped as well.
        with contextlib.suppress(RunFailed):
            self.wait(timeout)
        return self

    def resubmit(self, from_failed: bool = True, parameters: Mapping[str, Any] | None = None) -> RunWrapper:
        """Submit the pipeline of this run again, with the same scripts, data and settings; return the run at once.

        Args:
            from_failed: Reuse the results of steps that have completed and allow it (`allow_reuse`), so that only the
                failed step and those that need it run. False runs every step.
            parameters: Values that replace those of this run.

        Raises:
            BadArgument: This is not the run of a pipeline.
            BadParameter: A parameter is unknown, or its value has the wrong type.
        """
        return self._resubmit(from_failed=from_failed, parameters=parameters)

    def _resubmit(
        self,
        *,
        from_failed: bool = True,
        parameters: Mapping[str, Any] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> RunWrapper:
        from azureml_wrapper.runs.resubmission import resubmit

        return RunWrapper(resubmit(self.raw, from_failed=from_failed, parameters=parameters, notes=notes or {}))

    def _remember(self, status: str) -> None:
        self._seen = in_our_words(status)
        self._end = self._seen if self._seen in ENDS else None

    def _ends_within(self, seconds: float) -> bool:
        """Whether the run has ended: the local Azure ML answers as soon as it does, Azure is asked again later."""
        if not self._is_local:
            if self.status in ENDS:
                return True
            time.sleep(seconds)
            return False
        started = time.monotonic()
        if self._end is None:
            # RFC 7240; answered by local/services/history/handlers.py. The SDK's own run gets the answer as well, as
            # from its get_status, so that its tags and properties are up to date.
            client = self._raw._client
            client.run_dto = client.run.get_run(custom_headers={"Prefer": f"wait={seconds:g}"})
            self._remember(client.run_dto.status)
        if self._end is None and time.monotonic() - started < seconds:
            # A service that shuts down answers at once.
            time.sleep(min(SHORTEST_PAUSE, seconds))
        return self._end is not None

    @property
    def _is_local(self) -> bool:
        return is_local_address(str(self._raw._client.run.get_cluster_url()))

    def _raise_for_end(self) -> None:
        if self.status == FAILED:
            raise RunFailed(str(self.failure or f"Run {self.id} failed.") + f"\nSee {self.portal_url}")
        if self.status == CANCELED and not self._canceled_here:
            raise RunCanceled(f"Run {self.id} was canceled.")

    def _stream(self, timeout: float | None) -> None:
        raw: Any = self.raw
        limited = hasattr(raw, "_pipeline_run_provider") or hasattr(raw, "_step_run_provider")
        options = {"timeout_seconds": timeout} if limited and timeout is not None else {}
        from azureml.exceptions import ExperimentExecutionException

        try:
            raw.wait_for_completion(show_output=True, raise_on_error=False, **options)
        except ExperimentExecutionException as error:
            # The SDK turns Ctrl-C into this error (azureml/pipeline/core/run.py).
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise

    def _own_failure(self, step: str | None) -> Failure:
        error = self._raw._client.get_runstatus().error
        message = str(error.error.message) if error and error.error else ""
        traceback = find_traceback(message) or find_traceback(self.logs() if step else "")
        return Failure.of(step, message, traceback)

    def _created(self) -> str:
        return str(self._raw._run_dto.get("created_utc") or "")

    def _ended_at(self) -> float:
        end = self._raw._client.get_runstatus().end_time_utc
        return float(end.timestamp()) if end else time.time()

    def _script_logs(self) -> list[str]:
        # Imported here because it brings urllib3.
        from azureml_wrapper.runs.logs import script_logs

        return script_logs(self._raw.get_file_names())

    def _read(self, name: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log.txt"
            self._raw.download_file(name, str(file))
            return file.read_text(encoding="utf-8", errors="replace")

    def _download_own(self, target: Path) -> None:
        # Imported here because it brings urllib3.
        from azureml_wrapper.transfer import download_run_files

        # Not the SDK's download_files: it writes wherever the names lead that a server sends, such as "../../x".
        download_run_files(self._raw, target, show_progress=False)

    def __repr__(self) -> str:
        return f"RunWrapper({self.id!r}, {self.status})"

    def _repr_html_(self) -> str:
        """A link to the run's page, shown in notebooks."""
        return f'<a href="{html.escape(self.portal_url)}">{html.escape(self.name)}</a>: {self.status}'


def pause(elapsed: float, timeout: float | None, *, is_local: bool) -> float:
    """How many seconds to wait for a change of the status, after `elapsed` of `timeout` seconds."""
    wanted = HELD_SECONDS if is_local else min(max(elapsed / 20, SHORTEST_PAUSE), LONGEST_PAUSE)
    return wanted if timeout is None else max(min(wanted, timeout - elapsed), 0.0)
