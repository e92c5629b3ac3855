"""Runs through the SDK."""

from __future__ import annotations

import datetime

import pytest
from azureml._restclient.models import CreateRunDto, ErrorResponseException, QueryParamsDto
from azureml._restclient.run_client import RunClient
from azureml._restclient.workspace_client import WorkspaceClient
from azureml.core import Experiment, Run
from azureml.exceptions import ServiceException


@pytest.fixture
def experiment(ws, unique):
    return Experiment(ws, unique("exp"))


@pytest.fixture
def start(experiment):
    """`start()`: an interactive run that takes no snapshot."""

    def begin(**options):
        return experiment.start_logging(snapshot_directory=None, outputs=False, **options)

    return begin


def create(experiment, run_id, **fields):
    """A run record of any kind, as the execution service would make it."""
    client = RunClient(experiment.workspace.service_context, experiment.name, run_id, experiment_id=experiment.id)
    client.patch_run(CreateRunDto(run_id=run_id, **fields))
    return client


def ids(runs):
    return [run.id for run in runs]


# Life ------------------------------------------------------------------------------------------------------------


def test_an_interactive_run_starts_and_completes(start):
    run = start(display_name="first try")
    assert run.get_status() == "Running"
    run.complete()
    assert run.get_status() == "Completed"
    assert run.display_name == "first try"
    assert repr(run).startswith(f"Run(Experiment: {run.experiment.name},\nId: {run.id},\nType: None,\nStatus:")


def test_a_run_without_a_name_is_shown_by_its_id(start):
    run = start()
    assert run.display_name == run.id


def test_details_have_azures_keys_in_azures_order(start):
    run = start()
    run.complete()
    details = run.get_details()
    assert list(details) == [
        "runId",
        "target",
        "status",
        "startTimeUtc",
        "endTimeUtc",
        "services",
        "properties",
        "inputDatasets",
        "outputDatasets",
        "logFiles",
        "submittedBy",
    ]
    assert (details["target"], details["services"], details["logFiles"]) == ("local", {}, {})
    assert details["startTimeUtc"].endswith("Z")
    assert details["startTimeUtc"] <= details["endTimeUtc"]


def test_a_running_run_has_no_end(start):
    assert "endTimeUtc" not in start().get_details()


def test_a_failed_run_keeps_its_error(start):
    run = start()
    run.fail(error_details="no data today", error_code="UserError")
    details = run.get_details()
    assert details["status"] == "Failed"
    assert details["error"]["error"]["message"] == "no data today"
    assert details["error"]["error"]["code"] == "UserError"
    assert details["error"]["error"]["details"] == []
    assert details["error"]["time"].startswith("0001-01-01T00:00:00")


def test_a_failing_with_block_fails_the_run(start):
    def use():
        with start() as run:
            runs.append(run)
            raise ZeroDivisionError("seven by nought")

    runs: list[Run] = []
    with pytest.raises(ZeroDivisionError):
        use()
    details = runs[0].get_details()
    assert details["status"] == "Failed"
    assert details["error"]["error"]["message"] == "User program failed with ZeroDivisionError: seven by nought"


def test_a_canceled_run_is_canceled(start):
    run = start()
    run.cancel()
    assert run.get_status() == "Canceled"


def test_completing_twice_changes_nothing(start):
    run = start()
    run.complete()
    end = run.get_details()["endTimeUtc"]
    run.complete()
    assert run.get_details()["endTimeUtc"] == end


def test_a_completed_run_cannot_fail(start):
    run = start()
    run.complete()
    with pytest.raises(ServiceException, match="is Completed and cannot become Failed"):
        run._client.run.post_event_failed()
    assert run.get_status() == "Completed"


def test_a_warning_is_kept_and_cut_to_300_characters(start):
    run = start()
    run._client.run.post_event_warning("test", "w" * 400)
    (warning,) = run.get_details()["warnings"]
    assert warning == {"source": "test", "message": "w" * 300}


def test_wait_for_completion_raises_what_failed(start):
    run = start()
    run.fail("broken")
    with pytest.raises(Exception, match="broken"):
        run.wait_for_completion()


# Managed runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["azureml.scriptrun", "azureml.StepRun", "azureml.PipelineRun"])
@pytest.mark.local_only
def test_the_status_of_a_managed_run_is_the_services(experiment, unique, kind):
    client = create(experiment, unique("managed"), run_type=kind)
    for event in (client.post_event_completed, client.post_event_failed, client.post_event_start):
        with pytest.raises(ServiceException, match="client is not permitted to update status for run"):
            event()
    with pytest.raises(ServiceException, match="Status for this run is system managed"):
        client.patch_run(CreateRunDto(run_id=client._run_id, status="Completed"))
    assert client.get_run().status == "NotStarted"


@pytest.mark.parametrize("kind", ["azureml.scriptrun", "azureml.StepRun"])
@pytest.mark.local_only
def test_a_managed_run_without_a_job_is_not_said_to_be_canceled(experiment, unique, kind):
    client = create(experiment, unique("managed"), run_type=kind)
    with pytest.raises(ServiceException, match="system managed"):
        client.post_event_canceled()
    assert client.get_run().status == "NotStarted"


