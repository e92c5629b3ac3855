"""JSON of experiments (ExperimentDto, ModifyExperimentDto and others of azureml/_restclient/models)."""

from __future__ import annotations

from typing import Any

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.odata import Order, parse_filter, parse_order
from azureml_wrapper.local.domain.runs import Experiment
from azureml_wrapper.local.http.messages import string
from azureml_wrapper.local.store.query import Page, Query

# ViewType of azureml/core/experiment.py → Experiment.archived
_VIEWS = {"activeonly": False, "archivedonly": True, "all": None}


def experiment(record: Experiment) -> dict[str, Any]:
    return {
        "experimentId": record.experiment_id,
        "name": record.name,
        "description": record.description,
        "createdUtc": offset_time(record.created),
        "tags": record.tags,
        "archivedTime": offset_time(record.archived),
        "latestModifiedRunDateTime": None,
        "artifactLocation": None,
    }


def page(found: Page[Experiment]) -> dict[str, Any]:
    return {"value": [experiment(item) for item in found.items], "continuationToken": found.continuation}


def read_query(body: dict[str, Any]) -> Query:
    return Query(
        filter=parse_filter(string(body, "filter")),
        order=parse_order(string(body, "orderby"), Order("createdutc", descending=True)),
        top=body["top"] if isinstance(body.get("top"), int) else None,
        after=string(body, "continuationToken"),
    )


def read_view(name: str | None) -> bool | None:
    """Which experiments to list: False active ones (the default), True archived ones, None both."""
    view = (name or "ActiveOnly").lower()
    if view not in _VIEWS:
        raise Invalid(f"Unknown view type {name!r}: allowed are ActiveOnly, ArchivedOnly and All.")
    return _VIEWS[view]
