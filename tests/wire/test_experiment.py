"""Experiments through the SDK."""

from __future__ import annotations

import pytest
from azureml._restclient.models import ErrorResponseException
from azureml._restclient.workspace_client import WorkspaceClient
from azureml.core import Experiment
from azureml.exceptions import ServiceException


def test_an_experiment_is_made_once_and_found_again(ws, unique):
    name = unique("exp")
    first, second = Experiment(ws, name), Experiment(ws, name)
    assert first.id == second.id
    assert ws.experiments[name].id == first.id


def test_names_differ_by_more_than_case(ws, unique):
    name = unique("Exp")
    assert Experiment(ws, name).id == Experiment(ws, name.lower()).id


@pytest.mark.parametrize("name", ["-starts-with-a-dash", "has space", "ümlaut", "x" * 257, "dot.dot", "a%2Fb"])
def test_a_name_that_breaks_the_rules_is_refused_in_azures_words(ws, name):
    with pytest.raises(ServiceException, match="Experiment name must be 1-256 characters, start with a letter"):
        Experiment(ws, name, _skip_name_validation=True)


def test_tags_are_set_changed_and_removed(ws, unique):
    experiment = Experiment(ws, unique("exp"))
    experiment.set_tags({"team": "vision", "stage": "draft"})
    experiment.tag("stage", "final")
    experiment.remove_tags(["team"])
    experiment.refresh()
    assert experiment.tags == {"stage": "final"}


def test_more_than_fifty_tags_are_refused(ws, unique):
    experiment = Experiment(ws, unique("exp"))
    with pytest.raises(ServiceException, match=r"FieldName=Tags/Count, Limit=50, Size=51"):
        experiment.set_tags({f"k{number}": "v" for number in range(51)})


def test_list_finds_by_name_and_by_tag(ws, unique):
    name, tag = unique("exp"), unique("tag")
    experiment = Experiment(ws, name)
    experiment.tag(tag, "yes")
    Experiment(ws, unique("exp")).tag(tag, "no")
    assert [found.name for found in Experiment.list(ws, experiment_name=name)] == [name]
    assert [found.name for found in Experiment.list(ws, tags={tag: "yes"})] == [name]
    assert len(Experiment.list(ws, tags=tag)) == 2


def test_list_with_an_unknown_view_is_refused(ws):
    with pytest.raises(ErrorResponseException, match="ActiveOnly, ArchivedOnly and All"):
        Experiment.list(ws, view_type="Sideways")


def test_an_archived_experiment_leaves_the_list_and_comes_back(ws, unique):
    name = unique("exp")
    experiment = Experiment(ws, name)
    experiment.archive()
    assert experiment.archived_time is not None
    assert Experiment.list(ws, experiment_name=name) == []
    assert [found.id for found in Experiment.list(ws, experiment_name=name, view_type="ArchivedOnly")] == [
        experiment.id
    ]
    experiment.reactivate()
    assert [found.id for found in Experiment.list(ws, experiment_name=name)] == [experiment.id]
    assert experiment.archived_time is None


def test_the_name_of_an_archived_experiment_is_free_for_a_new_one(ws, unique):
    name = unique("exp")
    old = Experiment(ws, name)
    old.archive()
    new = Experiment(ws, name)
    assert new.id != old.id
    assert len(Experiment.list(ws, experiment_name=name, view_type="All")) == 2
    with pytest.raises(ServiceException, match="Another active experiment has the name"):
        old.reactivate()


def test_runs_of_an_archived_experiment_can_still_be_read(ws, unique):
    experiment = Experiment(ws, unique("exp"))
    run = experiment.start_logging(snapshot_directory=None, outputs=False)
    run.complete()
    experiment.archive()
    assert [found.id for found in experiment.get_runs()] == [run.id]


def test_an_empty_experiment_can_be_deleted(ws, unique):
    name = unique("exp")
    Experiment.delete(ws, Experiment(ws, name).id)
    assert Experiment.list(ws, experiment_name=name, view_type="All") == []


def test_an_experiment_with_runs_cannot_be_deleted(ws, unique):
    experiment = Experiment(ws, unique("exp"))
    experiment.start_logging(snapshot_directory=None, outputs=False).complete()
    with pytest.raises(ServiceException, match="only an empty experiment can be deleted"):
        Experiment.delete(ws, experiment.id)


def test_an_experiment_is_found_by_id(ws, unique):
    experiment = Experiment(ws, unique("exp"))
    assert WorkspaceClient(ws.service_context).get_experiment_by_id(experiment.id).name == experiment.name
