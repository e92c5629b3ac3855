"""Fetches the files of datasets of web addresses: `Dataset.File.from_files("https://…")`."""

from __future__ import annotations

import shutil
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import certifi

from azureml_wrapper.local.domain.errors import NotFound, Unsupported

TIMEOUT_SECONDS = 30.0
_SCHEMES = ("http", "https")


def fetch(input_name: str, address: str, folder: Path) -> Path:
    """Save the file of an address as `folder/<host>/<path>`.

    Raises:
        NotFound: It could not be fetched; the message has the reason.
        Unsupported: The address is not one of the web.
    """
    parts = urlsplit(address)
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
    request = urllib.request.Request(parts._replace(path=quote(parts.path, safe="/%")).geturl())  # noqa: S310 - see _SCHEMES
    trust = ssl.create_default_context(cafile=certifi.where())
    try:
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as answer,  # noqa: S310
            file.open("wb") as target,
        ):
            shutil.copyfileobj(answer, target)
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NotFound(
            f"Input {input_name}: {shown} could not be fetched: {reason}. The local service fetches the files of web "
            "addresses when the job starts. If this machine has no network, upload them to a datastore."
        ) from error
    return file
