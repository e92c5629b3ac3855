"""Runs: their life, what clients may change, and how they are stored and found."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from azureml_wrapper.local.domain import limits
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.domain.odata import Order, parse_filter
from azureml_wrapper.local.domain.runs import Run, RunPatch, RunStatus, amend
from azureml_wrapper.local.store.database import Database, dump
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.query import Query
from azureml_wrapper.local.store.runs import RunStore
from tests.work import instructions, statements

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
NEWEST_FIRST = Order("starttimeutc", descending=True)


class Ticking:
    """A clock that moves one second at each look."""

    def __init__(self):
        self._now = START

    def now(self):
        self._now += timedelta(seconds=1)
        return self._now

    def steady(self):
        return self._now.timestamp()


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def database():
    return Database(":memory:")


@pytest.fixture
def store(database, clock):
    return RunStore(database, clock)


@pytest.fixture
def add(store, clock):
    """`add("a", parent_id=…)`: a stored run of the workspace `w` and the experiment `e`."""

    def make(run_id, *, definition=None, **fields):
        values = {"workspace_id": "w", "experiment": "e", "experiment_id": "e", "created": clock.now(), **fields}
        return store.add(Run(run_id=run_id, **values), definition)

    return make


def ids(runs):
    return [run.run_id for run in runs]


def query(text=None, **options):
    return Query(filter=parse_filter(text), order=options.pop("order", NEWEST_FIRST), **options)


# Life --------------------------------------------------------------------------------------------------------------


def test_a_run_notes_when_it_starts_and_ends(store, add):
    add("a")
    running = store.advance("w", "a", RunStatus.RUNNING)
    done = store.advance("w", "a", RunStatus.COMPLETED)
    assert running.ended is None
    assert done.started == running.started < done.ended


def test_what_is_set_with_a_status_is_stored_with_it_or_not_at_all(store, add):
    add("a")
    store.advance("w", "a", RunStatus.RUNNING, input_datasets=[{"id": 1}])
    assert store.get("w", "a").input_datasets == [{"id": 1}]
    store.advance("w", "a", RunStatus.COMPLETED)
    with pytest.raises(Conflict):
        store.advance("w", "a", RunStatus.QUEUED, input_datasets=[])
    assert store.get("w", "a").input_datasets == [{"id": 1}]


def test_a_child_has_the_root_of_the_parent_that_is_given(store, add, clock):
    add("a")
    parent = add("b", parent_id="a")
    values = {"workspace_id": "w", "experiment": "e", "experiment_id": "e", "created": clock.now()}
    for run_id, given in (("c", parent), ("d", None)):
        assert store.add(Run(run_id=run_id, parent_id="b", **values), parent=given).root_id == "a"


def test_a_run_that_goes_on_after_its_end_keeps_its_start(store, add):
    add("a")
    started = store.advance("w", "a", RunStatus.RUNNING).started
    store.advance("w", "a", RunStatus.COMPLETED)
    again = store.advance("w", "a", RunStatus.RUNNING, again=True)
    assert (again.started, again.ended) == (started, None)


def test_an_error_that_was_told_before_the_end_is_kept(store, add):
    """Clients send the error of a run, and then its status."""
    add("a")
    store.change("w", "a", error={"error": {"message": "no data"}})
    assert store.advance("w", "a", RunStatus.FAILED).error == {"error": {"message": "no data"}}


def test_what_has_ended_is_not_unfinished(store, add):
    for status in RunStatus:
        add(status.value)
        store.advance("w", status.value, status)
    unfinished = {status for status in RunStatus if not status.is_terminal}
    assert {run.status for run in store.unfinished()} == unfinished


def test_the_same_status_again_changes_nothing(store, add):
    add("a")
    first = store.advance("w", "a", RunStatus.RUNNING)
    assert store.advance("w", "a", RunStatus.RUNNING) == first


@pytest.mark.parametrize("end", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED])
def test_nothing_follows_an_end(store, add, end):
    add("a")
    store.advance("w", "a", end)
    for status in set(RunStatus) - {end}:
        with pytest.raises(Conflict, match=f"is {end.value} and cannot become {status.value}"):
            store.advance("w", "a", status)


def test_a_run_that_asked_to_fail_fails_where_it_would_have_completed(store, add):
    add("a", run_type="azureml.scriptrun")
    error = {"error": {"message": "no data"}}
    store.change("w", "a", requested_failure=error)
    store.advance("w", "a", RunStatus.FINALIZING)
    done = store.advance("w", "a", RunStatus.COMPLETED)
    assert (done.status, done.error) == (RunStatus.FAILED, error)
    assert store.advance("w", "a", RunStatus.COMPLETED) == done


def test_a_cancelled_run_stays_cancelled_though_it_asked_to_fail(store, add):
    add("a")
    store.change("w", "a", requested_failure={"error": {}})
    assert store.advance("w", "a", RunStatus.CANCELED).status is RunStatus.CANCELED


def test_listeners_hear_each_change_of_status_once(store, add):
    heard = []
    store.listen(lambda run: heard.append(run.status))
    add("a")
    store.advance("w", "a", RunStatus.RUNNING)
    store.advance("w", "a", RunStatus.RUNNING)
    store.change("w", "a", tags={"k": "v"})
    assert heard == [RunStatus.RUNNING]


@pytest.mark.parametrize("kind", ["azureml.scriptrun", "azureml.StepRun", "azureml.PipelineRun"])
def test_runs_whose_script_the_service_starts_are_managed(add, kind):
    assert add("a", run_type=kind).is_managed


def test_interactive_runs_are_not_managed(add):
    assert not add("a").is_managed


# Storing -----------------------------------------------------------------------------------------------------------


def test_a_run_is_stored_whole(store, add):
    run = add(
        "a",
        definition={"script": "x.py"},
        tags={"k": "ü"},
        warnings=[{"message": "w"}],
        run_type_v2={"traits": ["t"]},
        extra={"options": {}},
    )
    assert store.get("w", "a") == run
    assert store.definition("w", "a") == {"script": "x.py"}


def test_a_definition_is_written_once_and_read_only_when_asked_for(database, store, add):
    """It is two thirds of a run, and a step's run is written eight times and read thirteen times."""

    def live():
        store.define("w", "a", {"script": "marked.py"})
        for status in (RunStatus.PREPARING, RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.FINALIZING):
            store.advance("w", "a", status)
        store.change("w", "a", tags={"k": "v"})
        store.advance("w", "a", RunStatus.COMPLETED)

    add("a")
    assert len([sql for sql in statements(database, live) if "marked.py" in sql]) == 1
    assert "marked.py" not in dump(database.all("SELECT body FROM runs")[0]["body"])


