"""Well-formed requests of every route: recorded from the SDKs' tests, and written by hand from `tests.bodies`.

`<run_id>` and the like stand for what the world of a round has: values of a *kind*. A route's parameter is of the
kind that `kind_of` finds.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azureml_wrapper.local.app import service_routes
from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route
from azureml_wrapper.local.services.blob.handlers import ROUTES as BLOB_ROUTES
from tests.bodies import FORM_TYPE, RUN, SWEEP, body_for, form, whole_path

CORPUS = Path(__file__).with_name("requests.json")
VERSION = {"x-ms-version": "2020-10-02"}
SHAPES_PER_ROUTE = 4
# In place of the 20 seconds for which clients ask: the fuzzer would take such an answer for a slow one.
WAIT = "wait=0.05"

# Where a parameter stands in a path, or its name alone, and its kind. The first that fits counts.
_KINDS = (
    (r"/(datastores|default)/\{name", "datastore"),
    (r"(/datasets/|query/name=|/dataversion/)\{name", "dataset"),
    (r"\{kind\}/\{name", "dependency"),
    (r"/workspaces/\{name", "spare_workspace"),
    (r"^/\{container\}/\{name", "blob"),
    (r"^/\{container", "container"),
    (r"/\{origin\}/\{container", "artifact_container"),
    (r"/AzureMLModuleVersions/\{version", "module_version"),
    (r"/PipelineEndpointSubmit/.*\{version", "endpoint_version"),
    (r"\{version", "version"),
    (r"/AzureMLModules/\{module", "azure_module"),
    (r"/Modules/Hash/\{hash", "module_hash"),
    (r"/DataSources/Hash/\{hash", "data_source_hash"),
    (r"/msi/\{key", "msi_key"),
    (r"\{key", "open_key"),
    (r"^/studio/.*\{run\b", "run_id"),
    (r"/studio/\{key\}/experiments/\{experiment", "experiment"),
    (r"/studio/\{key\}/experiments/id/\{experiment", "experiment_id"),
    (r"/PipelineRuns/\{run_id", "pipeline_run"),
    (r"/hyperdrive/.*\{run_id", "sweep_run"),
    (r"artifact.*\{path|/studio/.*\{path", "artifact_path"),
)
# The last parameter of what is made or deleted.
_MADE = {
    "computes/{compute}": ("PUT", "new_name"),
    "/snapshots/{snapshot_id}": ("POST", "new_name"),
    "/hdruns/{run_id}": ("POST", "new_name"),
    "/environments/{environment}/versions/{version}": ("PUT", "new_version"),
    "/experimentids/{experiment_id}": ("DELETE", "empty_experiment"),
}
# Query parameters that a route requires besides those in its table.
_QUERIES: dict[str, dict[str, str]] = {
    "/mlflow/experiments/get": {"experiment_id": "<experiment_id>"},
    "/mlflow/experiments/get-by-name": {"experiment_name": "<experiment>"},
    "/mlflow/experiments/list": {"view_type": "ALL", "max_results": "5"},
    "/mlflow/runs/get": {"run_id": "<run_id>"},
    "/mlflow/metrics/get-history": {"run_id": "<run_id>", "metric_key": "<metric>", "max_results": "5"},
    "/PipelineEndpoints/Name": {"name": "<endpoint_name>"},
    "/PipelineEndpointSubmit/Name": {"name": "<endpoint_name>", "pipelineVersion": "0"},
    "/AzureMLModules/Name": {"name": "<azure_module_name>"},
    "/CreationInfoWithGraph": {"experimentName": "<experiment>"},
    "/artifacts/path": {"path": "<artifact_path>"},
    "/artifacts/contentinfo": {"path": "<artifact_path>"},
    "/artifacts/artifacturi": {"path": "<artifact_path>"},
    "/artifacts/prefix/contentinfo": {"path": "<artifact_path>"},
    "/datasets": {"pageSize": "5"},
    "/models": {"name": "<model>", "count": "5"},
}
_BLOCKS = '<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>MDAwMDAw</Latest></BlockList>'


@dataclass(frozen=True)
class Operation:
    """A route, and whether it belongs to the storage, which has its own authentication."""

    route: Route
    is_storage: bool = False

    @property
    def name(self) -> str:
        query = "&".join(f"{name}={value or ''}" for name, value in self.route.query.items())
        return f"{self.route.method} {self.route.path}{'?' if query else ''}{query}"


@dataclass(frozen=True)
class Seed:
    """A well-formed request of an operation. A body is JSON, or text and bytes as they are."""

    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    is_recorded: bool = False


def operations() -> list[Operation]:
    """Every route of the service, of both of its sides."""
    return [Operation(route) for route in service_routes()] + [Operation(route, True) for route in BLOB_ROUTES]


def parameters_of(route: Route) -> list[str]:
    return re.findall(r"\{(\w+)[:}]", whole_path(route))


def kind_of(route: Route, name: str) -> str:
    """The kind of a parameter's values."""
    path = whole_path(route).replace(":rest}", "}")
    before = path.partition(f"{{{name}}}")[0] + f"{{{name}"
    if route.query.get("restype") and route.method in ("PUT", "DELETE"):
        return "new_name"
    for end, (method, kind) in _MADE.items():
        if route.method == method and path.endswith(end) and path == before + "}":
            return kind
    return next((kind for pattern, kind in _KINDS if re.search(pattern + "$", before)), name)


