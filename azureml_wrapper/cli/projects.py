"""What `aml submit` does: reads what the project says in `.azureml`, and submits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from azureml_wrapper.assets.names import check_experiment_name
from azureml_wrapper.cli.options import parse_overrides
from azureml_wrapper.cli.output import show_json
from azureml_wrapper.cli.pipelines import parse_values
from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.loader import check
from azureml_wrapper.errors import FolderTaken, ScriptNotFound, did_you_mean
from azureml_wrapper.job import JobWrapper
from azureml_wrapper.jobs import preparation
from azureml_wrapper.jobs.occupancy import check_place, refuse_taken
from azureml_wrapper.jobs.record import RECORD
from azureml_wrapper.jobs.settings import Settings, read_settings
from azureml_wrapper.run import RunWrapper
from azureml_wrapper.snapshots import ignore_file
from azureml_wrapper.snapshots.script_folder import describe_size
from azureml_wrapper.workspace import WorkspaceWrapper

ENTRY_SCRIPTS = ("aml_main.py", "tools/azureml/aml_main.py")


@dataclass(frozen=True)
class Order:
    """What was typed, checked as far as that goes without a workspace."""

    experiment: str
    job: dict[str, Any]
    settings: Settings
    locally: bool


def order(
    *,
    exp_name: str | None,
    entry_script: str | None,
    source_dir: str,
    config_file: Path | None,
    overrides: Sequence[str],
    tags: Sequence[str],
    locally: bool,
    **given: Any,
) -> Order:
    """Read the settings, and find the files; a `ConfigError`, `ScriptNotFound` or usage error tells what is wrong."""
    pairs = parse_overrides(overrides)
    _check_needed(output_dir=given["output_dir"], exp_name=exp_name)
    settings = read_settings(**{name: given.pop(name) for name in _SETTINGS})
    directory = Path(source_dir).expanduser().absolute()
    if not directory.is_dir():
        raise ScriptNotFound(f"There is no folder {directory}.")
    job = {
        "ws_name": settings.scope.name,
        "resource_group": settings.scope.resource_group,
        "subscription_id": settings.scope.subscription_id,
        "script_name": entry_script or _entry_script(directory),
        "script_directory": directory,
        "compute_name": settings.compute,
        "config_file": _inside(directory, config_file) if config_file else None,
        "overrides": pairs or None,
        "tags": parse_values(tags) or None,
        **given,
    }
    check_place(Path(given["output_dir"]))
    return Order(check_experiment_name(exp_name or ""), job, settings, locally)


def submit(order: Order, *, force: bool, as_json: bool) -> None:
    """Prepare the workspace, submit, and say how to go on."""
    target = "local" if order.locally else None
    names = (order.settings.scope.name, order.settings.scope.resource_group, order.settings.scope.subscription_id)
    workspace = WorkspaceWrapper(*names, target=target)
    folder = Path(order.job["output_dir"])
    with _quiet(as_json):
        _check(order, workspace, folder)
        force = force or _asked_to_abort(folder)
        job = JobWrapper._of(_prepared(workspace, order), workspace)
        click.echo(f"Sending {describe_size(job.script_directory)}.")
        click.echo(_about_gpus(workspace, order.job.get("num_gpus")), nl=False)
        run = job.submit(order.experiment, force=force)
    _tell(run, folder, as_json=as_json)


def _check_needed(**given: str | None) -> None:
    """A usage error for options that have to be there; told after unknown ones, which may be these, misspelt."""
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise click.UsageError(f"Missing option {' and '.join(missing)}.")


_SETTINGS = ("workspace", "compute_target", "datastore", "environment")


def _entry_script(directory: Path) -> str:
    found = next((name for name in ENTRY_SCRIPTS if (directory / name).is_file()), None)
    if found is None:
        raise ScriptNotFound(
            f"There is neither {' nor '.join(ENTRY_SCRIPTS)} in {directory}. Write one, or give --entry_script."
        )
    return found


def _inside(directory: Path, file: Path) -> str:
    """A file's name in the folder that is sent."""
    whole = file.expanduser().absolute()
    if not whole.is_file():
        near = did_you_mean(file.name, [each.name for each in whole.parent.glob("*")])
        raise ScriptNotFound(f"There is no config file {file}.{near}")
    if not whole.resolve().is_relative_to(directory.resolve()):
        raise ScriptNotFound(f"{file} is not in {directory}, the folder that is sent. Copy it there.")
    return whole.resolve().relative_to(directory.resolve()).as_posix()


def _check(order: Order, workspace: WorkspaceWrapper, folder: Path) -> None:
    """Tell what is wrong with the job and its files before anybody is connected."""
    job = JobWrapper._of(check(JobConfig, {**order.job, "env_name": "not chosen yet"}), workspace)
    click.echo(ignore_file.protect(job.script_directory, order.settings.private, folder), nl=False)
    job.check()


def _prepared(workspace: WorkspaceWrapper, order: Order) -> JobConfig:
    """The job's config, with everything that it names ready in the workspace."""
    ws = workspace.ws
    datastore = preparation.prepare_datastore(ws, order.settings.datastore)
    environment, variables = preparation.prepare_environment(ws, order.settings.environment)
    named = {"datastore_name": datastore, "env_name": environment, "environment_variables": variables or None}
    return check(JobConfig, {**order.job, **named})


def _asked_to_abort(folder: Path) -> bool:
    """Whether somebody at a terminal lets the new job take the place of the one in the folder."""
    if not (folder / RECORD).is_file():
        return False
    if not sys.stdin.isatty():
        refuse_taken(folder)
    from azureml_wrapper.jobs.folder import JobFolder

    held = JobFolder(folder)
    question = f"{folder} holds run {held.record.run_id}, {held.status}. Abort it and put the new job in its place?"
    if not click.confirm(question):
        raise FolderTaken(f"{folder} keeps the job that it holds.")
    return True


def _about_gpus(workspace: WorkspaceWrapper, count: int | None) -> str:
    if not count or not workspace.is_local:
        return ""
    return f"The local Azure ML gives no GPUs: the script gets --num_gpus {count}, and this machine's processors.\n"


def _quiet(as_json: bool) -> Any:
    """Programs want nothing but JSON on standard output."""
    import contextlib

    return contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()


def _tell(run: RunWrapper, folder: Path, *, as_json: bool) -> None:
    if as_json:
        show_json({"job": str(folder), "run": run.id, "status": run.status, "page": run.portal_url})
        return
    click.echo(f"Run {run.id}\n{run.portal_url}\nFollow it with: aml logs -f {_quoted(folder)}")


def _quoted(folder: Path) -> str:
    import shlex

    return shlex.quote(str(folder))
