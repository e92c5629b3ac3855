"""A step's script folder, checked before it is uploaded: the SDK checks it in the middle of a submission."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from azureml_wrapper.errors import ScriptNotFound, SnapshotTooLarge, did_you_mean

MEGABYTE = 1024 * 1024
LISTED = 5


def check_script(directory: Path, script: str) -> None:
    """Raise `ScriptNotFound` if the script is not in the folder."""
    if (directory / script).is_file():
        return
    if not directory.is_dir():
        raise ScriptNotFound(f"The script_directory {directory} does not exist.")
    known = sorted(file.relative_to(directory).as_posix() for file in directory.glob("*.py"))
    found = did_you_mean(script, known) or (f" It contains {', '.join(known[:LISTED])}." if known else "")
    raise ScriptNotFound(f"No script {script!r} in {directory}.{found} Correct script_name or script_directory.")


def check_sent(directory: Path, name: str) -> None:
    """Raise `ScriptNotFound` for a file that is not in the folder, or that would not be uploaded with it."""
    from azureml._project.ignore_file import get_project_ignore_file

    file = directory / name
    if not file.is_file():
        raise ScriptNotFound(f"No file {name!r} in {directory}, the folder that is uploaded.")
    ignored = get_project_ignore_file(str(directory))
    if ignored.is_file_excluded(os.path.normpath(file)):
        raise ScriptNotFound(
            f"{name} would not be uploaded: {ignored.get_path()} excludes it. Remove it from that list."
        )


def describe_size(directory: Path) -> str:
    """What would be uploaded, in a line: number of files, size, the largest folders, and Azure ML's limits."""
    from azureml._restclient import snapshots_client

    sizes = dict(_files(directory))
    size, most = sum(sizes.values()), snapshots_client.SNAPSHOT_MAX_SIZE_BYTES
    largest = ", ".join(f"{part} {_size(bytes_)}" for part, bytes_ in _largest(directory, sizes)[:3])
    return (
        f"{len(sizes)} files, {_size(size)} (limits of Azure ML: {snapshots_client.SNAPSHOT_MAX_FILES} files, "
        f"{_size(most)})" + (f"; largest: {largest}" if largest else "")
    )


def check_size(directory: Path) -> None:
    """Raise `SnapshotTooLarge` if the folder exceeds Azure ML's limits of size or number of files.

    Files that .amlignore (or, without one, .gitignore) excludes do not count. The limits are those of the SDK's
    client, which programs may raise (azureml/_restclient/snapshots_client.py).
    """
    from azureml._restclient import snapshots_client

    sizes = dict(_files(directory))
    size, most_bytes = sum(sizes.values()), snapshots_client.SNAPSHOT_MAX_SIZE_BYTES
    if size > most_bytes:
        largest = ", ".join(f"{part} {bytes_ / MEGABYTE:.1f} MB" for part, bytes_ in _largest(directory, sizes))
        raise SnapshotTooLarge(
            f"{directory} has {size / MEGABYTE:.1f} MB; Azure ML accepts at most {most_bytes / MEGABYTE:.0f} MB. "
            f"Largest: {largest}. List what the scripts do not need in {directory / '.amlignore'}."
        )
    most_files = snapshots_client.SNAPSHOT_MAX_FILES
    if len(sizes) > most_files and not os.environ.get("AML_SNAPSHOT_NO_FILE_LIMIT"):
        largest = ", ".join(f"{part} {count}" for part, count in _largest(directory, dict.fromkeys(sizes, 1)))
        raise SnapshotTooLarge(
            f"{directory} has {len(sizes)} files; Azure ML accepts at most {most_files}. Most of them: {largest}. "
            f"List what the scripts do not need in {directory / '.amlignore'}."
        )


def _files(directory: Path) -> Iterator[tuple[Path, int]]:
    """The files that would be uploaded, with their sizes in bytes."""
    from azureml._project.ignore_file import get_project_ignore_file

    excluded = get_project_ignore_file(str(directory)).is_file_excluded
    for folder, _, names in os.walk(directory):
        for name in names:
            file = Path(folder, name)
            if file.exists() and not excluded(os.path.normpath(file)):
                yield file, file.stat().st_size


def _size(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE else f"{size / 1024:.1f} KB"


def _largest(directory: Path, weights: dict[Path, int]) -> list[tuple[str, int]]:
    """The largest folders and files directly below the directory."""
    parts: Counter[str] = Counter()
    for file, weight in weights.items():
        parts[file.relative_to(directory).parts[0]] += weight
    return parts.most_common(LISTED)