def test_a_run_without_a_definition_has_none(store, add):
    add("a")
    assert store.definition("w", "a") is None


def test_an_id_is_used_once_in_a_workspace(add):
    add("a")
    with pytest.raises(Conflict):
        add("a")
    add("a", workspace_id="other")


def test_the_root_is_the_topmost_run(store, add):
    add("top")
    add("mid", parent_id="top")
    assert add("low", parent_id="mid").root_id == "top"
    assert store.get("w", "top").root_id == "top"


def test_the_family_goes_up_and_down_but_not_sideways(store, add):
    for run_id, parent in {"top": None, "a": "top", "b": "top", "a1": "a", "b1": "b"}.items():
        add(run_id, parent_id=parent)
    related = {run_id for run_id in ("top", "a", "b", "a1", "b1", "nobody") if store.are_related("w", "a", run_id)}
    assert related == {"top", "a", "a1"}


def test_runs_of_two_workspaces_may_have_one_id_and_nothing_else_in_common(store, add):
    for workspace in ("w", "other"):
        add("a", workspace_id=workspace)
        add("b", workspace_id=workspace, parent_id="a")
    # What the other workspace's run has above and below it is not this one's.
    add("above", workspace_id="other")
    add("below", workspace_id="other", parent_id="b")
    add("single", workspace_id="other", parent_id="above")
    add("single")
    store.advance("w", "a", RunStatus.RUNNING)
    store.change("w", "a", tags={"k": "v"})
    untouched = store.get("other", "a")
    assert (untouched.status, untouched.tags) == (RunStatus.NOT_STARTED, {})
    names = ("a", "b", "single", "above")
    assert [name for name in names if store.are_related("w", "b", name)] == ["a", "b"]
    assert [name for name in names if store.are_related("w", "single", name)] == ["single"]
    assert [name for name in names if store.are_related("other", "single", name)] == ["single", "above"]


