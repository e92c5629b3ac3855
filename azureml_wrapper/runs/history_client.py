"""Queries run history and the files of runs directly, for commands that cannot wait for the SDK's import.

The requests are those of the SDK itself: `runs:query` with a filter of run ids
(azureml/_restclient/experiment_client.py, get_runs_by_run_ids) and `contentinfo` for a file's address
(azureml/_restclient/artifacts_client.py).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient, Response

PARALLEL = 8
ATTEMPTS = 4
# The number of ids that the SDK puts into one filter.
BATCH = 50
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")

JSON = dict[str, Any]


class HistoryClient:
    """The run history and artifact services of one workspace.

    Every method raises `LoginFailed` if Azure ML refuses the login, and `ConnectionFailed` if it does not answer or
    answers with an error.
    """

    def __init__(self, access: Access, scope: Scope) -> None:
        self._access = access
        self._scope = (
            f"/subscriptions/{scope.subscription_id}/resourceGroups/{quote(scope.resource_group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(scope.name)}"
        )
        self._connections: dict[str, HttpClient] = {}
        self._opening = threading.Lock()

    def runs(self, experiment: str, run_ids: Iterable[str]) -> Iterator[JSON]:
        """Yield run history's entries of an experiment's runs; unknown ids are left out.

        Args:
            run_ids: At most `BATCH` ids.
        """
        wanted = " or ".join(f"RunId eq {run_id}" for run_id in run_ids)
        body: JSON = {"filter": f"({wanted})", "top": BATCH, "orderby": "RunId desc"}
        path = f"/history/v1.0{self._scope}/experiments/{quote(experiment)}/runs:query"
        while True:
            response = self._ask("POST", path, body)
            yield from (response or {}).get("value") or ()
            if not (response or {}).get("continuationToken"):
                return
            body = {**body, "continuationToken": (response or {})["continuationToken"]}

    def files(self, run_id: str, prefix: str) -> dict[str, str]:
        """Return the files of a run below the folder `prefix`, each with the address to read it at."""
        artifact = f"ExperimentRun/dcid.{quote(run_id)}/{quote(prefix)}"
        response = self._ask("GET", f"/artifact/v2.0{self._scope}/artifacts/prefix/contentinfo/{artifact}") or {}
        return {str(item["path"]): str(item["contentUri"]) for item in response.get("value") or ()}

    def read(self, address: str, start: int = 0, length: int | None = None) -> tuple[bytes, int]:
        """Return `length` bytes of a file from the offset `start` (by default the rest), and the size of the file."""
        end = "" if length is None else start + length - 1
        headers = {"Range": f"bytes={start}-{end}"}
        response = self._send("GET", address, headers, accept=(404, 416))
        found = _TOTAL.search(response.headers.get("content-range", ""))
        total = int(found[1]) if found else start
        if response.status == HTTPStatus.NOT_FOUND:
            return b"", 0
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b"", total
        if response.status == HTTPStatus.OK:
            # The server does not know ranges.
            return response.body[start:][:length], len(response.body)
        return response.body, total

    def _ask(self, method: str, path: str, body: JSON | None = None) -> JSON | None:
        """Return the JSON of the response, or None for a 404."""
        headers = {"Authorization": f"Bearer {self._access.token()}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        response = self._send(method, f"{self._access.address}{path}", headers, content, accept=(404,))
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        found: JSON = json.loads(response.body)
        return found

    def _send(
        self,
        method: str,
        address: str,
        headers: dict[str, str],
        body: bytes | None = None,
        *,
        accept: tuple[int, ...] = (),
    ) -> Response:
        try:
            return self._connection(address).send(
                method, address, headers=headers, body=body, attempts=ATTEMPTS, accept=accept
            )
        except ConnectionBroken as error:
            raise ConnectionFailed(f"Azure ML at {self._access.address} does not answer: {error}") from error
        except ErrorResponse as error:
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise LoginFailed(
                    f"Azure ML refuses the login ({error}). Run `az login` again, or on a machine without a browser "
                    "`az login --use-device-code`."
                ) from error
            raise ConnectionFailed(f"Azure ML at {self._access.address} answered {error}") from error

    def _connection(self, address: str) -> HttpClient:
        """Return the connections to a host, which all threads share."""
        parts = urlsplit(address)
        host = f"{parts.scheme}://{parts.netloc}"
        with self._opening:
            if host not in self._connections:
                # With the header that storage needs, the local service would take a request for one to its storage.
                headers: dict[str, str] | None = {} if address.startswith(self._access.address) else None
                self._connections[host] = HttpClient(host, headers=headers)
            return self._connections[host]
