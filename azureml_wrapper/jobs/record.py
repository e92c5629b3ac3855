"""What a job folder remembers of its job: a file of JSON that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
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


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job: what was asked, the run that came of it, and of which run it is a repetition.

    `asked` holds the fields of a job's config as they were used, but for environment variables, which may be secrets:
    of them `variables` has the names.
    `address` is where the workspace's services are asked for the run. `original_run_id` is the first run of a job
    that was submitted again, `resubmitted_from` the one before; `earlier` are the runs that this folder held before.
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
        """The three names of the workspace."""
        return Scope(self.subscription_id, self.resource_group, self.ws_name)

    def evolve(self, **changes: Any) -> Self:
        """The same, with other fields."""
        return replace(self, **changes)

    def write(self, folder: Path) -> None:
        """Put the record into the folder: a reader sees the one before or this one, also where the disk is full."""
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
    """The record of a job folder; `BadRecord` says what is wrong with the file, and where."""
    file = folder / RECORD
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadRecord(f"{file} cannot be read ({error.strerror}).") from error
    except json.JSONDecodeError as error:
        raise BadRecord(
            f"{file}, line {error.lineno}, column {error.colno}: {error.msg}. It was changed by hand or by another "
            f"program; correct it, or remove it and submit the job again."
        ) from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    return _parse(file, data)


def remember_last_line(folder: Path, run_id: str, line: str) -> None:
    """Keep what the log of a run that has ended ends with; where that fails, it is fetched again."""
    file = folder / LAST_LINE
    with contextlib.suppress(OSError):
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        beside.write_text(f"{run_id}\n{line}", encoding="utf-8")
        beside.replace(file)


def known_last_line(folder: Path, run_id: str) -> str:
    """What was remembered of this run; else nothing."""
    try:
        known, _, line = (folder / LAST_LINE).read_text(encoding="utf-8", errors="replace").partition("\n")
    except OSError:
        return ""
    return line if known == run_id else ""


def _parse(file: Path, data: Any) -> JobRecord:
    if not isinstance(data, Mapping) or data.get("version") != VERSION:
        raise BadRecord(f"{file} is no record of a job, or one of another version of azureml_wrapper.")
    known = {each.name for each in fields(JobRecord)}
    given: dict[str, Any] = {
        name: tuple(value) if name in _TUPLES else value for name, value in data.items() if name in known
    }
    try:
        record = JobRecord(**given)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        raise BadRecord(f"{file} is no record of a job: it lacks {missing}.") from error
    if not isinstance(record.asked, dict) or not all(
        isinstance(each, str) for each in (record.run_id, record.target)
    ):
        raise BadRecord(f"{file} is no record of a job: run_id and target are texts, asked is a mapping.")
    return record
