"""What must not be sent with the scripts: account keys, and the results of earlier jobs.

The SDK sends everything where a folder has neither `.amlignore` nor `.gitignore`, `.git` and `.azureml` included;
where it has both, only `.amlignore` counts (azureml/_project/ignore_file.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from azureml_wrapper.errors import BadValue
from azureml_wrapper.jobs.selection import ROOT, job_folders

AMLIGNORE, GITIGNORE = ".amlignore", ".gitignore"
AZUREML = ".azureml"


def protect(directory: Path, private: Sequence[Path], output: Path) -> str:
    """What was done, or is to be thought of, in lines; `BadValue` where a secret would be sent.

    A folder without any list of what is not sent gets a `.amlignore`.
    """
    names = [name for name in (AMLIGNORE, GITIGNORE) if (directory / name).is_file()]
    inner = [_place(file).relative_to(directory) for file in private if _place(file).is_relative_to(directory)]
    told = "" if names else _write(directory, [place for place in inner if place.parts[0] != AZUREML], output)
    name = names[0] if names else AMLIGNORE
    for place in inner:
        if is_sent(directory, directory / place):
            line = AZUREML if place.parts[0] == AZUREML else f"/{place.as_posix()}"
            raise BadValue(
                f"{directory / place} has an account key and would be sent with the scripts. Add the line {line} to "
                f"{directory / name}, or write the key as ${{STORAGE_KEY}} and set that variable."
            )
    return told or _about_results(directory, name)


def is_sent(directory: Path, file: Path) -> bool:
    """Whether a file of the folder would be sent with it."""
    from azureml._project.ignore_file import get_project_ignore_file

    return not get_project_ignore_file(str(directory)).is_file_excluded(str(file.absolute()))


def _place(file: Path) -> Path:
    """Where a file lies, whatever way it was named; a link is sent as what it points to, under its own name."""
    return file.expanduser().parent.resolve() / file.name


def _write(directory: Path, private: Sequence[Path], output: Path) -> str:
    root = output.expanduser().absolute()
    inner = [root.relative_to(directory).parts[0]] if root.is_relative_to(directory) and root != directory else [ROOT]
    lines = [".git", AZUREML, "__pycache__", ".venv", ".env", *(f"/{name}/" for name in inner)]
    lines += [f"/{place.as_posix()}" for place in private]
    (directory / AMLIGNORE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"Made {AMLIGNORE}, so that these are not sent with the scripts: {' '.join(lines)}\n"


def _about_results(directory: Path, name: str) -> str:
    found = [folder for folder in job_folders(directory) if is_sent(directory, folder / "any")]
    if not found:
        return ""
    first = found[0].relative_to(directory).parts[0]
    return f"{len(found)} job folders are sent with the scripts; a line /{first}/ in {name} would leave them here.\n"
