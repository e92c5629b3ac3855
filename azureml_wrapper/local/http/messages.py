"""What a handler gets, and what it answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from starlette.responses import JSONResponse, Response, StreamingResponse

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.http.bodies import read_json
from azureml_wrapper.local.tokens import Identity

CHUNK = 1024 * 1024

__all__ = ["Request", "Response", "empty", "file_response", "json_response"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, read to its end.

    `parameters` are the parts of the path that the route names, percent-decoded. Keys of `query` and `headers` are
    in lower case. A route with `streams=True` gets its body as the file `body_file` instead of `body`; the file is
    removed after the answer unless the handler has moved it away.
    """

    method: str
    path: str
    raw_path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    body_file: Path | None = None
    identity: Identity = field(default_factory=Identity)
    scope_workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """The workspace that the path names; it exists."""
        if self.scope_workspace is None:
            raise Invalid(f"The path {self.path} names no workspace.")
        return self.scope_workspace

    @property
    def workspace_id(self) -> str:
        return self.workspace.workspace_id

    def json(self, *, finite: bool = True) -> Any:
        """The body as JSON; `Invalid` where it is none."""
        return read_json(self.body, f"The body of {self.method} {self.path}", finite=finite)

    def json_object(self, *, finite: bool = True) -> dict[str, Any]:
        """The body as a JSON object, empty where there is no body; `Invalid` where it is anything else."""
        value = self.json(finite=finite)
        if value is not None and not isinstance(value, dict):
            raise Invalid(f"The body of {self.method} {self.path} is not a JSON object.")
        return value or {}

    def __getitem__(self, name: str) -> str:
        """A part of the path: `request["run_id"]`."""
        return self.parameters[name]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return JSONResponse(value, status, headers=headers)


def empty(status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(b"", status, headers=headers)


def file_response(
    path: Path, *, start: int = 0, length: int, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`length` bytes of a file from `start` on, read as they are sent."""
    all_headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream", **(headers or {})}
    # Opened now, so that the answer stays whole where somebody removes or replaces the file meanwhile.
    return StreamingResponse(_read(path.open("rb"), start, length), status, headers=all_headers)


def _read(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk
