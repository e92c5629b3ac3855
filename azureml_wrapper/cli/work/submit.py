"""Submit a script as a job: read what the project says in `.azureml`, check it, and submit."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from azureml_wrapper.assets.names import check_experiment_name
from azureml_wrapper.cli.options import parse_overrides, parse_values
from azureml_wrapper.cli.work.output import show_json
from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.loader import check
from azureml_wrapper.errors import FolderTaken, ScriptNotFound, did_you_mean
from azureml_wrapper.job import JobWrapper
from azureml_wrapper.jobs import preparation
from azureml_wrapper.jobs.folder import JobFolder
from azureml_wrapper.jobs.occupancy import check_place, refuse_taken
from azureml_wrapper.jobs.record import RECORD
from azureml_wrapper.jobs.settings import Settings, read_settings
from azureml_wrapper.snapshots.script_folder import describe_size
from azureml_wrapper.workspace import WorkspaceWrapper

ENTRY_SCRIPTS = ("aml_main.py", "tools/azureml/aml_main.py")
_SETTINGS = ("workspace", "compute_target", "datastore", "environment")


@dataclass(frozen=True)
class Request:
    """The command line, checked as far as possible without a workspace."""

    experiment: str
    job: dict[str, Any]
    settings: Settings
    locally: bool

    @property
    def folder(self) -> Path:
        """The job folder."""
        return Path(self.job["output_dir"])


def submit(*, force: bool, as_json: bool, **given: Any) -> None:
    """Prepare the workspace, submit the job, and print its run.

    Raises:
        click.UsageError: An option is missing, unknown or malformed.
        ConfigError: Lists everything that is wrong with the files in `.azureml`.
        ScriptNotFound: A script or a config file is missing.
        FolderTaken: The job folder holds a job, and neither `force` nor the user at the terminal gives it up.
    """
    request = _read(**given)
    scope = request.settings.scope
    target = "local" if request.locally else None
    workspace = WorkspaceWrapper(scope.name, scope.resource_group, scope.subscription_id, target=target)
    _check(request, workspace, as_json=as_json)
    force = force or _asked_to_abort(request.folder)
    job = JobWrapper._of(_prepared(workspace, request), workspace)
    click.echo(f"Uploading {describe_size(job.script_directory)}.", err=as_json)
    click.echo(_about_gpus(workspace, request.job.get("num_gpus")), nl=False, err=as_json)
    run = job.submit(request.experiment, force=force)
    if as_json:
        show_json({"job": str(request.folder), "run": run.id, "status": run.status, "page": run.portal_url})
        return
    click.echo(f"Run {run.id}\n{run.portal_url}\nFollow it with: aml logs -f {shlex.quote(str(request.folder))}")


def _read(
    *,
    experiment: str | None,
    entry_script: str | None,
    source_dir: str,
    config_file: Path | None,
    overrides: Sequence[str],
    given: Sequence[str],
    tags: Sequence[str],
    locally: bool,
    **options: Any,
) -> Request:
    pairs = {**parse_overrides(overrides), **parse_values(given)}
    _check_required(output_dir=options["output_dir"], experiment=experiment)
    settings = read_settings(**{name: options.pop(name) for name in _SETTINGS})
    directory = Path(source_dir).expanduser().absolute()
    if not directory.is_dir():
        raise ScriptNotFound(f"Folder not found: {directory}.")
    job = {
        "ws_name": settings.scope.name,
        "resource_group": settings.scope.resource_group,
        "subscription_id": settings.scope.subscription_id,
        "script_name": entry_script or _entry_script(directory),
        "script_directory": directory,
        "compute_name": settings.compute,
        "config_file": _inside(directory, config_file) if config_file else None,
        "parameters": pairs or None,
        "tags": parse_values(tags, "--tag") or None,
        **options,
    }
    check_place(Path(options["output_dir"]))
    return Request(check_experiment_name(experiment or ""), job, settings, locally)


def _check_required(**given: str | None) -> None:
    """Raise a usage error for missing options; after unknown ones, which may be these, misspelled."""
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise click.UsageError(f"Missing option {' and '.join(missing)}.")


def _entry_script(directory: Path) -> str:
    found = next((name for name in ENTRY_SCRIPTS if (directory / name).is_file()), None)
    if found is None:
        raise ScriptNotFound(
            f"{directory} has neither {' nor '.join(ENTRY_SCRIPTS)}. Write one, or set --entry_script."
        )
    return found


def _inside(directory: Path, file: Path) -> str:
    """The path of a file relative to the folder that is uploaded."""
    whole = file.expanduser().absolute()
    if not whole.is_file():
        near = did_you_mean(file.name, [each.name for each in whole.parent.glob("*")])
        raise ScriptNotFound(f"Config file not found: {file}.{near}")
    if not whole.resolve().is_relative_to(directory.resolve()):
        raise ScriptNotFound(f"{file} is not in {directory}, the folder that is uploaded. Copy it there.")
    return whole.resolve().relative_to(directory.resolve()).as_posix()


def _check(request: Request, workspace: WorkspaceWrapper, *, as_json: bool) -> None:
    """Report what is wrong with the job and its files before connecting."""
    job = JobWrapper._of(check(JobConfig, {**request.job, "env_name": "not chosen yet"}), workspace)
    note = preparation.protect(job.script_directory, request.settings.private, request.folder)
    click.echo(note, nl=False, err=as_json)
    job.check()


def _prepared(workspace: WorkspaceWrapper, request: Request) -> JobConfig:
    """The job's config, with everything that it names ready in the workspace."""
    ws = workspace.ws
    datastore = preparation.prepare_datastore(ws, request.settings.datastore)
    environment, variables = preparation.prepare_environment(ws, request.settings.environment)
    named = {"datastore_name": datastore, "env_name": environment, "environment_variables": variables or None}
    return check(JobConfig, {**request.job, **named})


def _asked_to_abort(folder: Path) -> bool:
    """Whether the user, asked at a terminal, lets the new job replace the one in the folder."""
    if not (folder / RECORD).is_file():
        return False
    if not sys.stdin.isatty():
        refuse_taken(folder)
    held = JobFolder(folder)
    question = f"{folder} holds run {held.record.run_id}, {held.status}. Abort it and put the new job in its place?"
    if not click.confirm(question, err=True):
        raise FolderTaken(f"{folder} keeps the job that it holds.")
    return True


def _about_gpus(workspace: WorkspaceWrapper, count: int | None) -> str:
    if not count or not workspace.is_local:
        return ""
    return f"The local Azure ML has no GPUs: the script gets --num_gpus {count} and runs on this machine's CPUs.\n"
