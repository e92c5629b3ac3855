"""A job's record: the JSON file by which a folder remembers its job, and how to find such folders.

The file is written whole or not at all. Users name job folders by a folder, the beginning of its path, a pattern, or
`all`.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from typing_extensions import Self

from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import BadRecord, NoSuchJob, did_you_mean

RECORD = "aml_job.json"
LAST_LINE = ".aml_last_line"
VERSION = 1
_TUPLES = ("earlier", "variables")
_GIT_SECONDS = 10
ALL = "all"
# The folder that `all` searches, below the current folder.
ROOT = "output"
LISTED = 5
_WILDCARD = re.compile(r"[*?\[]")
_PATH = re.compile(r"[/\\*?\[]")
# Large folders without jobs.
_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__"}


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
    # Up to the last "@" of the host's part: a password may contain others.
    return re.sub(r"(?<=://)[^/]*@", "", address) if address else None


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            capture_output=True,
            # Not what Windows would take, because git writes UTF-8 there, too.
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
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


def filled_folder(output_path: str | None, output_dir: str | None) -> str | None:
    """Return the folder of the datastore that a job fills: `output_path`, or by default the job folder's name."""
    if output_path is not None or output_dir is None:
        return output_path
    folder = Path(output_dir).expanduser().absolute()
    if folder.is_relative_to(Path.cwd()) and folder != Path.cwd():
        return folder.relative_to(Path.cwd()).as_posix()
    return PurePosixPath("output", folder.name or "job").as_posix()


def select(words: Sequence[str]) -> list[Path]:
    """Return the job folders that the words name, sorted, each once.

    Args:
        words: `all` for those below `output`; otherwise a folder, a pattern if the word has `*`, `?` or `[`, or the
            beginning of paths, tried in this order.

    Raises:
        NoSuchJob: A word names no job folder.
    """
    found = {folder: None for word in words for folder in find(word)}
    return sorted(found, key=str)


def find(word: str) -> list[Path]:
    """Return the job folders that one word names; `NoSuchJob` if it names none."""
    found = _matching(word)
    if not found:
        raise NoSuchJob(_missing(word))
    return found


def names_jobs(word: str) -> bool:
    """Whether a word means job folders: it names some, or it has slashes or wildcards, which run ids do not have."""
    return word == ALL or bool(_PATH.search(word)) or bool(_matching(word))


def near_folders(word: str) -> str:
    """Return a sentence that suggests job folders for a word that names none."""
    near = did_you_mean(Path(word).as_posix(), [folder.as_posix() for folder in _everywhere(word)])
    return f"No job folder has this name either.{near}"


def job_folders(root: Path) -> Iterator[Path]:
    """Yield the job folders at and below a folder; what a job folder contains belongs to its job."""
    for place, folders, files in os.walk(root):
        if RECORD in files:
            folders.clear()
            yield Path(place)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)


def _matching(word: str) -> list[Path]:
    if word == ALL:
        return list(job_folders(Path(ROOT)))
    folder = Path(word)
    if (folder / RECORD).is_file():
        # A name may contain brackets or stars.
        return [folder]
    if _WILDCARD.search(word):
        # Path.glob does not support absolute patterns.
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207
        return [Path(found) for found in matches if (Path(found) / RECORD).is_file()]
    return _beginning_with(word)


def _beginning_with(word: str) -> list[Path]:
    """The job folders whose paths begin with the word: `output/2019` means some of those in `output`."""
    if not word:
        return []
    if word.endswith(("/", os.sep)):
        return list(job_folders(Path(word)))
    folder = Path(word)
    beside = sorted(folder.parent.glob(f"{glob.escape(folder.name)}*"))
    return [found for each in beside if each.is_dir() for found in job_folders(each)]


def _missing(word: str) -> str:
    known = [folder.as_posix() for folder in _everywhere(word)]
    if word == ALL:
        return (
            f"No job folders found in {Path(ROOT).absolute()}. `aml submit --output_dir {ROOT}/NAME …` creates one."
        )
    if not known:
        return f"No job folder {word!r} found, nor any other here. `aml submit --output_dir {word} …` creates one."
    near = did_you_mean(Path(word).as_posix(), known)
    return f"No job folder is or matches {word!r}.{near or ' Found: ' + _listed(known)}"


def _everywhere(word: str) -> Iterable[Path]:
    """The job folders to suggest: those beside the word's first folder, and those of `all`."""
    first = Path(word).parts[:1] if not Path(word).is_absolute() else Path(word).parent.parts
    roots = {Path(ROOT), Path(*first).parent if len(first) == 1 and not Path(*first).is_dir() else Path(*first)}
    return sorted({folder for root in roots if root != Path() for folder in job_folders(root)}, key=str)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more." if rest > 0 else ".")
