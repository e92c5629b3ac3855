"""Records what the SDKs send while the tests of `tests/wire` run: `python -m tests.faults.fuzzing.recording`.

Writes `requests.json`: a few requests of each operation, of different shapes, that the service has answered well.
There are no tokens and signatures in them; ids are replaced by their kinds, and paths of this machine are left out.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from azureml_wrapper.local.http.routing import Router
from tests.faults.fuzzing.seeds import CORPUS, SHAPES_PER_ROUTE, Operation, kind_of, operations

FOLDER_VARIABLE = "FUZZ_RECORDING"
LARGEST_BODY = 6000
# An `Application` calls this in every service below the tests.
SITE = """
import os, sys
if "azureml_wrapper.local.server" in " ".join(sys.orig_argv):
    from tests.faults.fuzzing.recording import record
    record(os.environ["FUZZ_RECORDING"])
"""
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f]{32,64}")
_HEADERS = ("content-type", "content-md5", "range", "prefer", "if-match", "if-none-match", "accept-encoding")
_SIGNATURE = {"sig", "se", "st", "sp", "sv", "sr", "skoid", "sktid", "skt", "ske", "sks", "skv", "ss", "srt", "spr"}
_MACHINE = re.compile(r"Linux-[^\"]*")
_PRIVATE = re.compile(r"/(?:tmp|home|root|work|usr|opt|var)/|Bearer|eyJ|sig=|127\.0\.0\.1|site-packages")


def record(folder: str) -> None:
    """Write down all requests of this process from now on."""
    from azureml_wrapper.local.http.application import Application

    plain: Any = Application.__call__
    file = (Path(folder) / f"{os.getpid()}.jsonl").open("a")

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        body, status = bytearray(), [0]

        async def receive_and_keep() -> Any:
            event = await receive()
            if len(body) <= LARGEST_BODY:
                body.extend(event.get("body") or b"")
            return event

        async def send_and_keep(event: Any) -> None:
            status[0] = event.get("status", status[0])
            await send(event)

        await plain(self, scope, receive_and_keep, send_and_keep)
        line = {
            "method": scope["method"],
            "path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": base64.b64encode(bytes(body)).decode(),
            "status": status[0],
        }
        file.write(json.dumps(line) + "\n")
        file.flush()

    made: Any = call
    Application.__call__ = made


Line = dict[str, Any]


class Corpus:
    """The requests that are kept."""

    def __init__(self, lines: Iterable[Line]) -> None:
        every = operations()
        self._routers = [Router(item.route for item in every if item.is_storage is kind) for kind in (False, True)]
        self._lines = [(line, *found) for line in lines if (found := self._match(line)) is not None]
        self._kinds = {
            value: kind_of(operation.route, name)
            for _, operation, parameters in self._lines
            for name, value in parameters.items()
            if _ID.fullmatch(value)
        }

    def _match(self, line: Line) -> tuple[Operation, dict[str, str]] | None:
        headers = {name.lower(): value for name, value in line["headers"]}
        query = {name.lower(): value for name, value in parse_qsl(line["query"], keep_blank_values=True)}
        is_storage = "x-ms-version" in headers or "sig" in query
        match = self._routers[is_storage].match(line["method"], line["path"], query)
        if match is None or not 200 <= line["status"] < 300:
            return None
        return Operation(match.route, is_storage), match.parameters

    def requests(self) -> list[Line]:
        """A few of each operation: the first ones of each shape."""
        shapes: dict[str, dict[str, Line]] = {}
        for line, operation, _ in self._lines:
            made = self._request(line, operation)
            if made is None:
                continue
            found = shapes.setdefault(operation.name, {})
            if len(found) < SHAPES_PER_ROUTE:
                found.setdefault(_shape(made), made)
        return [made for name in sorted(shapes) for made in shapes[name].values()]

    def _request(self, line: Line, operation: Operation) -> Line | None:
        content = base64.b64decode(line["body"])
        if len(content) > LARGEST_BODY:
            return None
        query = parse_qsl(line["query"], keep_blank_values=True)
        made: Line = {
            "operation": operation.name,
            "query": {name: self._plain(value) for name, value in query if name.lower() not in _SIGNATURE},
            "headers": {name: self._plain(value) for name, value in _kept(line["headers"])},
            **self._body(content),
        }
        return None if _PRIVATE.search(unquote(json.dumps(made))) else made

    def _body(self, content: bytes) -> Line:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(content).decode()}
        if not text:
            return {}
        plain = self._plain(text)
        try:
            return {"body": _without_secrets(json.loads(plain))}
        except ValueError:
            return {"body": plain}

    def _plain(self, text: str) -> str:
        """Ids by their kinds; those that no path names stay, as an id that nothing has."""
        return _ID.sub(lambda found: f"<{self._kinds.get(found[0], 'id')}>", _MACHINE.sub("Linux", text))


def _without_secrets(value: Any) -> Any:
    """Keys of accounts, and values of secrets, by one that is none."""
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_secret = value.keys() <= {"name", "value", "contentType"}
    hidden = {name for name in value if name == "credential" or (name == "value" and is_secret)}
    return {name: "QUJD" if name in hidden else _without_secrets(item) for name, item in value.items()}


def _kept(headers: list[list[str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        low = name.lower()
        own = low.startswith("x-ms-") and low not in ("x-ms-date", "x-ms-client-request-id", "x-ms-copy-source")
        if low in _HEADERS or (own and "request-id" not in low):
            yield low, value


def _shape(request: Line) -> str:
    """What distinguishes requests: the keys of the body, the names in the query and the headers."""

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: keys(item) for name, item in value.items()}
        return [keys(item) for item in value[:1]] if isinstance(value, list) else type(value).__name__

    return json.dumps([sorted(request["query"]), sorted(request["headers"]), keys(request.get("body"))])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE)
        root = str(Path(__file__).parents[3])
        paths = [str(site), root, os.environ.get("PYTHONPATH", "")]
        variables = {**os.environ, FOLDER_VARIABLE: folder, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-m", "pytest", "tests/wire", "-q", "-p", "no:randomly"]
        subprocess.run(command, cwd=root, env=variables, check=False)
        write(sorted(Path(folder).glob("*.jsonl")))


def write(files: Iterable[Path]) -> None:
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    found = Corpus(lines).requests()
    CORPUS.write_text("[\n" + ",\n".join(json.dumps(item, sort_keys=True) for item in found) + "\n]\n")
    print(f"{len(lines)} requests recorded, {len(found)} kept of {len({item['operation'] for item in found})} routes")


if __name__ == "__main__":
    main()
