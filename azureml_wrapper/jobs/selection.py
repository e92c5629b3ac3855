"""Finds job folders by what users type: a folder, the beginning of its path, a pattern, or `all`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from azureml_wrapper.errors import NoSuchJob, did_you_mean
from azureml_wrapper.jobs.record import RECORD

ALL = "all"
# The folder that `all` searches, below the current folder.
ROOT = "output"
LISTED = 5
_WILDCARD = re.compile(r"[*?\[]")
_PATH = re.compile(r"[/\\*?\[]")
# Large folders without jobs.
_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__"}


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
