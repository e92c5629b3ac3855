"""What must not be uploaded with the scripts of a job: account keys, and the results of earlier jobs.

The SDK uploads everything, `.git` and `.azureml` included, if a folder has neither `.amlignore` nor `.gitignore`; if
it has both, only `.amlignore` counts (azureml/_project/ignore_file.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from azureml_wrapper.errors import BadValue
from azureml_wrapper.jobs.selection import ROOT, job_folders

AMLIGNORE, GITIGNORE = ".amlignore", ".gitignore"
AZUREML = ".azureml"


def protect(directory: Path, private: Sequence[Path], output: Path) -> str:
    """Create `.amlignore` in a script folder that has no list of ignored files, and check what would be uploaded.

    Args:
        directory: The script folder.
        private: Files with secrets.
        output: The job folder.

    Returns:
        Lines that say what was done, and what to consider.

    Raises:
        BadValue: A file with a secret would be uploaded.
    """
    names = [name for name in (AMLIGNORE, GITIGNORE) if (directory / name).is_file()]
    inner = [_resolve(file).relative_to(directory) for file in private if _resolve(file).is_relative_to(directory)]
    message = "" if names else _write(directory, [path for path in inner if path.parts[0] != AZUREML], output)
    name = names[0] if names else AMLIGNORE
    for path in inner:
        if is_sent(directory, directory / path):
            line = AZUREML if path.parts[0] == AZUREML else f"/{path.as_posix()}"
            raise BadValue(
                f"{directory / path} has an account key and would be uploaded with the scripts. Add the line "
                f"{line} to {directory / name}, or write the key as ${{STORAGE_KEY}} and set that variable."
            )
    return message or _about_results(directory, name)


def is_sent(directory: Path, file: Path) -> bool:
    """Whether a file of the script folder would be uploaded with it."""
    from azureml._project.ignore_file import get_project_ignore_file

    return not get_project_ignore_file(str(directory)).is_file_excluded(str(file.absolute()))


def _resolve(file: Path) -> Path:
    """The real folder of a file, and its own name: a link is uploaded as what it points to, under the link's name."""
    return file.expanduser().parent.resolve() / file.name


def _write(directory: Path, private: Sequence[Path], output: Path) -> str:
    root = output.expanduser().absolute()
    inner = [root.relative_to(directory).parts[0]] if root.is_relative_to(directory) and root != directory else [ROOT]
    lines = [".git", AZUREML, "__pycache__", ".venv", ".env", *(f"/{name}/" for name in inner)]
    lines += [f"/{path.as_posix()}" for path in private]
    (directory / AMLIGNORE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"Created {AMLIGNORE}, which excludes from the upload: {' '.join(lines)}\n"


def _about_results(directory: Path, name: str) -> str:
    found = [folder for folder in job_folders(directory) if is_sent(directory, folder / "any")]
    if not found:
        return ""
    first = found[0].relative_to(directory).parts[0]
    return f"The upload includes {len(found)} job folder(s). To exclude them, add the line /{first}/ to {name}.\n"
