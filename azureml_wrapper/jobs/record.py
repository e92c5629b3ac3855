"""A job's record: the JSON file by which a folder remembers its job. It is written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from typing_extensions import Self

from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import BadRecord

RECORD = "aml_job.json"
LAST_LINE = ".aml_last_line"
VERSION = 1
_TUPLES = ("earlier", "variables")
_GIT_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job: what was submitted, the run that came of it, and which run it repeats.

    Attributes:
        asked: The fields of the job's config as they were used, except environment variables, which may be secrets.
        variables: The names of those environment variables.
        address: Where the services of the workspace answered.
        submitted: The time of the submit, in ISO 8601.
        git: What `git_state` returned for the script folder.
        original_run_id: For a job that was submitted again, its first run.
        resubmitted_from: For a job that was submitted again, the run before.
        earlier: The runs that the folder held before, oldest first.
    """

    run_id: str
    experiment: str
    subscription_id: str
    resource_group: str
    ws_name: str
    target: str
    address: str
    portal_url: str
    submitted: str
    asked: dict[str, Any]
    git: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    original_run_id: str | None = None
    resubmitted_from: str | None = None
    earlier: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        """The three names that identify the workspace."""
        return Scope(self.subscription_id, self.resource_group, self.ws_name)

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with other values for some fields."""
        return replace(self, **changes)

    def write(self, folder: Path) -> None:
        """Write the record; readers see the previous one or this one, even if the disk is full."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"
        handle, name = tempfile.mkstemp(prefix=f".{RECORD}.", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(folder / RECORD)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def read_record(folder: Path) -> JobRecord:
    """Read the record of a job folder.

    Raises:
        BadRecord: The file cannot be read, or is not a record; the message names the file and the position.
    """
    file = folder / RECORD
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadRecord(f"Cannot read {file}: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise BadRecord(
            f"{file}, line {error.lineno}, column {error.colno}: {error.msg}. The file was changed by hand or by "
            f"another program; correct it, or remove it and submit the job again."
        ) from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"{file} is not UTF-8 ({error.reason} at byte {error.start}).") from error
    return _parse(file, data)


def remember_last_line(folder: Path, run_id: str, line: str) -> None:
    """Keep the last line of the log of a run that has ended; if that fails, it is read from the log again."""
    file = folder / LAST_LINE
    with contextlib.suppress(OSError):
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        beside.write_text(f"{run_id}\n{line}", encoding="utf-8")
        beside.replace(file)


def known_last_line(folder: Path, run_id: str) -> str:
    """Return the last line that was kept for this run, or an empty string."""
    try:
        known, _, line = (folder / LAST_LINE).read_text(encoding="utf-8", errors="replace").partition("\n")
    except OSError:
        return ""
    return line if known == run_id else ""


def git_state(folder: Path) -> dict[str, Any]:
    """Return commit, branch, repository and whether files are changed; an empty dict outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    found = {
        "commit": commit,
        "branch": _git(folder, "symbolic-ref", "--short", "HEAD"),
        "repository": without_login(_git(folder, "remote", "get-url", "origin")),
        # None if git takes too long.
        "dirty": None if (changes := _git(folder, "status", "--porcelain")) is None else bool(changes),
    }
    return {name: value for name, value in found.items() if value is not None}


def without_login(address: str | None) -> str | None:
    """Remove the user and the token that may be part of a repository's address."""
    return re.sub(r"(?<=://)[^/@]*@", "", address) if address else None


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _parse(file: Path, data: Any) -> JobRecord:
    if not isinstance(data, Mapping) or data.get("version") != VERSION:
        raise BadRecord(f"{file} is not a job record, or was written by another version of azureml_wrapper.")
    known = {each.name for each in fields(JobRecord)}
    given: dict[str, Any] = {
        name: tuple(value) if name in _TUPLES else value for name, value in data.items() if name in known
    }
    try:
        record = JobRecord(**given)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        raise BadRecord(f"{file} is not a job record: missing {missing}.") from error
    if not isinstance(record.asked, dict) or not all(
        isinstance(each, str) for each in (record.run_id, record.target)
    ):
        raise BadRecord(f"{file} is not a job record: run_id and target must be strings, asked must be a mapping.")
    return record
