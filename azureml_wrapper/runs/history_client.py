"""Queries run history, pipelines and the files of runs directly, for commands that cannot wait for the SDK's import.

The requests are those of the SDK itself: `runs:query` with a filter of run ids
(azureml/_restclient/experiment_client.py, get_runs_by_run_ids) and `contentinfo` for a file's address
(azureml/_restclient/artifacts_client.py).
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from azureml_wrapper.connection.target import Access, Scope, is_local_address
from azureml_wrapper.errors import ConnectionFailed, LoginFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient, Response

PARALLEL = 8
ATTEMPTS = 4
# The number of ids that the SDK puts into one filter.
BATCH = 50
PAGE = 500
# azureml/_restclient/constants.py and azureml/pipeline/core/run.py.
PIPELINE_RUN, CANCELED_EVENT = "azureml.PipelineRun", "Microsoft.MachineLearning.Run.Canceled"
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")

JSON = dict[str, Any]


class HistoryClient:
    """The run history and artifact services of one workspace.

    Every method raises `LoginFailed` if Azure ML refuses the login, and `ConnectionFailed` if it does not answer or
    answers with an error.
    """

    def __init__(self, access: Access, scope: Scope) -> None:
        self._access, self.workspace = access, scope
        self._scope = scope.path
        self._connections: dict[str, HttpClient] = {}
        self._opening = threading.Lock()

    def runs(self, experiment: str, run_ids: Iterable[str]) -> Iterator[JSON]:
        """Yield run history's entries of an experiment's runs; unknown ids are left out.

        Args:
            run_ids: At most `BATCH` ids.
        """
        wanted = " or ".join(f"RunId eq {run_id}" for run_id in run_ids)
        body: JSON = {"filter": f"({wanted})", "top": BATCH, "orderby": "RunId desc"}
        return self._pages(f"/experiments/{quote(experiment)}/runs:query", body) or iter(())

    def newest(self, experiment: str, status: str | None, limit: int) -> list[JSON] | None:
        """Return an experiment's newest runs, without children of others; None if it does not exist."""
        wanted = ["(ParentRunId eq null)", *([f"(Status eq {status})"] if status else [])]
        body = {"filter": " and ".join(wanted), "orderby": "StartTimeUtc desc", "top": min(limit, PAGE)}
        pages = self._pages(f"/experiments/{quote(experiment)}/runs:query", body)
        return None if pages is None else list(itertools.islice(pages, limit))

    def experiments(self) -> list[str]:
        """Return the names of the active experiments, in the service's order."""
        found = self._pages("/experiments:query", {"viewType": "ActiveOnly"})
        return [str(experiment["name"]) for experiment in found or ()]

    def experiment(self, experiment_id: str) -> str:
        """Return the name of an experiment."""
        found = self._ask("GET", self._history(f"/experimentids/{quote(experiment_id)}")) or {}
        return str(found.get("name") or "")

    def run(self, run_id: str, wait: float = 0.0) -> JSON | None:
        """Return run history's entry of a run; None if the workspace does not have it.

        Args:
            wait: Seconds for which the local service delays its answer until the run has ended.
        """
        headers = {"Prefer": f"wait={wait:g}"} if wait else {}
        return self._ask("GET", self._history(f"/runs/{quote(run_id)}"), headers=headers)

    def details(self, experiment: str, run_id: str) -> JSON:
        """Return the details of a run, with its error."""
        return self._ask("GET", self._history(f"/experiments/{quote(experiment)}/runs/{quote(run_id)}/details")) or {}

    def children(self, experiment: str, run_id: str) -> Iterator[JSON]:
        """Yield the entries of a run's children, those that started last first."""
        path = f"/experiments/{quote(experiment)}/runs/{quote(run_id)}/children"
        query = {"$orderby": "StartTimeUtc desc", "$top": str(PAGE)}
        while True:
            response = self._ask("GET", f"{self._history(path)}?{urlencode(query, safe='$')}") or {}
            yield from response.get("value") or ()
            if not response.get("continuationToken"):
                return
            query["$continuationToken"] = response["continuationToken"]

    def cancel(self, experiment: str, run: JSON) -> None:
        """Ask a run to stop, as the SDK does for its kind of run (azureml/_run_impl/run_history_facade.py)."""
        run_id = str(run["runId"])
        if run.get("runType") == PIPELINE_RUN:
            path = f"/pipelines/v1.0{self._scope}/PipelineRuns/{quote(run_id)}/Execution"
            self._ask("DELETE", path, address=self._access.pipelines)
        elif run.get("cancelUri"):
            self._ask("POST", "", address=str(run["cancelUri"]))
        else:
            now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            event = {"timestamp": now, "name": CANCELED_EVENT, "data": {"RunId": run_id, "EndTime": now}}
            path = f"/experiments/{quote(experiment)}/runs/{quote(run_id)}/events"
            self._ask("POST", self._history(path), event)

    def page(self, run_id: str) -> str:
        """Return the address of a run's page, as the SDK makes it (azureml/core/_portal.py)."""
        scope = self.workspace
        place = f"/subscriptions/{scope.subscription_id}/resourcegroups/{scope.resource_group}"
        tenant = _tenant(self._access.token())
        return f"{self._access.portal}/runs/{run_id}?wsid={place}/workspaces/{scope.name}" + (
            f"&tid={tenant}" if tenant else ""
        )

    def published(self, *, active_only: bool) -> list[JSON]:
        """Return the published pipelines."""
        return self._listed("Pipelines", active_only)

    def schedules(self, *, active_only: bool) -> list[JSON]:
        """Return the schedules of published pipelines."""
        return self._listed("Schedules", active_only)

    @property
    def is_local(self) -> bool:
        """Whether the local service answers, which can wait for the end of a run."""
        return is_local_address(self._access.address)

    def files(self, run_id: str, prefix: str) -> dict[str, str]:
        """Return the files of a run below the folder `prefix`, each with the address to read it at."""
        path = f"{self._artifacts}/prefix/contentinfo/{self._of_run(run_id, prefix)}"
        found: dict[str, str] = {}
        query = ""
        while True:
            response = self._ask("GET", f"{path}{query}") or {}
            found |= {str(item["path"]): str(item["contentUri"]) for item in response.get("value") or ()}
            if not response.get("continuationToken"):
                return found
            query = f"?{urlencode({'continuationToken': response['continuationToken']})}"

    def file(self, run_id: str, name: str) -> str:
        """Return an address to read a run's file at; signatures of earlier ones may have expired."""
        found = self._ask("GET", f"{self._artifacts}/contentinfo/{self._of_run(run_id, name)}") or {}
        return str(found.get("contentUri") or "")

    def datastore(self, name: str | None) -> JSON | None:
        """Return the record of a datastore, by default of the workspace's default one; None if it does not exist."""
        place = f"datastores/{quote(name)}" if name else "default"
        return self._ask("GET", f"/datastore/v1.0{self._scope}/{place}")

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

    @property
    def _artifacts(self) -> str:
        return f"/artifact/v2.0{self._scope}/artifacts"

    def _of_run(self, run_id: str, path: str) -> str:
        return f"ExperimentRun/dcid.{quote(run_id)}/{quote(path)}"

    def _history(self, path: str) -> str:
        return f"/history/v1.0{self._scope}{path}"

    def _listed(self, kind: str, active_only: bool) -> list[JSON]:
        path = f"/pipelines/v1.0{self._scope}/{kind}?activeOnly={str(active_only).lower()}"
        found: Any = self._ask("GET", path, address=self._access.pipelines)
        return list(found or ())

    def _pages(self, path: str, body: JSON) -> Iterator[JSON] | None:
        """Yield what a query of run history finds, page by page; None for a 404."""
        first = self._ask("POST", self._history(path), body)
        return None if first is None else self._rest(path, body, first)

    def _rest(self, path: str, body: JSON, response: JSON) -> Iterator[JSON]:
        while True:
            yield from response.get("value") or ()
            if not response.get("continuationToken"):
                return
            body = {**body, "continuationToken": response["continuationToken"]}
            response = self._ask("POST", self._history(path), body) or {}

    def _ask(
        self,
        method: str,
        path: str,
        body: JSON | None = None,
        *,
        address: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> JSON | None:
        """Return the JSON of the response, or None for a 404; `address` is that of another service."""
        own = {"Authorization": f"Bearer {self._access.token()}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        url = f"{address or self._access.address}{path}"
        response = self._send(method, url, {**own, **(headers or {})}, content, accept=(404,))
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        found: JSON = json.loads(response.body or b"{}")
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


def _tenant(token: str) -> str:
    """The directory that a token belongs to; empty if it does not say."""
    part = token.partition(".")[2].partition(".")[0]
    try:
        return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).get("tid") or "")
    except ValueError:
        return ""


def history_time(text: Any) -> datetime | None:
    """Parse `2022-10-05T18:03:07.340605Z`; Azure sends zero to seven decimals, and not always a time zone."""
    if not text:
        return None
    # Imported here because not every command shows times.
    from dateutil.parser import isoparse

    found = isoparse(str(text))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
