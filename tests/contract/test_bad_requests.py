"""Bodies of every malformed kind, sent to every route that takes one: each answer has a reason, and none is a 500."""

from __future__ import annotations

import json
import random
from collections import Counter
from urllib.parse import quote

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.app import service_routes
from azureml_wrapper.local.http.routing import WORKSPACE_SCOPE, Route
from azureml_wrapper.local.tokens import Tokens
from tests.bodies import BODIES, FORM_TYPE, MLFLOW, RUN, body_for

WRONG = (None, [], {}, 5, -1, True, "", "x\0y", "\ud800", "../../x", [None], [[]], {"a": None}, 10**400, float("nan"))
RAW = (b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000, b'"x"', b"5", b"[]", b"[1]", b'{"a":NaN}', b"9" * 5000)
MUTATIONS_PER_HANDLER, MUTATIONS_PER_ROUTE, CUTS_PER_FORM = 24, 6, 6


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with service_process.running(tmp_path_factory.mktemp("home")) as info:
        yield info


@pytest.fixture(scope="module")
def send(service):
    session = requests.Session()
    # Looking for proxies and a .netrc takes half as long as a request.
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {Tokens(service.secret).user()}"

    def request(method: str, path: str, body: bytes, kind: str = "application/json") -> requests.Response:
        url = f"http://127.0.0.1:{service.port}{path}"
        return session.request(method, url, data=body, headers={"Content-Type": kind}, timeout=10)

    make_run(request, RUN)
    return request


def make_run(send, run_id: str) -> None:
    route = next(route for route in ROUTES if route.path.endswith("experiments/{experiment}/runs/{run_id}"))
    assert send(route.method, address(route).replace("xrun_id", run_id), b'{"status": "Running"}').ok


def address(route: Route) -> str:
    """The route's path in the workspace `local`, with made-up names for everything else."""
    path = route.path.replace("{workspace_scope}", WORKSPACE_SCOPE)
    for name in ("subscription", "resource_group", "workspace"):
        path = path.replace(f"{{{name}}}", "local")
    return path.replace("{", "x").replace(":rest", "").replace("}", "").replace("xkey", "key")


def kind_of(route: Route) -> str:
    return FORM_TYPE if isinstance(body_for(route), str) else "application/json"


def places(value, at=()):
    """Where the values of a body are: tuples of keys and numbers."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in found:
        yield (*at, key)
        yield from places(item, (*at, key))


def replaced(body, place: tuple, value):
    if not place:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = replaced(copy[place[0]], place[1:], value)
    return copy


def mutations(route: Route):
    """Wrong bodies for a route: the same ones in every run of the tests."""
    body = body_for(route)
    if isinstance(body, str):
        return [body.encode()[:end] for end in range(0, len(body), max(1, len(body) // CUTS_PER_FORM))]
    every = [(place, value) for place in places(body) for value in WRONG]
    share = max(MUTATIONS_PER_HANDLER // SHARERS[route.handler], MUTATIONS_PER_ROUTE)
    chosen = random.Random(route.path).sample(every, min(share, len(every)))  # noqa: S311 # no secret
    return [json.dumps(replaced(body, place, value)).encode() for place, value in chosen]


ROUTES = [route for route in service_routes() if body_for(route) is not None and not route.public]
# Routes with the same handler, such as those with an experiment's name and with its id, share what is tried.
SHARERS = Counter(route.handler for route in ROUTES)
# Their handlers do not look at a body.
WITHOUT_BODY = """
    DELETE workspaces/{name}
    DELETE {provider}/{kind}/{name}
    DELETE datasets/{name}
    DELETE metadata/{origin}/{container}/{path:rest}
    DELETE PipelineRuns/{run_id}/Execution
    DELETE secrets/{secret}
