"""Fetches the files of datasets of web addresses: `Dataset.File.from_files("https://…")`."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import urllib3

from azureml_wrapper.local.domain.errors import NotFound, Unsupported
from azureml_wrapper.network import InvalidSetting, connections, reason_of

TIMEOUT_SECONDS = 30.0
_SCHEMES = ("http", "https")
_OK = 200
# Redirects are followed; all else fails at once.
_RETRIES = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=10)


def fetch(input_name: str, address: str, folder: Path) -> Path:
    """Save the file of an address as `folder/<host>/<path>`.

    Raises:
        NotFound: It could not be fetched; the message has the reason.
        Unsupported: The address is not one of the web.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise Unsupported(f"Input {input_name} reads an invalid web address: {error}.") from error
    # Neither a login nor the signature of an address belongs in an error.
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}{parts.path}"
    # The host names a folder: one of dots alone would be another folder than the input's own.
    if parts.scheme.lower() not in _SCHEMES or not host.strip("."):
        raise Unsupported(
            f"Input {input_name} reads {shown}, which is neither in a datastore nor a web address. The local service "
            "passes such data to a script in direct mode only."
        )
    names = [name for name in unquote(parts.path).split("/") if name not in ("", ".", "..")]
    file = folder.joinpath(host, *(names or ["index"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        _save(parts._replace(path=quote(parts.path, safe="/%")).geturl(), file)
    except (OSError, urllib3.exceptions.HTTPError, InvalidSetting) as error:
        raise NotFound(
            f"Input {input_name}: {shown} could not be fetched: {reason_of(error)}. The local service fetches the "
            "files of web addresses when the job starts. If this machine has no network, upload them to a datastore."
        ) from error
    return file


def _save(address: str, file: Path) -> None:
    """Save what an address answers; `OSError` has the status of an answer that is an error."""
    with connections(address, timeout=TIMEOUT_SECONDS, retries=_RETRIES) as pool:
        answer = pool.request("GET", address, preload_content=False)
        if answer.status != _OK:
            raise OSError(f"HTTP {answer.status} {answer.reason}")
        with file.open("wb") as target:
            shutil.copyfileobj(answer, target)
