"""What is read costs the same among a hundred things and among thousands: SQLite's instructions are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace

import pytest

from azureml_wrapper.local.domain.metrics import Series
from azureml_wrapper.local.domain.odata import Comparison, Order
from azureml_wrapper.local.domain.pipelines import PipelineEndpoint
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.services.mlflow import search, wire
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.datasets import DatasetStore
from azureml_wrapper.local.store.environments import EnvironmentStore
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.metrics import MetricStore
from azureml_wrapper.local.store.models import ModelQuery, ModelStore
from azureml_wrapper.local.store.published import PublishedStore, ScheduleStore
from azureml_wrapper.local.store.query import Query
from azureml_wrapper.local.store.runs import RunStore
from azureml_wrapper.local.store.workspaces import WorkspaceStore
from azureml_wrapper.local.studio import handlers, views
from tests.unit.local.pipelinebench import START, Numbered, Ticking, W

FEW, MANY = 100, 3000
TIME = "2026-01-01T00:00:00.000000+00:00"


class Counting(Database):
    """A database in memory that counts the instructions of its virtual machine."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.instructions = 0
        self._connection.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.instructions += 1
        return 0

    @contextmanager
    def uncounted(self):
        self._connection.set_progress_handler(None, 0)
        yield
        self._connection.set_progress_handler(self._count, 1)

    def fill(self, table: str, rows: list[dict[str, object]]) -> None:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        with self.uncounted():
            self.execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


@dataclass
class Stores:
    database: Counting = field(default_factory=Counting)

    def __post_init__(self) -> None:
        clock, ids = Ticking(), Numbered()
        self.runs = RunStore(self.database, clock)
        self.experiments = ExperimentStore(self.database, clock, ids)
        self.datasets = DatasetStore(self.database, clock, ids, WorkspaceStore(self.database))
        self.models = ModelStore(self.database, clock)
        self.metrics = MetricStore(self.database)
        self.published = PublishedStore(self.database, clock)
        self.schedules = ScheduleStore(self.database, read=dict)
        self.environments = EnvironmentStore(self.database, clock, curated=(), normalise=dict)


def fill_runs(stores: Stores, number: int, **changes) -> None:
    """Ended runs, and two that go on."""
    body = {"experiment": "e", "tags": {}, "properties": {}}
    rows = [
        {
            "workspace": W,
            "run_id": f"r{place}",
            "experiment_id": "e",
            "parent_id": None,
            "root_id": f"r{place}",
            "number": place,
            "status": "Running" if place < 2 else "Completed",
            "run_type": None,
            "created": f"2026-01-01T00:{place // 60:02d}:{place % 60:02d}.000000+00:00",
            "body": json.dumps(body),
            **changes,
        }
        for place in range(number)
    ]
    stores.database.fill("runs", rows)


def fill_family(stores: Stores, number: int) -> None:
    fill_runs(stores, number, parent_id="parent")
    run = Run(workspace_id=W, run_id="parent", experiment="e", experiment_id="e", created=START)
    with stores.database.uncounted():
        stores.runs.add(run)


def fill_experiments(stores: Stores, number: int) -> None:
    rows = [
        {"workspace": W, "experiment_id": f"e{place}", "name": f"n{place}", "created": TIME, "tags": "{}"}
        for place in range(number)
    ]
    stores.database.fill("experiments", rows)


def fill_datasets(stores: Stores, number: int) -> None:
    saved = {"workspace": W, "kind": "file", "definition": "{}", "properties": "{}", "created": TIME}
    stores.database.fill(
        "saved_datasets",
        [{**saved, "saved_id": f"s{place}", "fingerprint": f"f{place}"} for place in range(number)],
    )
    version = {"workspace": W, "dataset_id": "d", "name": "n", "tags": "{}", "created": TIME, "modified": TIME}
    stores.database.fill(
        "dataset_versions", [{**version, "version": place + 1, "saved_id": f"s{place}"} for place in range(number)]
    )


def fill_models(stores: Stores, number: int) -> None:
    model = {"workspace": W, "created": TIME, "modified": TIME, "body": "{}"}
    stores.database.fill(
        "models",
        [{**model, "name": "n" if place % 2 else f"n{place}", "version": place + 1} for place in range(number)],
    )


def fill_environments(stores: Stores, number: int) -> None:
    version = {"workspace": W, "name": "n", "definition": "{}", "created": TIME}
    labels = ["[]"] * (number - 1) + ['["stable"]']
    stores.database.fill(
        "environments",
        [{**version, "version": str(place + 1), "labels": labels[place]} for place in range(number)],
    )


