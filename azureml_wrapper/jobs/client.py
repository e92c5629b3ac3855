"""Asks run history and the runs' files directly, for what must not wait for the SDK's import.

The requests are those that the SDK itself makes: `runs:query` with a filter of run ids
(azureml/_restclient/experiment_client.py, get_runs_by_run_ids) and `contentinfo` for a file's address
(azureml/_restclient/artifacts_client.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from azureml_wrapper.connection import Access, Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed

PARALLEL = 8
SECONDS = 60
# As many ids as the SDK puts into one filter.
BATCH = 50
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")

JSON = dict[str, Any]


class Client:
    """The services of one workspace."""

    def __init__(self, access: Access, scope: Scope) -> None:
        self._access = access
        self._scope = (
            f"/subscriptions/{scope.subscription_id}/resourceGroups/{quote(scope.resource_group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(scope.name)}"
        )
        self._session = requests.Session()
        for prefix in ("http://", "https://"):
            self._session.mount(prefix, HTTPAdapter(pool_maxsize=PARALLEL, max_retries=2))

    def runs(self, experiment: str, run_ids: Iterable[str]) -> Iterator[JSON]:
        """The records of those runs of an experiment that there are; of at most `BATCH` ids."""
        wanted = " or ".join(f"RunId eq {run_id}" for run_id in run_ids)
        body: JSON = {"filter": f"({wanted})", "top": BATCH, "orderby": "RunId desc"}
        path = f"/history/v1.0{self._scope}/experiments/{quote(experiment)}/runs:query"
        while True:
            answer = self._ask("POST", path, body)
            yield from (answer or {}).get("value") or ()
            if not (answer or {}).get("continuationToken"):
                return
            body = {**body, "continuationToken": (answer or {})["continuationToken"]}

    def files(self, run_id: str, prefix: str) -> dict[str, str]:
        """The files of a run below a folder, with an address to read each at."""
        place = f"ExperimentRun/dcid.{quote(run_id)}/{quote(prefix)}"
        answer = self._ask("GET", f"/artifact/v2.0{self._scope}/artifacts/prefix/contentinfo/{place}") or {}
        return {str(item["path"]): str(item["contentUri"]) for item in answer.get("value") or ()}

    def read(self, address: str, start: int = 0, length: int | None = None) -> tuple[bytes, int]:
        """Bytes of a file from `start` on, and the size of the whole file."""
        end = "" if length is None else start + length - 1
        answer = self._send("GET", address, headers={"Range": f"bytes={start}-{end}"})
        total = _TOTAL.search(answer.headers.get("Content-Range", ""))
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b"", int(total[1]) if total else start
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return b"", 0
        _check(answer)
        if answer.status_code == HTTPStatus.OK:
            # The range was not looked at.
            return answer.content[start:][:length], len(answer.content)
        return answer.content, int(total[1]) if total else start + len(answer.content)

    def _ask(self, method: str, path: str, body: JSON | None = None) -> JSON | None:
        """The answer's JSON; None where there is no such thing."""
        headers = {"Authorization": f"Bearer {self._access.token()}"}
        answer = self._send(method, f"{self._access.address}{path}", json=body, headers=headers)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        _check(answer)
        found: JSON = answer.json()
        return found

    def _send(self, method: str, address: str, **content: Any) -> requests.Response:
        try:
            # Given here, for the session's own `verify` loses against REQUESTS_CA_BUNDLE.
            return self._session.request(method, address, timeout=SECONDS, verify=self._access.trust, **content)
        except requests.RequestException as error:
            # Without the address: it may be signed.
            reason = getattr(error.args[0] if error.args else None, "reason", None) or type(error).__name__
            raise ConnectionFailed(f"Azure ML at {self._access.address} does not answer: {reason}") from error


def _check(answer: requests.Response) -> None:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise LoginFailed(
            f"Azure ML refuses the login ({answer.status_code}). Run `az login` again, or on a machine without a "
            "browser `az login --use-device-code`."
        )
    if not answer.ok:
        raise ConnectionFailed(f"Azure ML answered {answer.status_code}: {answer.text[:300]}")
