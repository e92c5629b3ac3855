"""Runs with the target "local": the SDK copies the script folder, and starts the program that the service sends.

In Azure that is a complete launcher for the user's machine. Here it is a short program that sends the folder's path
to the service on the same machine, which then runs the script like any other.
"""

from __future__ import annotations

import io
import json
import shlex
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.shapes import read_json
from azureml_wrapper.local.domain.snapshots import DIRECTORY, FILE, Node
from azureml_wrapper.local.http.messages import json_object

# What the SDK unpacks into the copy; these are not the user's files.
SETUP = "azureml-setup"
_NOT_THE_USERS = frozenset({SETUP, "invocation.zip", "Invocation.zip"})
_SHELL = """#!/bin/bash
exec {python} "$(dirname "$0")/start.py"
"""
_START = """\
# Reports to the local Azure ML service that the folder above is ready to run.
import json
import os
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "submission.json")) as file:
    submission = json.load(file)
request = urllib.request.Request(
    submission["address"],
    json.dumps({"configuration": submission["configuration"], "folder": os.path.dirname(here)}).encode(),
    {"Authorization": "Bearer " + submission["token"], "Content-Type": "application/json"},
)
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
"""


def read_definition(content_type: str, body: bytes) -> dict[str, Any]:
    """The `definition.json` of a form (azureml/_execution/_commands.py, _start_internal_local_cloud)."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.get_payload() if form.is_multipart() else ():
        if not isinstance(part, str) and part.get_filename() == "definition.json":
            content: bytes = part.get_payload(decode=True)  # type: ignore[assignment] # no part of it is a form
            return json_object({"definition.json": read_json(content, "definition.json")}, "definition.json")
    raise Invalid("A local run needs a form with definition.json.")


def archive(address: str, token: str, configuration: dict[str, Any]) -> bytes:
    """The zip file that the SDK unpacks to start its Invocation.sh."""
    submission = {"address": address, "token": token, "configuration": configuration}
    files = {
        "Invocation.sh": _SHELL.format(python=shlex.quote(sys.executable)),
        "start.py": _START,
        "submission.json": json.dumps(submission),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name, text in files.items():
            target.writestr(f"{SETUP}/{name}", text)
    return made.getvalue()


def read_folder(folder: Path) -> tuple[Node, dict[str, Path]]:
    """A folder as a snapshot's tree and files."""
    if not folder.is_dir():
        raise Invalid(f"Folder {folder} not found.")
    uploads: dict[str, Path] = {}
    children = {
        entry.name: _node(entry, entry.name, uploads)
        for entry in folder.iterdir()
        if entry.name not in _NOT_THE_USERS
    }
    return {"name": "", "type": DIRECTORY, "hash": "", "children": children}, uploads


def _node(entry: Path, path: str, uploads: dict[str, Path]) -> Node:
    if entry.is_dir():
        children = {child.name: _node(child, f"{path}/{child.name}", uploads) for child in entry.iterdir()}
        return {"name": entry.name, "type": DIRECTORY, "hash": "", "children": children}
    uploads[path] = entry
    return {"name": entry.name, "type": FILE, "hash": "", "children": {}}
