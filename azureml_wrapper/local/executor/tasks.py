"""How each kind of task (domain/jobs.py) is started: one strategy object for each class, in `RUNNERS`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from azureml_wrapper.local import driver
from azureml_wrapper.local.domain.jobs import Command, Job, ParallelRun, Script
from azureml_wrapper.local.executor import launcher
from azureml_wrapper.local.executor.overlay import write_program
from azureml_wrapper.local.executor.staging import REFERENCE, Staged

_INPUT, _OUTPUT = "DatasetConsumptionConfig:", "DatasetOutputConfig:"
_VARIABLE = re.compile(r"\$((?:AZUREML_DATAREFERENCE|AML_PARAMETER)_\w+)")
_NAMED = re.compile(rf"(?:{_INPUT}|{_OUTPUT})[\w.-]+")
_IN_COMMAND = re.compile(rf"{_NAMED.pattern}|\${REFERENCE}\w+")
_SHIM = """#!/bin/sh
# Runs a command's scripts as the script of a job: what they log is saved when they end.
[ "$1" = -u ] && shift
case "$1" in
  -m | *.py) exec {python} {launcher} "$@" ;;
  *) exec {python} "$@" ;;
esac
"""


class Runner(Protocol):
    """Starts one kind of task."""

    # Whether the task runs in the job's interpreter itself, so that a preloaded one can be forked for it.
    runs_in_interpreter: bool

    def command(self, job: Job, staged: Staged, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
        """The program to start and its arguments, with all placeholders replaced."""

    def shims(self, staged: Staged) -> Path | None:
        """A folder that comes first in the task's PATH."""

    def variables(self, staged: Staged, given: Mapping[str, str]) -> Mapping[str, str]:
        """The environment variables of this kind of task; `given` are the user's."""


class ScriptRunner:
    """Runs a script through launcher.py."""

    runs_in_interpreter = True

    def command(self, job: Job, staged: Staged, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
        places = _places(staged)
        arguments = (_replaced(argument, places, variables) for argument in job.task.arguments)
        return [str(interpreter), launcher.__file__, self.script(job.task), *arguments]

    def shims(self, staged: Staged) -> Path | None:
        return None

    def variables(self, staged: Staged, given: Mapping[str, str]) -> Mapping[str, str]:
        return {}

    def script(self, task: Any) -> str:
        """The path of the script, from the working directory."""
        return str(task.path)


class ParallelRunner(ScriptRunner):
    """Runs the driver of ParallelRunStep."""

    def script(self, task: Any) -> str:
        return driver.MAIN


class CommandRunner:
    """Runs a command line in a shell whose `python` is the job's interpreter."""

    runs_in_interpreter = False

    def command(self, job: Job, staged: Staged, interpreter: Path, variables: Mapping[str, str]) -> list[str]:
        _write_shims(staged.shims, interpreter)
        line = " ".join((job.task.line, *job.task.arguments)) if isinstance(job.task, Command) else ""
        references = {f"${REFERENCE}{item.job_input.name}": item.value for item in staged.inputs}
        references.update({f"${REFERENCE}{item.name}": str(item.folder) for item in staged.outputs})
        known = {**_places(staged), **references}
        return ["/bin/sh", "-c", _IN_COMMAND.sub(lambda name: shlex.quote(known.get(name[0], name[0])), line)]

    def shims(self, staged: Staged) -> Path | None:
        return staged.shims

    def variables(self, staged: Staged, given: Mapping[str, str]) -> Mapping[str, str]:
        # Whatever starts the script (torchrun, `cd sub && python`), it imports from the root of its source directory.
        paths = filter(None, (str(staged.working_directory), given.get("PYTHONPATH")))
        return {"PYTHONPATH": os.pathsep.join(paths)}


RUNNERS: Mapping[type, Runner] = {Script: ScriptRunner(), ParallelRun: ParallelRunner(), Command: CommandRunner()}


def runner_of(job: Job) -> Runner:
    """The strategy for a job's task."""
    return RUNNERS[type(job.task)]


def unknown_references(job: Job, variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each data reference in the arguments that the run configuration does not have."""
    for argument in job.task.arguments:
        for name in _VARIABLE.findall(argument):
            if name.startswith(REFERENCE) and name not in variables:
                reference = name.removeprefix(REFERENCE)
                yield (
                    f"The argument ${name} is passed on unchanged: the run configuration has no data reference "
                    f"{reference!r}. Add it: run_config.data_references[ref.data_reference_name] = ref.to_config()."
                )


def _places(staged: Staged) -> dict[str, str]:
    """Placeholder → path or dataset id."""
    places = {f"{_INPUT}{item.job_input.name}": item.value for item in staged.inputs}
    places.update({f"{_OUTPUT}{item.name}": str(item.folder) for item in staged.outputs})
    return places


def _replaced(argument: str, places: Mapping[str, str], variables: Mapping[str, str]) -> str:
    if argument in places:
        return places[argument]
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), argument)


def _write_shims(folder: Path, interpreter: Path) -> None:
    folder.mkdir()
    text = _SHIM.format(python=shlex.quote(str(interpreter)), launcher=shlex.quote(launcher.__file__))
    for name in ("python", "python3"):
        write_program(folder / name, text)