def fill_metrics(stores: Stores, number: int) -> None:
    names = {"workspace": W, "run_id": "r", "kind": "azureml.v1.scalar", "columns": '{"m": "Double"}'}
    stores.database.fill("metrics", [{**names, "name": f"m{place}"} for place in range(number)])
    stores.database.fill(
        "metric_points",
        [
            {"series": 1, "point_id": str(place), "created": f"{TIME[:-12]}{place:06d}+00:00", "data": '{"m": 1}'}
            for place in range(number)
        ],
    )


class Asked:
    """MLflow's requests for runs of the experiment "e"."""

    def __init__(self, stores: Stores, **body) -> None:
        self.workspace_id, self.body = W, {"experiment_ids": ["e"], **body}
        self.context = SimpleNamespace(runs=stores.runs, metrics=stores.metrics, experiments=stores.experiments)

    def page(self) -> tuple[list[str], str | None]:
        order = self.body.get("order_by") or []
        runs, more = search._Search(self.context, self, self.body, order).page(wire.page_size(self.body))
        return [run.run_id for run in runs], more.get("next_page_token")


def fill_search(stores: Stores, number: int) -> None:
    experiment = {"workspace": W, "experiment_id": "e", "name": "e", "created": TIME, "tags": "{}"}
    stores.database.fill("experiments", [experiment])
    fill_runs(stores, number)
    fill_metrics(stores, 20)


def fill_endpoints(stores: Stores, number: int) -> None:
    endpoint = {"workspace": W, "kind": "pipeline endpoint", "created": TIME, "modified": TIME}
    body = {"status": "Active", "versions": {"0": "p"}, "default_version": "0"}
    published = {"workspace": W, "kind": "published pipeline", "key": "p", "created": TIME, "modified": TIME}
    stores.database.fill("documents", [{**published, "body": "{}"}])
    stores.database.fill(
        "documents",
        [
            {**endpoint, "key": f"k{place}", "body": json.dumps({**body, "name": f"n{place}"})}
            for place in range(number)
        ],
    )


def fill_schedules(stores: Stores, number: int) -> None:
    """Those that are enabled are due in an hour."""
    times = {"created": TIME, "modified": TIME, "anchor": TIME, "next_fire": "2026-01-01T01:00:00.000000+00:00"}
    stores.database.fill(
        "schedules",
        [
            {"workspace": W, "schedule_id": f"s{place}", "is_active": place % 2, "body": "{}", **times}
            for place in range(number)
        ],
    )


def look_for_due_schedules(stores: Stores) -> object:
    now = START + timedelta(minutes=1)
    return not stores.schedules.due(now) and stores.schedules.is_any_active() and stores.schedules.next_after(now)


def add_endpoint(stores: Stores) -> object:
    made = PipelineEndpoint(endpoint_id="new", name="new", status="Active", default_version="0", versions={"0": "p"})
    return stores.published.add_endpoint(W, made)


def newest_endpoints(stores: Stores) -> object:
    return stores.published.endpoints(W, active_only=True, limit=10)


def by_status(stores: Stores) -> object:
    running = Comparison("status", "eq", "Running")
    query = Query(order=Order("starttimeutc", descending=True), filter=running, top=10)
    return stores.runs.page(W, query, experiment_id="e").items


def page_of_children(stores: Stores) -> object:
    query = Query(order=Order("starttimeutc", descending=True), top=10)
    return stores.runs.page(W, query, parent_id="parent").items


def page_of_experiments(stores: Stores) -> object:
    return stores.experiments.page(W, Query(order=Order("createdutc", descending=True), top=10)).items


def register(stores: Stores) -> object:
    return stores.environments.register(W, "n", {"a": 1})


def latest_model(stores: Stores) -> object:
    return stores.models.page(W, ModelQuery(name="n", latest_only=True, count=1)).items


def latest_runs(stores: Stores) -> object:
    return stores.runs.select(f"workspace = ? AND {handlers._LISTED}", (W,), limit=20)


def latest_of_experiment(stores: Stores) -> object:
    return stores.runs.select(f"workspace = ? AND experiment_id = ? AND {handlers._LISTED}", (W, "e"), limit=20)