"""


def test_every_route_that_takes_a_body_has_one_here():
    """A new operation gets a well-formed body in tests/bodies.py, which is then changed here and by the fuzzer."""
    without = [route for route in service_routes() if route.method not in ("GET", "HEAD") and body_for(route) is None]
    ends = [line.split() for line in WITHOUT_BODY.strip().splitlines()]
    unknown = [route for route in without if not any(_is(route, *each) for each in ends)]
    assert [f"{route.method} {route.path}" for route in unknown] == []
    assert len(without) == len(ends)


def _is(route: Route, method: str, end: str) -> bool:
    return route.method == method and route.path.endswith(end)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_body_breaks_the_service(send, route):
    for body in (*RAW, *mutations(route)):
        answer = send(route.method, address(route), body, kind_of(route))
        assert answer.status_code < 500 or answer.status_code == 501, (body[:300], answer.text)
        if not answer.ok:
            fault = {key.lower(): value for key, value in answer.json().items()}["error"]
            assert fault.get("message") or fault.get("Message"), body[:300]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "is not valid JSON"),
        (b"[" * 5000, "more than 250 levels"),
        (b"[" * 300 + b"]" * 300, "more than 250 levels"),
        (b'{"location": NaN}', "NaN is not a JSON number"),
        (b'{"location": 1e999}', "1e999 is not a JSON number"),
        (b'{"location": 99999999999999999999}', "more than 64 bits"),
        (rb'{"location": "\ud800"}', "surrogates not allowed"),
        (b'{"location": ["x"]}', "ResourceGroup.location must be a string"),
        (b'{"tags": {"a": {}}}', "ResourceGroup.tags.a must be a string"),
    ],
)
def test_the_answer_says_what_is_wrong(send, body, reason):
    answer = send("PUT", "/subscriptions/local/resourcegroups/some", body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["x", "-1", "\N{SUPERSCRIPT TWO}", "9" * 20, "9" * 5000])
@pytest.mark.parametrize(
    "path",
    [
        "/datastore/v1.0{scope}/datastores?count=",
        "/modelmanagement/v1.0{scope}/models?count=",
        "/dataset/v1.0{scope}/datasets/query/name=x?versionId=",
    ],
)
def test_a_number_in_a_query_that_is_none_is_refused(send, path, number):
    scope = address(Route("GET", "{workspace_scope}", str))
    answer = send("GET", path.format(scope=scope) + quote(number), b"")
    assert answer.status_code == 400
    assert "integer" in answer.json()["error"]["message"]


def test_an_upload_of_endless_files_is_refused(send):
    route = next(route for route in ROUTES if route.path.endswith("/getblob"))
    answer = send(route.method, address(route), json.dumps({"FileNames": ["x"] * 20_001}).encode())
    assert answer.status_code == 400
    assert "at most 20000 are allowed" in answer.json()["error"]["message"]


def test_characters_beyond_the_basic_plane_are_taken(send):
    answer = send("PUT", "/subscriptions/local/resourcegroups/some", rb'{"tags": {"a": "\ud83d\ude00"}}')
    assert answer.json()["tags"] == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("name", MLFLOW)
def test_the_bodies_of_mlflow_are_right_before_they_are_changed(send, name):
    route = next(route for route in ROUTES if route.path.endswith(f"v2.0{{workspace_scope}}/api/2.0/mlflow/{name}"))
    fresh = name.replace("/", "-")
    make_run(send, fresh)
    answer = send("POST", address(route), json.dumps(MLFLOW[name]).replace(RUN, fresh).encode())
    assert answer.ok, answer.text


def test_a_cluster_of_more_nodes_than_azure_allows_is_refused(send):
    compute = json.loads(json.dumps(BODIES["computes/{compute}"]))
    compute["properties"]["properties"]["scaleSettings"]["maxNodeCount"] = 2**62
    route = next(route for route in ROUTES if route.path.endswith("computes/{compute}") and route.method == "PUT")
    answer = send("PUT", address(route).replace("xcompute", "cpu"), json.dumps(compute).encode())
    assert answer.status_code == 400
    assert "65000" in answer.json()["error"]["message"]