def test_removed_tags_are_gone(store, add):
    add("a", tags={"x": "1", "y": "2"})
    assert store.remove_tags("w", "a", ["x", "z"]).tags == {"y": "2"}


# Finding -----------------------------------------------------------------------------------------------------------


def test_runs_come_newest_first_and_waiting_ones_count_as_new(store, add):
    add("old")
    add("new")
    store.advance("w", "old", RunStatus.RUNNING)
    store.advance("w", "new", RunStatus.RUNNING)
    add("waiting")
    assert ids(store.page("w", query()).items) == ["waiting", "new", "old"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RunId eq a or RunId eq c", ["c", "a"]),
        ("Status eq Running", ["b"]),
        ("ParentRunId eq null", ["b", "a"]),
        ("ParentRunId ne null", ["c"]),
        ("RootRunId eq a and RunId ne a", ["c"]),
        ("(RunType eq t or Properties/azureml.runsource eq t)", ["b", "a"]),
        ("(Tags/k ne null or Tags/k eq null)", ["b", "a"]),
        ("(Tags/k eq null)", ["b"]),
        ('(Tags/k eq "v")', ["a"]),
        ('(Tags/k ne "v")', []),
        ("(Tags/' OR 1=1 -- eq null)", []),
        ("CreatedUtc gt 2026-01-01T00:00:02Z", ["c"]),
        # .NET writes seven decimals.
        ("CreatedUtc gt 2026-01-01T02:00:02.0000000+02:00", ["c"]),
        ("(RunTypeV2/Orchestrator eq External)", ["c"]),
        ("(RunTypeV2/Traits/fast ne null) or (RunTypeV2/Traits/fast eq null)", ["c"]),
    ],
)
def test_filters_choose_runs(store, add, text, expected):
    add("a", tags={"k": "v"}, run_type="t")
    add("b", tags={"k": None}, properties={"azureml.runsource": "t"}, status=RunStatus.RUNNING)
    add("c", parent_id="a", run_type_v2={"orchestrator": "External", "traits": ["fast"]})
    assert ids(store.page("w", query(text)).items) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Colour eq blue", "Cannot filter by 'colour'"),
        ("CreatedUtc ge yesterday", "Invalid time 'yesterday'"),
        ("CreatedUtc ge 0001-01-01T00:00:00+14:00", "Invalid time"),
        ("Status ge null", "Invalid comparison status ge null"),
        ("RunTypeV2/Traits/x eq y", "only be compared with null"),
    ],
)
def test_filters_that_mean_nothing_are_refused(store, text, reason):
    with pytest.raises(Invalid, match=reason):
        store.page("w", query(text))


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", ["starttimeutc", "runid", "status", "endtimeutc", "runnumber"])
def test_pages_hold_every_run_once_in_any_order(store, add, field, descending):
    for number in range(7):
        add(f"r{number}")
    for number in range(0, 7, 2):
        store.advance("w", f"r{number}", RunStatus.COMPLETED)
    order, seen, token = Order(field, descending), [], None
    while True:
        page = store.page("w", query(order=order, top=2, after=token))
        seen += ids(page.items)
        token = page.continuation
        if token is None:
            break
        assert len(page.items) == 2
    assert seen == ids(store.page("w", query(order=order)).items)
    assert sorted(seen) == [f"r{number}" for number in range(7)]


@pytest.mark.parametrize("token", ["nonsense", "bnVsbA==", "WzEsIDIsIDNd", "W251bGwsIDFd", "é"])
def test_a_token_that_is_not_ours_is_refused(store, token):
    with pytest.raises(Invalid, match="continuation token"):
        store.page("w", query(after=token))


def test_an_order_by_an_unknown_field_is_refused(store):
    with pytest.raises(Invalid, match="Cannot order by 'colour'"):
        store.page("w", query(order=Order("colour")))


@pytest.mark.parametrize("scope", ["experiment_id", "parent_id"])
def test_a_page_is_read_from_an_index_without_sorting(store, database, scope):
    """Or the time for a whole list would grow with the square of its length."""
    statements = []
    database.all = lambda sql, values=(): statements.append((sql, values)) or []
    store.page("w", query("ParentRunId eq null", after="WyIyMDI2IiwgNV0="), **{scope: "x"})
    del database.all
    plan = database.all(f"EXPLAIN QUERY PLAN {statements[0][0]}", statements[0][1])
    text = " ".join(row["detail"] for row in plan)
    assert "USING INDEX runs_" in text
    assert "TEMP B-TREE" not in text