def path_of(route: Route, parameters: Mapping[str, str]) -> str:
    """The encoded path of a route."""
    path = route.path.replace("{workspace_scope}", WORKSPACE_SCOPE)
    for name, rest in re.findall(r"\{(\w+)(:rest)?\}", path):
        path = path.replace(f"{{{name}{rest}}}", quote(parameters[name], safe="/" if rest else "", errors="replace"))
    return path


@cache
def corpus() -> dict[str, list[Seed]]:
    """The recorded requests by operation."""
    found: dict[str, list[Seed]] = {}
    for item in json.loads(CORPUS.read_text()):
        body = base64.b64decode(item["base64"]) if "base64" in item else item.get("body")
        headers = {name: WAIT if name == "prefer" else value for name, value in item["headers"].items()}
        seed = Seed(item["query"], headers, body, is_recorded=True)
        found.setdefault(item["operation"], []).append(seed)
    return found


def seeds_of(operation: Operation) -> list[Seed]:
    """Recorded ones, and one by hand."""
    route = operation.route
    if operation.is_storage:
        return [*corpus().get(operation.name, ()), *_of_storage(route)]
    ends = [end for end in _QUERIES if route.path.endswith(end)]
    query = {name: value or "" for name, value in route.query.items()}
    query |= _QUERIES[max(ends, key=len)] if ends else {}
    query |= {"wsid": "<wsid>"} if route.path.startswith("/studio/") else {}
    body, headers = body_for(route), {}
    if body is SWEEP:
        body = form("config", "config.json", json.dumps(SWEEP))
    if isinstance(body, str) and body.startswith("--b"):
        headers["Content-Type"] = FORM_TYPE
    body = json.loads(json.dumps(body).replace(f'"{RUN}"', '"<run_id>"').replace('"experiment_id": "0"', _EXPERIMENT))
    return [*corpus().get(operation.name, ()), Seed(query, headers, body)]


_EXPERIMENT = '"experiment_id": "<experiment_id>"'


def _of_storage(route: Route) -> list[Seed]:
    query = {name: value for name, value in route.query.items() if value}
    headers, body = dict(VERSION), None
    comp = route.query.get("comp")
    if route.method == "PUT" and "{name" in route.path:
        body = {"blocklist": _BLOCKS, None: "the content of a blob", "metadata": None, "properties": None}.get(
            comp, "the content of a block"
        )
        headers |= {"x-ms-blob-type": "BlockBlob"} if comp is None else {}
        query |= {"blockid": "MDAwMDAw"} if comp == "block" else {}
        headers |= {"x-ms-meta-word": "first"} if comp == "metadata" else {}
    return [Seed(query, headers, body)]
