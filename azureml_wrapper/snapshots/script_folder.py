"""The script folder of a step or a job: checked before it is uploaded, and sent to the local Azure ML in one request.

The SDK checks it only in the middle of a submission. To upload it, the SDK makes a TLS connection and two requests
for each file, which takes 40 ms: more than a minute for a folder of 2,000 files. To Azure, the SDK uploads it itself.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from azureml_wrapper.errors import ScriptNotFound, SecretInFolder, SnapshotTooLarge, did_you_mean
from azureml_wrapper.messages import inform
from azureml_wrapper.snapshots.secret_files import secret_files, sent_on_purpose

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.pipeline.core import Pipeline

MEGABYTE = 1024 * 1024
LISTED = 5
# The time of every entry of an upload: the snapshot's tree has the files' own.
_ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
_UPLOAD_SECONDS = 300


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

    sizes = dict(_files(directory, _excluded_by_sdk_v1(directory)))
    size, most = sum(sizes.values()), snapshots_client.SNAPSHOT_MAX_SIZE_BYTES
    largest = ", ".join(f"{part} {_size(bytes_)}" for part, bytes_ in _largest(directory, sizes)[:3])
    return (
        f"{len(sizes)} files, {_size(size)} (limits of Azure ML: {snapshots_client.SNAPSHOT_MAX_FILES} files, "
        f"{_size(most)})" + (f"; largest: {largest}" if largest else "")
    )


def check_upload(directory: Path) -> None:
    """Raise an error if the folder may not be uploaded as it is.

    Files that .amlignore (or, without one, .gitignore) excludes do not count.

    Raises:
        SnapshotTooLarge: The folder exceeds Azure ML's limits of size or number of files.
        SecretInFolder: A file looks secret, and the folder has an ignore file that does not list it. Without an
            ignore file, one is created.
    """
    sizes = dict(_files(directory, _excluded_by_sdk_v1(directory)))
    _check_size(directory, sizes)
    _check_secrets(directory, sizes)


def check_secrets(directory: Path, excluded: Callable[[str], bool]) -> None:
    """Raise `SecretInFolder` if a file of the folder looks secret; `excluded` says which ones are not uploaded."""
    _check_secrets(directory, dict(_files(directory, excluded)))


def _excluded_by_sdk_v1(directory: Path) -> Callable[[str], bool]:
    from azureml._project.ignore_file import get_project_ignore_file

    excluded: Callable[[str], bool] = get_project_ignore_file(str(directory)).is_file_excluded
    return excluded


def _ignore_file(directory: Path) -> Path:
    """The list of what is not uploaded, for both SDKs: .gitignore if there is one and no .amlignore."""
    own, git = directory / ".amlignore", directory / ".gitignore"
    return git if git.is_file() and not own.is_file() else own


def _check_secrets(directory: Path, sizes: Mapping[Path, int]) -> None:
    found = secret_files(directory, sizes)
    file = _ignore_file(directory)
    if found and file.is_file():
        for name in sent_on_purpose(file.read_text(encoding="utf-8", errors="replace").splitlines()):
            found.pop(name, None)
    if found and not _leave_out(directory, found):
        _refuse(directory, file, found)


def _leave_out(directory: Path, found: Mapping[str, str]) -> bool:
    """Create an ignore file with the files that look secret. Returns False if the folder has one, or is read-only."""
    if _ignore_file(directory).exists():
        return False
    lines = "".join(f"{_line(name)}\n" for name in found)
    try:
        with (directory / ".amlignore").open("x", encoding="utf-8") as file:
            file.write(
                f"# Not uploaded with the scripts: these look secret. To upload one on purpose: !/FILE\n{lines}"
            )
    except OSError:
        return False
    inform(f"{file.name}: created, so that these are not uploaded: {_shown(found, '{} ({})', ', ')}")
    return True


def _line(name: str) -> str:
    """A line of an ignore file that matches one file, as gitignore(5) escapes it."""
    return "/" + re.sub(r"[\\*?\[]| $", r"\\\g<0>", name)


def _shown(found: Mapping[str, str], form: str, separator: str) -> str:
    """The first files with what each has, and how many more there are."""
    more = [f"… and {len(found) - LISTED} more"] if len(found) > LISTED else []
    return separator.join([*(form.format(*item) for item in list(found.items())[:LISTED]), *more])


def _refuse(directory: Path, file: Path, found: Mapping[str, str]) -> NoReturn:
    listed = _shown(found, "{}: {}", "\n  ")
    lines = " ".join(map(_line, list(found)[:LISTED]))
    raise SecretInFolder(
        f"{directory} has files that look secret and would be uploaded with the scripts:\n  {listed}\n"
        f"Add these lines to {file}: {lines}\n"
        f"If a script needs this file, send it on purpose with the line !{_line(next(iter(found)))}"
    )


def _check_size(directory: Path, sizes: Mapping[Path, int]) -> None:
    # The limits are those of the SDK's client, which programs may raise (azureml/_restclient/snapshots_client.py).
    from azureml._restclient import snapshots_client

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


def _may_include(file: Path) -> bool:
    """Whether a line of an ignore file ("!name") includes something below an excluded folder again."""
    return file.is_file() and "!" in file.read_text(encoding="utf-8", errors="replace")


def _is_excluded(folder: Path, excluded: Callable[[str], bool]) -> bool:
    """Whether any file below a folder is excluded: two names that only a pattern for all names matches."""
    return all(excluded(str(folder / name)) for name in ("a", ".b.c"))


def _files(directory: Path, excluded: Callable[[str], bool]) -> Iterator[tuple[Path, int]]:
    """The files that would be uploaded, with their sizes in bytes."""
    may_include = _may_include(_ignore_file(directory))
    for folder, folders, names in os.walk(directory):
        if not may_include:
            # Whole folders, which may have thousands of files, are not looked into.
            folders[:] = [each for each in folders if not _is_excluded(Path(folder, each), excluded)]
        for name in names:
            file = Path(folder, name)
            if file.exists() and not excluded(os.path.normpath(file)):
                yield file, file.stat().st_size


def _size(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE else f"{size / 1024:.1f} KB"


def _largest(directory: Path, weights: Mapping[Path, int]) -> list[tuple[str, int]]:
    """The largest folders and files directly below the directory."""
    parts: Counter[str] = Counter()
    for file, weight in weights.items():
        parts[file.relative_to(directory).parts[0]] += weight
    return parts.most_common(LISTED)


def send_in_one_request(pipeline: Pipeline) -> None:
    """Replace a pipeline's uploader of script folders; the SDK still decides what to upload, and when."""
    # _AevaModuleProvider gets its uploader when it is created (azureml/pipeline/core/_aeva_provider.py).
    provider: Any = pipeline._graph_context.workflow_provider.module_provider
    provider._module_uploader = _Uploader(pipeline._graph_context._workspace.service_context)