@pytest.fixture
def submitted(experiment, unique):
    """The run as `Run.get_context()` gives it to a script: the SDK then posts no status by itself."""
    from azureml.core.run import _SubmittedRun

    client = create(experiment, unique("job"), run_type="azureml.scriptrun")
    return _SubmittedRun(experiment, client._run_id, clean_up=False)


@pytest.mark.local_only
def test_complete_in_a_job_leaves_the_end_to_the_service(submitted):
    submitted.log("loss", 0.5)
    submitted.complete()
    assert submitted.get_status() == "NotStarted"
    assert submitted.get_metrics() == {"loss": 0.5}


@pytest.mark.local_only
def test_fail_in_a_job_is_noted_and_not_shown_before_the_job_ends(submitted):
    submitted.fail("no data today")
    details = submitted.get_details()
    assert details["status"] == "NotStarted"
    assert "error" not in details


# Tags, properties, names -------------------------------------------------------------------------------------------


def test_tags_are_set_changed_and_removed(start):
    run = start()
    run.set_tags({"stage": "draft", "flag": None, "number": 7})
    run.tag("stage", "final")
    assert run.get_tags() == {"stage": "final", "flag": None, "number": "7"}
    run.remove_tags(["flag", "number", "never-there"])
    assert run.get_tags() == {"stage": "final"}


def test_properties_are_added_and_never_changed(start):
    run = start()
    run.add_properties({"author": "azureml-user"})
    run.add_properties({"author": "azureml-user", "build": "17"})
    with pytest.raises(ServiceException, match="immutable"):
        run.add_properties({"author": "different-user"})
    assert run.get_properties()["author"] == "azureml-user"
    assert run.get_properties()["build"] == "17"


def test_the_name_and_description_can_be_changed_afterwards(ws, start):
    run = start()
    run.display_name = "résumé"
    run.description = "line 1\nline 2"
    again = Run.get(ws, run.id)
    assert (again.display_name, again.description) == ("résumé", "line 1\nline 2")


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        (lambda run: run.tag("k" * 101, "v"), "FieldName=Tags/Key, Limit=100, Size=101"),
        (lambda run: run.tag("k", "v" * 1001), "FieldName=Tags/Value, Limit=1000, Size=1001"),
        (lambda run: run.set_tags({f"k{n}": "v" for n in range(51)}), "FieldName=Tags/Count, Limit=50, Size=51"),
        (lambda run: run.add_properties({"k": "v" * 1001}), "FieldName=Properties/Value, Limit=1000"),
        (lambda run: setattr(run, "display_name", "n" * 257), "FieldName=DisplayName, Limit=256, Size=257"),
    ],
)
def test_what_is_too_long_is_refused_in_azures_words(start, change, limit):
    with pytest.raises(ServiceException, match=limit):
        change(start())


def test_a_run_id_that_is_no_name_is_refused(experiment):
    with pytest.raises(ServiceException, match="1 to 256 letters, digits"):
        experiment.start_logging(run_id="a b", snapshot_directory=None)


@pytest.mark.parametrize("field", ["cancel_uri", "diagnostics_uri"])
def test_an_address_that_gets_the_users_token_is_not_taken_from_a_client(experiment, unique, field):
    with pytest.raises(ServiceException, match="Clients cannot set"):
        create(experiment, unique("run"), **{field: "https://elsewhere.example/"})


# Children ----------------------------------------------------------------------------------------------------------


def test_a_child_knows_its_parent_and_root(start):
    parent = start()
    child = parent.child_run("inner")
    grandchild = child.child_run()
    assert child.parent.id == parent.id
    assert grandchild._root_run_id == parent.id
    assert ids(parent.get_children()) == [child.id]
    assert sorted(ids(parent.get_children(recursive=True))) == sorted([child.id, grandchild.id])
    assert ids(child.get_children(recursive=True)) == [grandchild.id]


def test_children_come_newest_first(start):
    parent = start()
    children = [parent.child_run() for _ in range(3)]
    assert ids(parent.get_children()) == ids(reversed(children))


def test_create_children_makes_and_starts_them_at_once(start):
    parent = start()
    children = parent.create_children(tag_key="fold", tag_values=["a", "b", "c"])
    assert [child.tags["fold"] for child in children] == ["a", "b", "c"]
    assert {child.get_status() for child in children} == {"Running"}
    assert len(list(parent.get_children(tags={"fold": "b"}))) == 1


def test_children_are_found_by_tag_status_property_and_type(experiment, start, unique):
    parent = start()
    good, bad = parent.child_run(), parent.child_run()
    good.set_tags({"quality": "good"})
    good.add_properties({"colour": "blue"})
    good.complete()
    bad.fail("no")
    typed = create(experiment, unique("typed"), run_type="mine", parent_run_id=parent.id)._run_id
    assert ids(parent.get_children(tags="quality")) == [good.id]
    assert ids(parent.get_children(tags={"quality": "good"}, recursive=True)) == [good.id]
    assert ids(parent.get_children(properties={"colour": "blue"}, recursive=True)) == [good.id]
    assert ids(parent.get_children(status="Failed")) == [bad.id]
    assert ids(parent.get_children(type="mine", recursive=True)) == [typed]


