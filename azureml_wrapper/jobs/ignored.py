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


def protect(directory: Path, private: Sequence[Path], output: Path) -> str:
    """What was done, or is to be thought of, in lines; `BadValue` where a secret would be sent.

    A folder without any list of what is not sent gets a `.amlignore`.
    """
    names = [name for name in (AMLIGNORE, GITIGNORE) if (directory / name).is_file()]
    if not names:
        return _write(directory, output)
    for file in private:
        if is_sent(directory, file):
            raise BadValue(
                f"{file} has an account key and would be sent with the scripts. Add the line .azureml to "
                f"{directory / names[0]}, or write the key as ${{STORAGE_KEY}} and set that variable."
            )
    return _about_results(directory, names[0])


def is_sent(directory: Path, file: Path) -> bool:
    """Whether a file would be sent with its folder."""
    from azureml._project.ignore_file import get_project_ignore_file

    whole = file.absolute()
    if not whole.is_relative_to(directory):
        return False
    return not get_project_ignore_file(str(directory)).is_file_excluded(str(whole))


def _write(directory: Path, output: Path) -> str:
    root = output.expanduser().absolute()
    inner = [root.relative_to(directory).parts[0]] if root.is_relative_to(directory) and root != directory else [ROOT]
    lines = [".git", ".azureml", "__pycache__", ".venv", *(f"/{name}/" for name in inner)]
    (directory / AMLIGNORE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"Made {AMLIGNORE}, so that these are not sent with the scripts: {' '.join(lines)}\n"


def _about_results(directory: Path, name: str) -> str:
    found = [folder for folder in job_folders(directory) if is_sent(directory, folder / "any")]
    if not found:
        return ""
    first = found[0].relative_to(directory).parts[0]
    return f"{len(found)} job folders are sent with the scripts; a line /{first}/ in {name} would leave them here.\n"
