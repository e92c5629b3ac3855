"""Show the jobs of folders, print their logs, fetch their results, abort and resubmit them."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import click

from azureml_wrapper.cli.options import parse_overrides
from azureml_wrapper.cli.work.output import Record, message, show_json, show_records
from azureml_wrapper.errors import BadRecord, ConnectionFailed, WrapperError
from azureml_wrapper.jobs.folder import PAUSE, JobFolder, states_of
from azureml_wrapper.jobs.record import names_jobs, select
from azureml_wrapper.jobs.states import JobState, client_of
from azureml_wrapper.runs.logs import LogReader

DAMAGED = "Damaged"
# Characters that a terminal shows of the last line of a log.
LINE = 60
_SDK_ERRORS = {
    "azure.core.exceptions": "AzureError",
    "azureml.exceptions": "AzureMLException",
    "msrest.exceptions": "ClientException",
}
# Jobs that are handled at the same time.
PARALLEL = 8


def status(words: Sequence[str], *, as_json: bool) -> None:
    """Show a line for each job; exit code 1 if the state of one is unknown."""
    folders, problems = _open(select(words))
    found = states_of(folders)
    for folder in folders:
        state = found[folder.record.run_id]
        if state.problem:
            problems[str(folder.path)] = state.problem
    records = [_record(folder, found[folder.record.run_id]) for folder in folders]
    damaged = [{"job": name, "status": DAMAGED} for name in problems.keys() - {record["job"] for record in records}]
    if sys.stdout.isatty() and not as_json:
        records = [{**record, "last_line": _cropped(record["last_line"])} for record in records]
    _show([*records, *damaged], ("job", "status", "duration", "last_line"), problems, as_json=as_json)


def abort(words: Sequence[str], *, timeout: float, as_json: bool) -> None:
    """Cancel the jobs, all at once; a job that has ended stays as it is."""
    columns = ("job", "status", "note")
    _on_each(words, lambda folder: _aborted(folder, timeout), columns, as_json=as_json, connect=False)


def resubmit(words: Sequence[str], values: Mapping[str, str], *, new_code: bool, force: bool, as_json: bool) -> None:
    """Submit jobs again. The words after the folders are KEYs and VALUEs, in addition to `values`."""
    folders = list(itertools.takewhile(names_jobs, words)) or list(words[:1])
    parameters = {**parse_overrides(words[len(folders) :]), **values}
    # Submitting new scripts redirects standard output to silence the SDK, which threads must not do side by side.
    workers = 1 if new_code else PARALLEL
    columns = ("job", "run", "resubmitted_from")

    def again(folder: JobFolder) -> Record:
        before = folder.record.run_id
        run = folder.resubmit(parameters, new_code=new_code, force=force)
        return {"job": str(folder.path), "run": run.id, "page": run.portal_url, "resubmitted_from": before}

    _on_each(folders, again, columns, as_json=as_json, workers=workers)


def results(words: Sequence[str], *, as_json: bool) -> None:
    """Download the results of each job into its folder, one job at a time: each transfer is parallel by itself."""
    columns = ("job", "files", "new", "size", "note")
    _on_each(words, lambda folder: folder.results().summary(), columns, as_json=as_json, workers=1, connect=False)


def logs(words: Sequence[str], *, follow: bool) -> None:
    """Print the logs, each below a heading if there are several."""
    folders, problems = _open(select(words))
    several = len(folders) + len(problems) > 1
    shown: Path | None = None
    for folder, text in _pieces(folders, problems, follow=follow):
        if several and folder.path != shown:
            click.echo(f"{chr(10) if shown else ''}==> {folder.path} <==")
        shown = folder.path
        click.echo(text, nl=False)
    _exit_if_any(problems)


def _pieces(
    folders: Sequence[JobFolder], problems: dict[str, str], *, follow: bool
) -> Iterator[tuple[JobFolder, str]]:
    """(folder, new text), once, or with `follow` until all jobs have ended."""
    readers: dict[str, LogReader] = {}
    open_, said = list(folders), set()
    while open_:
        found = states_of(open_, lines=False)
        for folder in open_:
            for text in _read(folder, found[folder.record.run_id], readers, problems):
                said.add(folder.path)
                yield folder, text
        open_ = [each for each in open_ if follow and not _is_over(each, found, problems)]
        time.sleep(PAUSE if open_ else 0)
    for folder in folders:
        if folder.path not in said and str(folder.path) not in problems:
            click.echo(f"{folder.path}: the job has not printed anything yet.", err=True)


def _read(
    folder: JobFolder, state: JobState, readers: dict[str, LogReader], problems: dict[str, str]
) -> Iterator[str]:
    """The new text of one log; an unreadable log is a problem, which does not hide the others."""
    run_id = folder.record.run_id
    try:
        if not state.problem:
            if run_id not in readers:
                readers[run_id] = LogReader(client_of(folder.record), run_id)
            yield from readers[run_id].read()
    except ConnectionFailed as error:
        problems[str(folder.path)] = str(error)
    if state.problem:
        problems[str(folder.path)] = state.problem


def _is_over(folder: JobFolder, found: dict[str, JobState], problems: dict[str, str]) -> bool:
    return found[folder.record.run_id].has_ended or str(folder.path) in problems


def _aborted(folder: JobFolder, timeout: float) -> Record:
    had_ended = folder.state(line=False).has_ended
    state = folder.abort(timeout=timeout)
    note = f"It was {state.status} already." if had_ended else ""
    return {"job": str(folder.path), "run": folder.record.run_id, "status": state.status, "note": note}


def _on_each(
    words: Sequence[str],
    work: Callable[[JobFolder], Record],
    columns: Sequence[str],
    *,
    as_json: bool,
    workers: int = PARALLEL,
    connect: bool = True,
) -> None:
    """Do something with each job; an error in one does not keep it from the others.

    With `connect`, the SDK connects to their workspaces first.
    """
    folders, problems = _open(select(words))

    def attempt(folder: JobFolder) -> Record | None:
        try:
            return work(folder)
        except _expected_errors() as error:
            problems[str(folder.path)] = message(error)
            return None

    folders = _connected(folders, problems) if connect else folders
    with ThreadPoolExecutor(workers) as pool:
        records = [record for record in pool.map(attempt, folders) if record is not None]
    _show(records, columns, problems, as_json=as_json)


def _expected_errors() -> tuple[type[Exception], ...]:
    """What a job may raise: our errors, and the SDK's of the modules that are imported when one is raised."""
    found = ((sys.modules[module], name) for module, name in _SDK_ERRORS.items() if module in sys.modules)
    return (WrapperError, OSError, *(getattr(module, name) for module, name in found))