def test_a_child_of_a_run_that_is_not_there_is_refused(experiment, unique):
    with pytest.raises(ServiceException, match="was not found"):
        create(experiment, unique("child"), parent_run_id="nobody")


def test_a_run_keeps_its_parent(experiment, start, unique):
    child = start().child_run()
    with pytest.raises(ServiceException, match="Cannot change the parent of run"):
        create(experiment, child.id, parent_run_id=start().id)


# Finding -----------------------------------------------------------------------------------------------------------


def test_a_run_is_found_in_its_workspace_alone(ws, start):
    run = start()
    assert Run.get(ws, run.id).experiment.name == run.experiment.name
    assert ws.get_run(run.id).id == run.id


def test_a_missing_run_is_an_error_in_azures_words(ws, experiment):
    with pytest.raises(ServiceException, match="Run nobody was not found"):
        Run.get(ws, "nobody")
    with pytest.raises(ServiceException, match="Run nobody was not found"):
        Run(experiment, "nobody")


def test_a_run_of_another_experiment_is_not_found(ws, start, unique):
    with pytest.raises(ServiceException, match="was not found"):
        Run(Experiment(ws, unique("other")), start().id)


def test_runs_are_listed_newest_first_without_children(experiment, start):
    first, second = start(), start()
    child = first.child_run()
    assert ids(experiment.get_runs()) == [second.id, first.id]
    assert ids(experiment.get_runs(include_children=True)) == [child.id, second.id, first.id]


def test_runs_are_filtered_by_tag_property_status_and_type(experiment, start, unique):
    first, second = start(), start()
    first.set_tags({"a key, with (odd) characters": 'say "hi" (or bye)'})
    first.add_properties({"azureml.custom": "x"})
    first.complete()
    typed = create(experiment, unique("typed"), run_type="azureml.scriptrun")._run_id
    assert ids(experiment.get_runs(tags="a key, with (odd) characters")) == [first.id]
    assert ids(experiment.get_runs(tags={"a key, with (odd) characters": 'say "hi" (or bye)'})) == [first.id]
    assert ids(experiment.get_runs(properties={"azureml.custom": "x"})) == [first.id]
    assert ids(Run.list(experiment, status="Running")) == [second.id]
    assert ids(Run.list(experiment, type="azureml.scriptrun")) == [typed]
    assert ids(Run.list(experiment, tags="nothing has this")) == []


def test_a_tag_without_a_value_is_found(experiment, start):
    run = start()
    run.tag("flag")
    assert ids(experiment.get_runs(tags="flag")) == [run.id]
    assert ids(experiment.get_runs(tags={"flag": None})) == [run.id]


def test_runs_are_filtered_by_time_and_trait(experiment, start):
    run = start()
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    client = run._client.run
    assert [dto.run_id for dto in client.get_runs(created_after=now - hour)] == [run.id]
    assert [dto.run_id for dto in client.get_runs(created_after=now + hour)] == []
    assert [dto.run_id for dto in client.get_runs(trait="unspecified")] == [run.id]
    assert [dto.run_id for dto in client.get_runs(orchestrator="External")] == [run.id]


def test_runs_are_found_by_ids_in_the_order_asked_for(experiment, start):
    made = sorted([start().id for _ in range(3)])
    client = RunClient(experiment.workspace.service_context, experiment.name, made[0], experiment_id=experiment.id)
    found = client.get_runs_by_run_ids(made[:2], order_by=("RunId", "asc"))
    assert [dto.run_id for dto in found] == made[:2]


def test_a_filter_that_cannot_be_read_is_refused(start):
    client = start()._client.run
    query = QueryParamsDto(filter="Colour eq blue")
    with pytest.raises(ErrorResponseException, match="Cannot filter by 'colour'; allowed fields: "):
        list(
            client._execute_with_experiment_arguments(
                client._client.run.get_by_query, query_params=query, is_paginated=True
            )
        )


def test_pages_follow_each_other(start):
    parent = start()
    made = {child.id for child in parent.create_children(count=100)}
    client = parent._client.run
    found = [dto.run_id for dto in client.get_runs(page_size=7, include_children=True)]
    assert found[-1] == parent.id
    assert set(found[:-1]) == made
    children = [dto.run_id for dto in client.get_child_runs(parent.id, page_size=7)]
    assert children == found[:-1]


def test_runs_of_a_compute_are_listed(ws, experiment, unique):
    target = unique("cluster")
    run_id = create(experiment, unique("run"), target=target)._run_id
    found = WorkspaceClient(ws.service_context).get_runs_by_compute(target)
    assert [dto.run_id for dto in found] == [run_id]


@pytest.mark.slow
@pytest.mark.local_only
def test_many_pages_of_runs_list_each_once(start):
    parent = start()
    for _ in range(25):
        parent._client.create_children("n", ["x"] * 100, start_children=False)
    found = [dto.run_id for dto in parent._client.run.get_child_runs(parent.id, page_size=500)]
    assert len(found) == len(set(found)) == 2_500