def send_ahead(ws: Workspace, directory: str) -> None:
    """Send a job's folder before the SDK submits the job.

    The SDK remembers the last snapshot of a workspace, and so uploads what has changed meanwhile: nothing.
    """
    _Uploader(ws.service_context).upload(directory)


class _Uploader:
    """Replaces the SDK's own uploader: a folder becomes a snapshot."""

    def __init__(self, service_context: Any) -> None:
        self._service_context = service_context

    def upload(self, directory: str) -> str:
        """The id of the folder's snapshot."""
        return str(_client_class()(self._service_context).create_snapshot(directory))


@functools.cache
def _client_class() -> Callable[[Any], Any]:
    from azureml._restclient.snapshots_client import SnapshotsClient

    class OneRequestClient(SnapshotsClient):  # type: ignore[misc] # the SDK has no types
        """The SDK's client, except for how new files reach the service."""

        def _upload_snapshot_files(self, entries: Sequence[Any], directory: str, _: Any) -> list[dict[str, Any]]:
            names = [entry.node_path for entry in entries]
            with tempfile.TemporaryFile() as file:
                sizes = _pack(file, directory, names)
                answer = self._execute_with_base_arguments(_post, _url(self._service_context), self.auth, file)
            return [
                {"FullName": name, "BlobUri": node["blobUri"], "FileSize": size}
                for name, size, node in zip(names, sizes, answer["fileNodes"], strict=True)
            ]

    return OneRequestClient


def _pack(file: Any, directory: str, names: Sequence[str]) -> list[int]:
    """Write the files by number, uncompressed, and return their sizes. Not every file name is allowed in a zip."""
    sizes = []
    with zipfile.ZipFile(file, "w") as archive:
        for number, name in enumerate(names):
            content = Path(directory, name).read_bytes()
            archive.writestr(zipfile.ZipInfo(str(number), _ENTRY_TIME), content)
            sizes.append(len(content))
    return sizes


def _url(service_context: Any) -> str:
    base, scope = service_context._get_project_content_url(), service_context._get_workspace_scope()
    return f"{base}/content/v2.0{scope}/snapshots/archive"


def _post(url: str, auth: Any, file: Any, **_: Any) -> Any:
    import requests

    file.seek(0)
    headers = {"Content-Type": "application/zip", **auth.get_authentication_header()}
    answer = requests.post(url, data=file, headers=headers, timeout=_UPLOAD_SECONDS)
    answer.raise_for_status()
    return answer.json()