# Changing ----------------------------------------------------------------------------------------------------------


def test_a_patch_merges_tags_and_joins_datasets(add):
    run = add("a", tags={"x": "1"}, input_datasets=[{"id": 1}])
    changed = amend(run, RunPatch(tags={"y": "2"}, input_datasets=[{"id": 1}, {"id": 2}], fields={"name": "n"}))
    assert changed.tags == {"x": "1", "y": "2"}
    assert changed.input_datasets == [{"id": 1}, {"id": 2}]
    assert changed.name == "n"


def test_a_property_can_be_repeated_but_not_changed(add):
    run = add("a", properties={"p": "1"})
    assert amend(run, RunPatch(properties={"p": "1", "q": "2"})).properties == {"p": "1", "q": "2"}
    with pytest.raises(Invalid, match="immutable"):
        amend(run, RunPatch(properties={"p": "2"}))


def test_an_orchestrator_is_set_once(add):
    run = add("a", run_type_v2={"orchestrator": "External"})
    with pytest.raises(Invalid, match="Orchestrator can not be modified after a value is set"):
        amend(run, RunPatch(fields={"run_type_v2": {"orchestrator": "Other"}}))


def test_a_type_is_set_once(add):
    assert amend(add("a"), RunPatch(fields={"run_type": "mine"})).run_type == "mine"
    run = add("b", run_type="azureml.scriptrun")
    with pytest.raises(Invalid, match="RunType can not be modified"):
        amend(run, RunPatch(fields={"run_type": "mine"}))


def test_what_the_service_wrote_does_not_count_against_a_tag(add):
    """Azure's own properties go over the limits; a client that sets a tag is not blamed for them."""
    run = add("a", properties={f"azureml.{n}": "v" * 3000 for n in range(60)})
    assert amend(run, RunPatch(tags={"k": "v"})).tags == {"k": "v"}


@pytest.mark.parametrize("name", ["a", "A-b_c", "9", "x" * 256])
def test_names_of_experiments_that_azure_takes(name):
    limits.check_experiment_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a/b", "a.b", "é", "x" * 257, "a\n"])
def test_names_of_experiments_that_azure_refuses(name):
    with pytest.raises(Invalid, match="1-256 characters"):
        limits.check_experiment_name(name)


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "a\\b", "a\0", "x" * 257, "a\n", "é"])
def test_run_ids_that_could_not_be_folders_are_refused(run_id):
    with pytest.raises(Invalid, match="1 to 256"):
        limits.check_run_id(run_id)


# Experiments -------------------------------------------------------------------------------------------------------


class Numbered:
    def __init__(self):
        self._count = 0

    def guid(self):
        self._count += 1
        return f"id-{self._count}"

    short = guid


@pytest.fixture
def experiments(database, clock):
    return ExperimentStore(database, clock, Numbered())


def test_names_of_experiments_ignore_case(experiments):
    assert experiments.ensure("w", "Name").experiment_id == experiments.ensure("w", "nAME").experiment_id
    assert experiments.ensure("other", "Name").experiment_id != experiments.get("w", "name").experiment_id


def test_an_experiment_is_got_by_id_and_name(experiments):
    made = experiments.ensure("w", "e")
    assert experiments.get("w", made.experiment_id) == experiments.get("w", "e")
    with pytest.raises(NotFound, match="Experiment nothing was not found"):
        experiments.get("w", "nothing")


def test_only_empty_experiments_are_deleted(experiments, store, add):
    made = experiments.ensure("w", "e")
    add("a", experiment_id=made.experiment_id)
    with pytest.raises(Conflict, match="only an empty experiment"):
        experiments.delete("w", made.experiment_id)


def test_a_page_costs_the_same_wherever_it_stands_among_ten_thousand_runs(database, store, add):
    with database.transaction():
        for number in range(10_000):
            add(f"{number}", parent_id="p")
    costs, token = [], None
    for _ in range(10):
        asked = query(after=token, top=1000)
        found = []
        costs.append(instructions(database, lambda: found.append(store.page("w", asked, parent_id="p"))))  # noqa: B023
        token = found[0].continuation
    assert token is None
    assert max(costs) < 1.5 * costs[0]