def _connected(folders: Sequence[JobFolder], problems: dict[str, str]) -> list[JobFolder]:
    """The folders whose workspace answers.

    Connects before threads start, because the SDK's modules import each other in cycles.
    """
    refused: dict[Any, str] = {}
    for folder in folders:
        place = folder.record.scope, folder.record.target
        if place not in refused:
            refused[place] = _connect(folder)
        if refused[place]:
            problems[str(folder.path)] = refused[place]
    return [folder for folder in folders if str(folder.path) not in problems]


def _connect(folder: JobFolder) -> str:
    """Connect to a job's workspace; return what is wrong, if anything."""
    try:
        _ = folder.workspace.ws
    except WrapperError as error:
        return str(error)
    return ""


def _open(paths: Sequence[Path]) -> tuple[list[JobFolder], dict[str, str]]:
    """The folders whose records can be read, and what is wrong with the others."""
    folders, problems = [], {}
    for path in paths:
        try:
            folders.append(JobFolder(path))
        except BadRecord as error:
            problems[str(path)] = str(error)
    return folders, problems


def _record(folder: JobFolder, state: JobState) -> dict[str, Any]:
    record = folder.record
    return {
        "job": str(folder.path),
        "status": state.status,
        "duration": _clock(state.seconds),
        "seconds": None if state.seconds is None else round(state.seconds, 1),
        "last_line": state.last_line,
        "run": record.run_id,
        "experiment": record.experiment,
        "original_run_id": record.original_run_id,
        "page": record.portal_url,
        "problem": state.problem or None,
    }


def _cropped(line: str) -> str:
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _show(records: Sequence[Record], columns: Sequence[str], problems: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        known = {str(record["job"]) for record in records}
        show_json([*records, *({"job": job, "problem": text} for job, text in problems.items() if job not in known)])
    elif records:
        used = [column for column in columns if any(record.get(column) for record in records)]
        show_records(records, used, as_json=False)
    _exit_if_any(problems)


def _exit_if_any(problems: dict[str, str]) -> None:
    """Print the problems, each once, and exit with 1 if there are any."""
    by_text: dict[str, list[str]] = {}
    for job, text in sorted(problems.items()):
        by_text.setdefault(text, []).append(job)
    for text, jobs in by_text.items():
        who = jobs[0] if len(jobs) == 1 else f"{jobs[0]} and {len(jobs) - 1} more"
        click.echo(f"{click.style('Error: ', fg='red', bold=True)}{who}: {text}", err=True)
    if problems:
        _exit()


def _exit() -> NoReturn:
    sys.stdout.flush()
    raise click.exceptions.Exit(1)
