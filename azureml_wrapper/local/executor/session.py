"""The life of one job, from its environment to its outputs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import Conflict, Invalid, ServiceFault
from azureml_wrapper.local.domain.runs import CLIENT_PYTHON, OTHER_PYTHON, Run, RunStatus
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.builds import EnvironmentBuilder, conda_program, machine_pythons
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.distributed import RankStarter, free_port, rank_starter
from azureml_wrapper.local.executor.endings import Ending
from azureml_wrapper.local.executor.environments import Choice, OwnPackages, choose, sdk_notes
from azureml_wrapper.local.executor.outputs import FolderCollector, OutputStager, StagedOutput
from azureml_wrapper.local.executor.overlay import make_overlay
from azureml_wrapper.local.executor.process import Process, Starter
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE
from azureml_wrapper.local.executor.runlogs import SecondName
from azureml_wrapper.local.executor.slots import Stopped, StopReason, Ticket
from azureml_wrapper.local.executor.staging import Staged, data_variables, stage
from azureml_wrapper.local.executor.tasks import runner_of, unknown_references
from azureml_wrapper.local.executor.variables import (
    inherited,
    interpreter_variables,
    job_variables,
    preload_variables,
    withheld,
)
from azureml_wrapper.local.faultpoints import fault_point
from azureml_wrapper.local.store.garbage import delete

BUILD_LOG = "azureml-logs/20_image_build_log.txt"
# The only name that StepRun's streaming in the SDK reads (azureml/pipeline/core/run.py, _stream_run_output).
DRIVER_LOG = "azureml-logs/70_driver_log.txt"


class Session:
    """Prepares a job, runs it, and publishes its files."""

    def __init__(
        self, context: ExecutorContext, ticket: Ticket, starter: Starter, builder: EnvironmentBuilder
    ) -> None:
        self._context, self._ticket, self._job = context, ticket, ticket.job
        self._starter, self._builder = starter, builder
        self._folder = context.home.jobs / ticket.job_key
        self._runner = runner_of(self._job)
        self._choice, self._interpreter = Choice(), Path()
        self._driver_log: SecondName | None = None

    @cached_property
    def _log(self) -> Path:
        return self._artifact(self._job.distribution.log(0))

    @cached_property
    def _ranks(self) -> RankStarter | None:
        """What starts the job's processes if it has several."""
        spread = self._job.distribution
        if spread.size == 1:
            return None
        logs = [self._artifact(spread.log(rank)) for rank in range(spread.size)]
        return rank_starter(spread, self._folder / "ranks", logs)

    def say(self, text: str) -> None:
        """Append lines of the service's own to the run's log."""
        # On a full disk the lines are lost; the run's error, which is stored as soon as possible, has the reason.
        with suppress(OSError), self._log.open("ab") as file:
            file.writelines(f"{endings.OWN_LINE}{line}\n".encode() for line in text.splitlines())

    def _prepend_log(self, text: str) -> None:
        """Insert a line above the log so far; the script has not started."""
        before = self._log.read_bytes()
        self._log.write_bytes(f"{endings.OWN_LINE}{text}\n".encode() + before)

    def prepare(self) -> str | None:
        """Open the log, and choose the interpreter. Returns the name of the environment that must be built for it."""
        self._log.touch()
        fault_point("jobs.log-made")
        self._driver_log = SecondName(self._log, self._artifact(DRIVER_LOG), self._context.home.incoming)
        self._choice = choice = choose(
            self._job.environment,
            OwnPackages(),
            has_conda=bool(self._job.environment.conda) and conda_program() is not None,
            pythons=machine_pythons,
        )
        self.say("\n".join(choice.reasons))
        if choice.other_python:
            key = self._job.workspace_id, self._job.run_id
            self._context.runs.change(*key, properties={OTHER_PYTHON: choice.other_python})
        if choice.interpreter is None:
            self._advance(RunStatus.PREPARING)
            return self._builder.name(choice, self._job.environment)
        self._use(choice.interpreter)
        return None

    def build(self) -> None:
        """Build the environment that `prepare` has named, unless another job did meanwhile."""
        log, environment = self._artifact(BUILD_LOG), self._job.environment
        interpreter, python = self._builder.provide(self._choice, environment, log=log, ticket=self._ticket)
        self.say(f"Interpreter: {interpreter}{python and f', of {python}'}.")
        self._use(interpreter)

    def _use(self, interpreter: Path) -> None:
        self._interpreter = interpreter
        if str(interpreter) != sys.executable:
            self.say("\n".join(sdk_notes(interpreter)))
        self._log_differences()

    def run(self, timed_out: Callable[[], None]) -> Ending:
        """Run the task until it ends, and publish its files; `timed_out` is called at its timeout."""
        self._ticket.check()
        staged = stage(self._context, self._job, self._folder)
        fault_point("jobs.staged")
        for note in staged.notes():
            self.say(note)
        run = self._advance(RunStatus.RUNNING, input_datasets=staged.input_datasets(self._context.forms))
        with self._limit(timed_out):
            ending = self._execute(staged, run)
        fault_point("jobs.ended")
        self._advance(RunStatus.FINALIZING)
        return self._publish(staged, ending)

    @contextmanager
    def _limit(self, timed_out: Callable[[], None]) -> Iterator[None]:
        if not self._job.timeout:
            yield
            return
        timer = threading.Timer(min(self._job.timeout, threading.TIMEOUT_MAX), timed_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def complete(self) -> None:
        """Complete and flush the run's files: logs are written in place."""
        if self._driver_log:
            self._driver_log.close()
        self._context.syncer.soon(self._artifacts)

    def remove(self) -> None:
        """Remove the working directory if it exists."""
        fault_point("jobs.folder-left")
        delete(self._folder)

    def _execute(self, staged: Staged, run: Run) -> Ending:
        python = make_overlay(self._folder / "env", self._interpreter, self._context.home.path / "programs")
        variables = self._variables(staged, python, run)
        command = self._runner.command(self._job, staged, python, variables)
        starter: Starter = self._ranks or self._starter
        self.say("\n".join(unknown_references(self._job, variables)))
        self._prepend_log(starter.explain(command, folder=staged.working_directory, variables=variables))
        if any("\0" in word for word in (*command, *variables.keys(), *variables.values())):
            raise Invalid("An argument or an environment variable contains a NUL character, which processes reject.")
        if self._runner.runs_in_interpreter:
            # For the next job of this environment; the first one does not wait.
            starter.preload(str(self._interpreter), preload_variables(variables))
        log = self._artifact(self._ranks.log_name) if self._ranks else self._log

        def start() -> Process:
            process = starter.start(command, folder=staged.working_directory, variables=variables, log=log)
            try:
                fault_point("jobs.started")
                self._context.jobs.set_process(self._ticket.job_key, process.identity.pid, process.identity.ticks)
            except BaseException:
                # A process that could not be found again must not go on.
                process.end()
                raise
            fault_point("jobs.numbered")
            process.go()
            return process

        try:
            code = self._ticket.run(start)
        except Stopped:
            reason = self._ticket.reason or StopReason.CANCELED
            self.say(f"Stopped: {reason.value}.")
            return endings.stopped(reason, seconds=self._job.timeout)
        return self._exited(code)

    def _exited(self, code: int) -> Ending:
        """The meaning of an exit code: of the only process, of the first rank that failed, or of mpirun."""
        spread = self._job.distribution
        name = spread.log(0)
        if self._ranks and code:
            failure = self._ranks.failure
            name = spread.log(failure.rank) if failure else self._ranks.log_name
            code = failure.code if failure else code
            self.say(f"Rank {failure.rank} of {spread.size} failed: see {name}." if failure else f"See {name}.")
        missing = self._choice_of_python() if code and self._interpreter == Path(sys.executable) else ""
        return endings.exited(code, str(self._interpreter), self._artifact(name), name, missing=missing)

    def _choice_of_python(self) -> str:
        """What to do if a module is missing in the service's own Python."""
        root = self._context.runs.get(self._job.workspace_id, self._job.run_id).root_id
        client = self._context.runs.get(self._job.workspace_id, root).properties.get(CLIENT_PYTHON)
        return endings.missing_module(sys.executable, client)

    def _publish(self, staged: Staged, ending: Ending) -> Ending:
        """Upload the run's folders in any case, and its outputs if it succeeded."""
        folders = FolderCollector(self._context, self._job, staged.working_directory, staged.outputs)
        try:
            for problem in folders.collect():
                self.say(problem)
        except (ServiceFault, OSError) as error:
            self.say(f"The files of the run could not be uploaded: {error}")
            if ending is endings.COMPLETED:
                raise
        fault_point("jobs.collected")
        if ending is not endings.COMPLETED:
            return ending
        outputs = OutputStager(self._context, self._job, self._folder)
        try:
            for output in staged.outputs:
                outputs.publish(output)
            self._describe(outputs, [output for output in staged.outputs if output.job_output.is_dataset])
        except ServiceFault as fault:
            self.say(fault.message)
            return endings.failed(fault.message)
        # Scripts write mounted outputs to the store themselves.
        self._context.syncer.soon(*(output.folder for output in staged.outputs))
        return ending

    def _describe(self, outputs: OutputStager, made: list[StagedOutput]) -> None:
        """Save the datasets of outputs, all or none of them."""
        if not made:
            return
        with self._context.runs.transaction():
            items = [outputs.describe(output) for output in made]
            fault_point("jobs.outputs-saved")
            self._context.runs.change(self._job.workspace_id, self._job.run_id, output_datasets=items)

    def _variables(self, staged: Staged, python: Path, run: Run) -> Mapping[str, str]:
        workspace = self._context.workspaces.by_id(self._job.workspace_id)
        shell = inherited(os.environ)
        given = {
            **shell,
            **self._job.environment.variables,
            **self._job.environment_variables,
        }
        return {
            **given,
            **self._runner.variables(staged, given),
            **interpreter_variables(
                self._interpreter, given.get("PATH", os.defpath), self._runner.shims(staged), python
            ),
            **job_variables(self._context, workspace, run),
            **data_variables(staged),
            **self._rank_variables(),
            JOB_KEY_VARIABLE: self._ticket.job_key,
        }

    def _rank_variables(self) -> Mapping[str, str]:
        """The variables of a distributed job's only process; several get theirs from what starts them."""
        spread = self._job.distribution
        return spread.variables(0, free_port()) if spread.launcher and spread.size == 1 else {}

    def _log_differences(self) -> None:
        for note in self._job.notes:
            self.say(note)
        compute = self._context.computes.find(self._job.workspace_id, self._job.target)
        for difference in compute.differences if compute else ():
            self.say(difference)
        if hidden := withheld(os.environ):
            self.say(hidden)

    @cached_property
    def _artifacts(self) -> Path:
        return self._context.artifact(self._job.workspace_id, self._job.run_id, DRIVER_LOG).parents[1]

    def _artifact(self, path: str) -> Path:
        file = self._artifacts / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _advance(self, status: RunStatus, **fields: Any) -> Run:
        try:
            return self._context.runs.advance(self._job.workspace_id, self._job.run_id, status, **fields)
        except Conflict:
            # Stopped or canceled in the meantime: its end says the rest.
            return self._context.runs.get(self._job.workspace_id, self._job.run_id)
