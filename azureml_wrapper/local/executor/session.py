"""One job from its environment to its outputs."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from azureml_wrapper.local.domain.distribution import MPI_LOG, Launcher
from azureml_wrapper.local.domain.environments import packages
from azureml_wrapper.local.domain.errors import Conflict, Invalid, ServiceFault
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import endings
from azureml_wrapper.local.executor.builds import EnvironmentBuilder, conda_program
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.distributed import RankStarter, free_port
from azureml_wrapper.local.executor.endings import Ending
from azureml_wrapper.local.executor.environments import OwnPackages, choose
from azureml_wrapper.local.executor.outputs import FolderCollector, OutputStager
from azureml_wrapper.local.executor.process import JOB_KEY_VARIABLE, Process, Starter
from azureml_wrapper.local.executor.staging import Staged, command_line, data_variables, stage, unknown_references
from azureml_wrapper.local.executor.tickets import Stopped, StopReason, Ticket
from azureml_wrapper.local.executor.variables import (
    inherited,
    interpreter_variables,
    job_variables,
    preload_variables,
    withheld,
)

BUILD_LOG = "azureml-logs/20_image_build_log.txt"
# StepRun's streaming in the SDK reads no other name (azureml/pipeline/core/run.py, _stream_run_output).
DRIVER_LOG = "azureml-logs/70_driver_log.txt"


class Session:
    """Prepares a job, runs it, and takes care of what it leaves."""

    def __init__(
        self, context: ExecutorContext, ticket: Ticket, starter: Starter, builder: EnvironmentBuilder
    ) -> None:
        self._context, self._ticket, self._job = context, ticket, ticket.job
        self._starter, self._builder = starter, builder
        self._folder = context.home.jobs / ticket.job_key
        self._interpreter = Path()

    @cached_property
    def _log(self) -> Path:
        return self._artifact(self._job.distribution.log(0))

    @cached_property
    def _launch(self) -> Starter:
        """How the job's processes are started: one as all jobs are, several by a launcher of their own."""
        spread = self._job.distribution
        if spread.size == 1:
            return self._starter
        logs = [self._artifact(spread.log(rank)) for rank in range(spread.size)]
        return RankStarter(spread, self._folder / "ranks", logs)

    @property
    def _launch_log_name(self) -> str:
        spread = self._job.distribution
        return MPI_LOG if spread.launcher is Launcher.MPI and spread.size > 1 else spread.log(0)

    @property
    def _launch_log(self) -> Path:
        return self._artifact(self._launch_log_name)

    def say(self, text: str) -> None:
        """Write lines of the service's own into the run's log."""
        # On a full disk the lines are lost; the run's error, which is stored as soon as it can be, has the reason.
        with suppress(OSError), self._log.open("ab") as file:
            file.writelines(f"{endings.OWN_LINE}{line}\n".encode() for line in text.splitlines())

    def _prepend_log(self, text: str) -> None:
        """Put a line above what was said so far; the script has not begun."""
        said = self._log.read_bytes()
        self._log.write_bytes(f"[local] {text}\n".encode() + said)

    def prepare(self) -> None:
        """Open the log, and provide the interpreter; the run is Preparing while one is built."""
        self._log.touch()
        os.link(self._log, self._artifact(DRIVER_LOG))
        spec = packages(self._job.environment)
        choice = choose(spec, OwnPackages(), has_conda=conda_program() is not None)
        self.say("\n".join(choice.reasons))
        if choice.interpreter is None:
            self._advance(RunStatus.PREPARING)
            self._interpreter = self._builder.provide(
                choice, self._job.environment, log=self._artifact(BUILD_LOG), ticket=self._ticket
            )
            self.say(f"Interpreter: {self._interpreter}")
        else:
            self._interpreter = choice.interpreter
        self._tell_differences()

    def run(self, timed_out: Callable[[], None]) -> Ending:
        """Run the script to its end, publish what it made; `timed_out` is called when its time is over."""
        self._ticket.check()
        staged = stage(self._context, self._job, self._folder)
        for note in staged.notes():
            self.say(note)
        self._context.runs.change(self._job.workspace_id, self._job.run_id, input_datasets=staged.input_datasets())
        self._advance(RunStatus.RUNNING)
        with self._limit(timed_out):
            ending = self._execute(staged)
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

    def close(self) -> None:
        """Remove the working directory."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self, staged: Staged) -> Ending:
        variables = self._variables(staged)
        command = command_line(self._job, staged, self._interpreter, variables)
        self.say("\n".join(unknown_references(self._job, variables)))
        self._prepend_log(self._launch.explain(command, folder=staged.working_directory, variables=variables))
        if any("\0" in word for word in (*command, *variables.keys(), *variables.values())):
            raise Invalid("An argument or an environment variable holds a NUL, which no process can be given.")

        # For the next job of this environment; the first one does not wait.
        self._launch.preload(command[0], preload_variables(variables))

        def start() -> Process:
            process = self._launch.start(
                command, folder=staged.working_directory, variables=variables, log=self._launch_log
            )
            try:
                self._context.jobs.set_process(self._ticket.job_key, process.identity.pid, process.identity.ticks)
            except ServiceFault:
                # A process that nobody would find again must not go on.
                process.end()
                raise
            return process

        try:
            code = self._ticket.run(start)
        except Stopped:
            reason = self._ticket.reason or StopReason.CANCELED
            self.say(f"Stopped: {reason.value}.")
            return endings.stopped(reason, seconds=self._job.timeout)
        return self._exited(code)

    def _exited(self, code: int) -> Ending:
        """What the exit code means: of the only process, or of the first rank that failed, or of mpirun."""
        name, spread = self._job.distribution.log(0), self._job.distribution
        if isinstance(self._launch, RankStarter) and code:
            failure = self._launch.failure
            name = spread.log(failure.rank) if failure else self._launch_log_name
            code = failure.code if failure else code
            self.say(f"Rank {failure.rank} of {spread.size} failed: see {name}." if failure else f"See {name}.")
        return endings.exited(code, str(self._interpreter), self._artifact(name), name)

    def _publish(self, staged: Staged, ending: Ending) -> Ending:
        """Upload the run's folders however it ended, and its outputs if it ended well."""
        for problem in FolderCollector(self._context, self._job, staged.working_directory).collect():
            self.say(problem)
        if ending is not endings.COMPLETED:
            return ending
        outputs = OutputStager(self._context, self._job, self._folder)
        try:
            for output in staged.outputs:
                outputs.publish(output)
            made = [outputs.describe(output) for output in staged.outputs if output.job_output.is_dataset]
        except ServiceFault as fault:
            self.say(fault.message)
            return endings.failed(fault.message)
        self._context.runs.change(self._job.workspace_id, self._job.run_id, output_datasets=made)
        return ending

    def _variables(self, staged: Staged) -> Mapping[str, str]:
        workspace = self._context.workspaces.by_id(self._job.workspace_id)
        run = self._context.runs.get(self._job.workspace_id, self._job.run_id)
        shell = inherited(os.environ)
        given = {
            **shell,
            **(packages(self._job.environment).variables or {}),
            **self._job.environment_variables,
        }
        shims = staged.shims if self._job.command else None
        return {
            **given,
            **interpreter_variables(self._interpreter, given.get("PATH", os.defpath), shims),
            **job_variables(self._context, workspace, run),
            **data_variables(staged),
            **self._rank_variables(),
            JOB_KEY_VARIABLE: self._ticket.job_key,
        }

    def _rank_variables(self) -> Mapping[str, str]:
        """What the only process of a distributed job is told; several are told by their launcher."""
        spread = self._job.distribution
        return spread.variables(0, free_port()) if spread.launcher and spread.size == 1 else {}

    def _tell_differences(self) -> None:
        for note in self._job.notes:
            self.say(note)
        compute = self._context.computes.find(self._job.workspace_id, self._job.target)
        for difference in compute.differences if compute else ():
            self.say(difference)
        if hidden := withheld(os.environ):
            self.say(f"Not passed on from the shell, because they look like secrets: {', '.join(hidden)}.")

    def _artifact(self, path: str) -> Path:
        return self._context.artifact(self._job.workspace_id, self._job.run_id, path)

    def _advance(self, status: RunStatus) -> None:
        try:
            self._context.runs.advance(self._job.workspace_id, self._job.run_id, status)
        except Conflict:
            # Told to stop meanwhile, or canceled before it was finalizing: the end tells the rest.
            return
