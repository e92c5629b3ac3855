"""Graphs: what is refused, what runs when, and how a pipeline ends."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.plans import Walk
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor.graph import LEFT_BEHIND, SHUT_DOWN
from azureml_wrapper.local.services.pipelines.graphwire import read_graph
from tests.unit.local.pipelinebench import Bench, W, edge


@pytest.fixture
def bench():
    return Bench()


def walk_of(*arrows, nodes=(), keep_on=False):
    return Walk(read_graph(Bench().graph(*arrows, nodes=nodes)), continue_on_failure=keep_on)


def test_a_walk_lets_a_step_go_when_all_that_it_waits_for_has_ended():
    walk = walk_of("a>c", "b>c", "c>d")
    assert walk.begin() == ["a", "b"]
    assert walk.end("a", succeeded=True) == []
    assert walk.end("b", succeeded=True) == ["c"]
    assert walk.end("c", succeeded=True) == ["d"]
    assert not walk.is_over
    assert walk.end("d", succeeded=True) == []
    assert walk.is_over


def test_a_walk_stops_at_a_failure():
    walk = walk_of("a>c", "b>d")
    walk.begin()
    assert walk.end("a", succeeded=False) == []
    assert walk.end("b", succeeded=True) == []
    assert walk.is_over
    assert walk.waiting == {"c", "d"}


def test_a_walk_that_continues_leaves_only_what_depends_on_the_failure():
    walk = walk_of("a>c", "c>e", "b>d", "d>e", keep_on=True)
    walk.begin()
    assert walk.end("a", succeeded=False) == []
    assert walk.end("b", succeeded=True) == ["d"]
    assert walk.end("d", succeeded=True) == []
    assert walk.is_over
    assert walk.waiting == {"c", "e"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ModuleNodes": []}, "no steps"),
        ({"Edges": [edge("nobody", "out", "a", "in")]}, "begins at node 'nobody'"),
        ({"Edges": [edge("a", "out", "nobody", "in")]}, "ends at node 'nobody'"),
        ({"Edges": [edge("a", "out", "a", "in")]}, "cycle"),
        ({"Edges": [edge("a", "x", "b", "i"), edge("b", "x", "a", "i")]}, "cycle; these nodes wait .*: a, b"),
        ({"Edges": [edge("a", "x", "b", "i"), edge("a", "y", "b", "i")]}, "two sources"),
        ({"DatasetNodes": [{"Id": "d"}]}, "names no data"),
        ({"DatasetNodes": [{"Id": "d", "DatasetId": "1"}, {"Id": "d", "DatasetId": "2"}]}, "two nodes"),
    ],
)
def test_a_graph_that_cannot_run_is_invalid(bench, change, message):
    with pytest.raises(Invalid, match=message):
        read_graph({**bench.graph(nodes=["a", "b"]), **change}).check()


def test_steps_begin_as_those_before_them_end(bench):
    run = bench.begin(bench.graph("a>b", "a>c", "b>d", "c>d"))
    assert bench.started(run) == {"a"}
    bench.end(run, "a")
    assert bench.started(run) == {"a", "b", "c"}
    bench.end(run, "b", "c")
    assert bench.started(run) == {"a", "b", "c", "d"}
    assert (bench.status(run), bench.graphs.is_busy()) == (RunStatus.RUNNING, True)
    bench.end(run, "d")
    assert (bench.status(run), bench.graphs.is_busy()) == (RunStatus.COMPLETED, False)


def test_two_pipelines_do_not_mix(bench):
    graph = bench.graph("a>b")
    one, two = bench.begin(graph), bench.begin(graph)
    bench.end(one, "a")
    assert (bench.started(one), bench.started(two)) == ({"a", "b"}, {"a"})


def test_a_failure_fails_the_pipeline_and_stops_what_runs(bench):
    run = bench.begin(bench.graph("a>c", "b>d"))
    bench.end(run, "a", status=RunStatus.FAILED, error={"error": {"code": "UserError", "message": "too hot"}})
    assert bench.status(run) is RunStatus.FAILED
    assert bench.status(bench.run_of(run, "b")) is RunStatus.CANCELED
    assert bench.started(run) == {"a", "b"}
    message = bench.runs.get(W, run).error["error"]["message"]
    assert f"step ({bench.run_of(run, 'a')})" in message
    assert "too hot" in message


def test_a_pipeline_that_continues_runs_the_other_branches(bench):
    run = bench.begin(bench.graph("a>c", "b>d"), keep_on=True)
    bench.end(run, "a", status=RunStatus.FAILED)
    bench.end(run, "b", "d")
    assert bench.started(run) == {"a", "b", "d"}
    assert bench.status(run) is RunStatus.FAILED


def test_a_cancel_stops_what_runs_and_keeps_the_rest(bench):
    run = bench.begin(bench.graph("a>c", nodes=["a", "b"]))
    assert bench.graphs.cancel(W, run)
    assert bench.status(run) is RunStatus.CANCELED
    assert {bench.status(bench.run_of(run, name)) for name in "ab"} == {RunStatus.CANCELED}
    assert bench.started(run) == {"a", "b"}
    assert not bench.graphs.cancel(W, run)


def test_only_pipelines_are_canceled_here(bench):
    run = bench.begin(bench.graph(nodes=["a"]))
    assert not bench.graphs.cancel(W, bench.run_of(run, "a"))
    assert not bench.graphs.cancel(W, "nobody")


def test_a_step_canceled_by_itself_cancels_the_pipeline(bench):
    run = bench.begin(bench.graph("a>b"))
    bench.executor.cancel(W, bench.run_of(run, "a"))
    assert bench.status(run) is RunStatus.CANCELED
    assert bench.started(run) == {"a"}


def test_a_pipeline_is_submitted_once(bench):
    run = bench.begin(bench.graph(nodes=["a"]))
    with pytest.raises(Conflict, match="already submitted"):
        bench.graphs.submit(W, run)
    with pytest.raises(NotFound):
        bench.graphs.submit(W, "nobody")


def test_a_pipeline_canceled_before_it_began_does_not_begin(bench):
    run = bench.store(bench.graph(nodes=["a"]))
    assert bench.graphs.cancel(W, run)
    with pytest.raises(Conflict):
        bench.graphs.submit(W, run)
    assert (bench.started(run), bench.graphs.is_busy()) == (set(), False)


def test_what_a_killed_service_left_is_failed_with_the_reason(bench):
    run, waits = bench.begin(bench.graph("a>b")), bench.store(bench.graph(nodes=["a"]))
    after = Bench(bench.database)
    after.graphs.recover()
    for run_id in (run, bench.run_of(run, "a")):
        assert after.status(run_id) is RunStatus.FAILED
        assert after.runs.get(W, run_id).error["error"]["message"] == LEFT_BEHIND
    assert after.status(waits) is RunStatus.NOT_STARTED
    assert not after.graphs.is_busy()


@pytest.mark.parametrize(
    ("fields", "minutes", "expected"),
    [
        ({}, 9, RunStatus.NOT_STARTED),
        ({}, 11, RunStatus.FAILED),
        ({"pipeline_id": "p"}, 0, RunStatus.FAILED),
        ({"pipeline_id": "p", "schedule_id": "s"}, 11, RunStatus.NOT_STARTED),
    ],
)
def test_a_run_that_will_never_be_submitted_is_failed_at_the_next_start(bench, fields, minutes, expected):
    run = bench.store(bench.graph(nodes=["a"]), **fields)
    after = Bench(bench.database)
    after.clock.advance(minutes * 60)
    after.graphs.recover()
    assert after.status(run) is expected


def test_a_service_that_ends_begins_no_further_step(bench):
    run = bench.begin(bench.graph("a>b"))
    bench.graphs.close()
    bench.end(run, "a")
    assert bench.started(run) == {"a"}
    assert bench.runs.get(W, run).error["error"]["message"] == SHUT_DOWN


# Those of the fake executor that runs the steps included.
MOST_STATEMENTS = 14


def statements_of_a_chain(length: int) -> int:
    bench = Bench()
    bench.executor.instant = True
    graph = bench.graph(*(f"n{place}>n{place + 1}" for place in range(length - 1)))
    before = bench.database.statements
    run = bench.begin(graph)
    assert bench.status(run) is RunStatus.COMPLETED
    assert len(bench.started(run)) == length
    return bench.database.statements - before


def test_a_chain_of_a_thousand_steps_costs_ten_times_one_of_a_hundred():
    assert statements_of_a_chain(1000) <= 10 * statements_of_a_chain(100)


def test_a_step_costs_a_pipeline_few_statements():
    assert statements_of_a_chain(20) - statements_of_a_chain(10) <= 10 * MOST_STATEMENTS


def test_a_failure_among_many_steps_cancels_each_of_them_once(bench):
    run = bench.begin(bench.graph(nodes=[f"n{place}" for place in range(200)]))
    bench.end(run, "n0", status=RunStatus.FAILED)
    assert len(bench.executor.canceled) == 199
    assert bench.status(run) is RunStatus.FAILED


def test_the_step_that_a_run_belongs_to_is_in_its_tags_and_properties(bench):
    run = bench.begin(bench.graph(nodes=["a"]))
    step = bench.runs.get(W, bench.run_of(run, "a"))
    assert step.tags == {"azureml.nodeid": "a", "azureml.pipeline": run}
    assert step.properties["azureml.nodeid"] == "a"
    assert (step.parent_id, step.root_id, step.run_type) == (run, run, "azureml.StepRun")


def test_the_logs_have_the_lines_of_real_pipelines(bench):
    run = bench.begin(bench.graph(nodes=["a"]))
    step = bench.run_of(run, "a")
    bench.end(run, "a")
    assert [text for run_id, text in bench.logs.lines if run_id == run] == [
        f"Submitting 1 runs, first five are: a:{step}",
        f"Completing processing run id {step}.",
        "Finishing experiment: no runs left and nothing to schedule.",
    ]
    assert bench.logs.lines[-3] == (step, f"Job finished, job RunId is {step}")