OPERATIONS: dict[str, tuple[Callable[[Stores, int], None], Callable[[Stores], object]]] = {
    "unfinished runs": (fill_runs, lambda stores: stores.runs.unfinished()),
    "runs with a status": (fill_runs, by_status),
    "latest runs": (fill_runs, latest_runs),
    "latest runs of an experiment": (fill_runs, latest_of_experiment),
    "page of children": (fill_family, page_of_children),
    "a child of its parent": (fill_family, lambda stores: stores.runs.are_related(W, "parent", "r7")),
    "a sibling is none": (fill_family, lambda stores: not stores.runs.are_related(W, "r8", "r7")),
    "page of experiments": (fill_experiments, page_of_experiments),
    "newest experiments": (fill_experiments, lambda stores: stores.experiments.all(W, limit=10)),
    "experiment by name": (fill_experiments, lambda stores: stores.experiments.get_any(W, "n7")),
    "dataset by id": (fill_datasets, lambda stores: stores.datasets.by_dataset_id(W, "d")),
    "dataset by id and version": (fill_datasets, lambda stores: stores.datasets.by_dataset_id(W, "d", 7)),
    "dataset by version": (fill_datasets, lambda stores: stores.datasets.by_name(W, "n", 7)),
    "dataset by name": (fill_datasets, lambda stores: stores.datasets.by_name(W, "n")),
    "page of models": (fill_models, lambda stores: stores.models.page(W, ModelQuery(count=10)).items),
    "models of a name": (fill_models, lambda stores: stores.models.page(W, ModelQuery(name="n", count=10)).items),
    "latest model of a name": (fill_models, latest_model),
    "latest environment": (fill_environments, lambda stores: stores.environments.get(W, "n")),
    "environment by version": (fill_environments, lambda stores: stores.environments.get(W, "n", "7")),
    "environment by label": (fill_environments, lambda stores: stores.environments.by_label(W, "n", "stable")),
    "label an environment": (fill_environments, lambda stores: stores.environments.label(W, "n", "7", ["stable"])),
    "register an environment": (fill_environments, register),
    "last points": (fill_metrics, lambda stores: stores.metrics.newest(W, "r", "m0", 10)),
    "points, to a limit": (fill_metrics, lambda stores: stores.metrics.count(W, "r", "m0", 10)),
    "MLflow's search": (fill_search, lambda stores: Asked(stores, max_results=10).page()[0]),
    "endpoint by name": (fill_endpoints, lambda stores: stores.published.endpoint_by_name(W, "n7")),
    "newest endpoints": (fill_endpoints, newest_endpoints),
    "add an endpoint": (fill_endpoints, add_endpoint),
    "due schedules": (fill_schedules, look_for_due_schedules),
    "first metrics": (fill_metrics, lambda stores: stores.metrics.series(W, "r", limit=10)),
}


def instructions(name: str, number: int) -> int:
    fill, operation = OPERATIONS[name]
    stores = Stores()
    fill(stores, number)
    before = stores.database.instructions
    assert operation(stores)
    return stores.database.instructions - before


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_question_costs_the_same_however_much_is_stored(name):
    few, many = instructions(name, FEW), instructions(name, MANY)
    assert many <= 2 * few


def test_the_next_version_follows_the_highest_number():
    store = Stores().environments
    for version in ("7", "10", "009", "9" * 30, "beta", "3"):
        store.register("w", "n", {"is": version}, version=version)
    assert store.register("w", "n", {"is": "new"}).version == "11"
    assert store.register("w", "other", {}).version == "1"


def test_a_label_moves():
    store = Stores().environments
    for version in ("1", "2"):
        store.register("w", "n", {"is": version})
    store.label("w", "n", "1", ["stable", "old"])
    store.label("w", "n", "2", ["stable"])
    assert store.by_label("w", "n", "stable").version == "2"
    assert [each.labels for each in store.versions("w", "n")] == [("old",), ("stable",)]


def test_the_page_of_a_run_reads_what_it_shows():
    stores = Stores()
    fill_metrics(stores, 400)
    run = Run(workspace_id=W, run_id="r", experiment="e", experiment_id="e", created=START)
    shown, has_more = views.metrics(stores.metrics, run)
    assert (len(shown), has_more, shown[0].count) == (views.METRICS_SHOWN, True, "400")
    assert len((shown[0].curve or "").split()) == views.POINTS_DRAWN
    assert isinstance(stores.metrics.get(W, "r", "m1"), Series)


def test_mlflows_pages_join_to_the_whole():
    stores = Stores()
    fill_search(stores, 25)
    found, token = [], None
    while True:
        page, token = Asked(stores, max_results=7, page_token=token, filter="attributes.run_id != 'r9'").page()
        found += page
        if token is None:
            break
    assert found == [f"r{place}" for place in range(24, -1, -1) if place != 9]


def test_mlflows_search_reads_metrics_only_if_the_filter_names_one(monkeypatch):
    stores, reads = Stores(), []
    fill_search(stores, 25)
    with stores.database.uncounted():
        stores.database.execute("UPDATE metrics SET run_id = 'r3'")
    latest_of = stores.metrics.latest_of
    monkeypatch.setattr(stores.metrics, "latest_of", lambda *given: reads.append(given) or latest_of(*given))
    assert Asked(stores, filter="tags.x = '1' and status = 'FINISHED'").page() == ([], None)
    assert reads == []
    assert Asked(stores, filter="metrics.m0 = 1").page() == (["r3"], None)
    assert len(reads) == 1
