"""The route table finds the right handler, and requests wait for what they are woken by."""

from __future__ import annotations

import asyncio

import pytest

from azureml_wrapper.local.http import routing
from azureml_wrapper.local.http.routing import Refusal, Route, Router, Runs, Waiting

SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"


def handler(context, request):
    raise AssertionError("not called here")


def route(method, path, **options):
    return Route(method, path, handler, **options)


def find(router, method, path, query=None):
    match = router.match(method, path, query or {})
    return match and (match.route.path, match.parameters)


def test_a_part_takes_one_segment_and_is_decoded():
    router = Router([route("GET", "/runs/{run_id}")])
    assert find(router, "GET", "/runs/a%20b%2Fc") == ("/runs/{run_id}", {"run_id": "a b/c"})
    assert find(router, "GET", "/runs/a/b") is None
    assert find(router, "GET", "/runs/") is None


def test_a_rest_takes_slashes_and_nothing():
    router = Router([route("GET", "/files/{path:rest}")])
    assert find(router, "GET", "/files/a/b%23c") == ("/files/{path:rest}", {"path": "a/b#c"})
    assert find(router, "GET", "/files/") == ("/files/{path:rest}", {"path": ""})


def test_fixed_parts_match_in_any_case_and_values_keep_theirs():
    router = Router([route("GET", "/history/v1.0{workspace_scope}/x")])
    _, parameters = find(router, "GET", f"/history/v1.0{SCOPE.lower().replace('/ws', '/WS')}/X")
    assert parameters == {"subscription": "s", "resource_group": "rg", "workspace": "WS"}


def test_the_first_route_of_the_table_wins():
    router = Router([route("GET", "/runs/latest"), route("GET", "/runs/{run_id}")])
    assert find(router, "GET", "/runs/latest")[0] == "/runs/latest"
    assert find(router, "GET", "/runs/older")[0] == "/runs/{run_id}"


def test_the_method_has_to_match():
    router = Router([route("GET", "/runs/{run_id}")])
    assert find(router, "POST", "/runs/1") is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [({"comp": "block"}, "block"), ({"comp": "BLOCK"}, "block"), ({}, "plain"), ({"comp": "other"}, None)],
)
def test_query_values_choose_between_routes_of_one_path(query, expected):
    router = Router(
        [
            Route("PUT", "/{container}/{name:rest}", handler, query={"comp": "block"}, streams=True),
            Route("PUT", "/{container}/{name:rest}", handler, query={"comp": None}),
        ]
    )
    match = router.match("PUT", "/c/n", query)
    found = match and ("block" if match.route.streams else "plain")
    assert found == expected


def test_a_refusal_covers_its_path_and_what_is_below():
    router = Router([route("GET", "/a/{workspace_scope}/x")], [Refusal("/a{workspace_scope}/models", "Not here.")])
    assert router.refusal(f"/a{SCOPE}/MODELS") == "Not here."
    assert router.refusal(f"/a{SCOPE}/models/1/files") == "Not here."
    assert router.refusal(f"/a{SCOPE}/models2") is None


def test_the_paths_of_refusals_are_compiled_once(monkeypatch):
    router, compiled = Router([], [Refusal(f"/{name}", name) for name in "abc"]), []
    monkeypatch.setattr(
        routing, "_pattern", lambda path, plain=routing._pattern: compiled.append(path) or plain(path)
    )
    assert [router.refusal(path) for path in ("/c/d", "/x", "/a", "/y")] == ["c", None, "a", None]
    assert compiled == ["/a", "/b", "/c"]


def test_a_dot_in_a_path_is_a_dot():
    router = Router([route("GET", "/metric/v2.0/x")])
    assert find(router, "GET", "/metric/v2x0/x") is None


def test_a_route_refuses_the_tokens_of_runs_unless_it_reads_or_says_otherwise():
    assert route("POST", "/x").access is Runs.NOTHING
    assert route("DELETE", "/x", runs=Runs.FAMILY).access is Runs.FAMILY
    assert route("POST", "/x", runs=Runs.READ).access is Runs.READ
    assert route("GET", "/x").access is route("HEAD", "/x").access is Runs.READ
    assert route("GET", "/x", runs=Runs.NOTHING).access is Runs.NOTHING


# Waiting


def test_who_waits_is_woken_by_the_key_and_forgotten():
    async def wait():
        waiting = Waiting()
        with waiting.entry("a") as first, waiting.entry("a") as second, waiting.entry("b") as other:
            waiting.wake("a")
            await asyncio.wait_for(asyncio.gather(first, second), 10)
            assert not other.done()
            assert len(waiting) == 3
        assert (len(waiting), waiting._futures) == (0, {}), "not even their keys are kept"

    asyncio.run(wait())


def test_who_comes_after_the_end_does_not_wait():
    """A request that was on its way to wait when the service was stopped would keep it for as long as it waits."""

    async def wait():
        waiting = Waiting()
        with waiting.entry("a") as before:
            waiting.close()
            await asyncio.wait_for(before, 10)
        with waiting.entry("a") as after:
            assert after.done()

    asyncio.run(wait())
