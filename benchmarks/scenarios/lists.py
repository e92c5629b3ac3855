"""What a question costs among more and more things, in instructions of SQLite: the same on a busy machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.odata import Comparison, Order
from azureml_wrapper.local.executor.slots import ComputeSlots, Request
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.store.models import ModelQuery
from azureml_wrapper.local.store.query import Query
from benchmarks.scenario import Entry, Quantity, Scenario, Setting, Values

SIZES = (100, 1_000, 10_000)
QUICK = (10, 100)
TIME = "2026-01-01T00:00:00.000000+00:00"
NEWEST = Order("starttimeutc", descending=True)

Question = Callable[[Context, str], object]


def fill(context: Context, workspace: str, number: int) -> None:
    """Rows of each kind, and one run that is the parent of half of the runs."""
    run = {"workspace": workspace, "experiment_id": "e", "root_id": "parent", "body": json.dumps({"experiment": "e"})}
    _insert(context, "runs", {**run, "parent_id": None, "run_type": None}, number, _run)
    _insert(context, "runs", {**run, "parent_id": "r0", "run_type": None}, number, partial(_run, prefix="c"))
    experiment = {"workspace": workspace, "created": TIME, "tags": "{}"}
    _insert(
        context, "experiments", experiment, number, lambda place: {"experiment_id": f"e{place}", "name": f"n{place}"}
    )
    saved = {"workspace": workspace, "kind": "file", "definition": "{}", "properties": "{}", "created": TIME}
    _insert(
        context, "saved_datasets", saved, number, lambda place: {"saved_id": f"s{place}", "fingerprint": f"f{place}"}
    )
    version = {
        "workspace": workspace,
        "dataset_id": "d",
        "name": "n",
        "tags": "{}",
        "created": TIME,
        "modified": TIME,
    }
    _insert(context, "dataset_versions", version, number, lambda place: {"version": place, "saved_id": f"s{place}"})
    model = {"workspace": workspace, "name": "n", "created": TIME, "modified": TIME, "body": "{}"}
    _insert(context, "models", model, number, lambda place: {"version": place})
    environment = {"workspace": workspace, "name": "n", "definition": "{}", "labels": "[]", "created": TIME}
    _insert(context, "environments", environment, number, lambda place: {"version": str(place)})
    metric = {"workspace": workspace, "run_id": "r0", "kind": "azureml.v1.scalar", "columns": '{"m": "Double"}'}
    _insert(context, "metrics", metric, 1, lambda place: {"name": "m"})
    point = {"series": 1, "data": '{"m": 1}'}
    _insert(context, "metric_points", point, number, lambda place: {"point_id": str(place), "created": _time(place)})

    endpoint = {"workspace": workspace, "kind": "pipeline endpoint", "created": TIME, "modified": TIME}
    _insert(context, "documents", endpoint, number, lambda place: {"key": f"k{place}", "body": _endpoint(place)})
    schedule = {"workspace": workspace, "created": TIME, "modified": TIME, "anchor": TIME, "is_active": 1}
    later = {**schedule, "next_fire": "2100-01-01T00:00:00.000000+00:00", "body": "{}"}
    _insert(context, "schedules", later, number, lambda place: {"schedule_id": f"s{place}"})


def _endpoint(place: int) -> str:
    return json.dumps({"name": f"n{place}", "status": "Active", "versions": {"0": "p"}, "default_version": "0"})


def _insert(
    context: Context, table: str, fields: Mapping[str, object], number: int, more: Callable[[int], dict[str, object]]
) -> None:
    rows = [{**fields, **more(place)} for place in range(number)]
    names = ", ".join(rows[0])
    marks = ", ".join(f":{name}" for name in rows[0])
    context.database.execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


def _run(place: int, prefix: str = "r") -> dict[str, object]:
    status = "Running" if place < 2 else "Completed"
    return {"run_id": f"{prefix}{place}", "number": place, "status": status, "created": _time(place)}


def _time(place: int) -> str:
    return f"2026-01-01T{place // 3600:02d}:{place // 60 % 60:02d}:{place % 60:02d}.000000+00:00"


def _with_status(context: Context, workspace: str) -> object:
    running = Comparison("status", "eq", "Running")
    return context.runs.page(workspace, Query(order=NEWEST, filter=running, top=10), experiment_id="e")


def _children(context: Context, workspace: str) -> object:
    return context.runs.page(workspace, Query(order=NEWEST, top=10), parent_id="r0")


def _experiments(context: Context, workspace: str) -> object:
    return context.experiments.page(workspace, Query(order=Order("createdutc", descending=True), top=10))


def _latest_runs(context: Context, workspace: str) -> object:
    return context.runs.select("workspace = ? AND parent_id IS NULL", (workspace,), limit=20)


def _found_by_mlflow(context: Context, workspace: str) -> object:
    """A page of 100 runs with their metrics, as MLflow's search reads it."""
    found = next(context.runs.of_experiment(workspace, "e", portion=100))
    return context.metrics.latest_of(workspace, [run.run_id for _, run in found])


def _due(context: Context, workspace: str) -> object:
    now = context.clock.now()
    return context.scheduler.is_busy(), context.schedules.due(now), context.schedules.next_after(now)


QUESTIONS: dict[str, Question] = {
    "latest runs of a workspace": _latest_runs,
    "newest experiments": lambda context, workspace: context.experiments.all(workspace, limit=10),
    "a page of MLflow's search": _found_by_mlflow,
    "endpoint by name": lambda context, workspace: context.published.endpoint_by_name(workspace, "n7"),
    "newest 10 endpoints": lambda context, workspace: context.published.endpoints(
        workspace, active_only=True, limit=10
    ),
    "environment by label": lambda context, workspace: context.environments.by_label(workspace, "n", "latest"),
    "schedules that are due": _due,
    "runs with a status": _with_status,
    "children of a run": _children,
    "unfinished runs": lambda context, workspace: context.runs.unfinished(),
    "may a run write to its child": lambda context, workspace: context.runs.are_related(workspace, "r0", "c7"),
    "experiments": _experiments,
    "newest model of a name": lambda context, workspace: context.models.page(
        workspace, ModelQuery(name="n", latest_only=True, count=1)
    ),
    "dataset by its id": lambda context, workspace: context.datasets.by_dataset_id(workspace, "d"),
    "latest environment": lambda context, workspace: context.environments.get(workspace, "n"),
    "next version of an environment": lambda context, workspace: context.environments._next_version(workspace, "n"),
    "last 50 points of a metric": lambda context, workspace: context.metrics.newest(workspace, "r0", "m", 50),
}


def instructions(context: Context, workspace: str, question: Question) -> Values:
    count = 0

    def note() -> int:
        nonlocal count
        count += 1
        return 0

    connection = context.database._connection
    connection.set_progress_handler(note, 1)
    try:
        question(context, workspace)
    finally:
        connection.set_progress_handler(None, 0)
    return {"instructions": float(count)}


def looks(number: int) -> Values:
    """How many requests are looked at for each job, if that number of jobs wait for the one node of a compute."""

    class Counting(ComputeSlots):
        count = 0

        def _fits(self, request: Request) -> bool:
            self.count += 1
            return super()._fits(request)

    slots = Counting(cores=2)
    requests = [
        Request(
            slots=slots,
            compute=("w", "cpu"),
            limit=1,
            number=place,
            start=lambda: True,
            gave_up=lambda: False,
        )
        for place in range(number)
    ]
    for request in requests:
        _ = slots.acquire(request) or slots.wait(request)
    for request in requests:
        slots.release(request)
    return {"instructions": slots.count / number}


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    lines, sizes = [], QUICK if setting.quick else SIZES
    with contextlib.ExitStack() as stack:
        for size in sizes:
            context, workspace = _filled(setting.folder / f"lists-{size}", size)
            stack.callback(context.database.close)
            for name, question in QUESTIONS.items():
                measure = partial(instructions, context, workspace, question)
                lines.append(Entry(name=f"{name}, {size}", measure=measure, group=name, size=size))
            waiting = "requests looked at, for each job that waits"
            lines.append(Entry(name=f"{waiting}, {size}", measure=partial(looks, size), group=waiting, size=size))
        yield sorted(lines, key=lambda line: line.size)


def _filled(folder: Path, size: int) -> tuple[Context, str]:
    home = Home(folder)
    home.create()
    context = build_context(home, 1)
    workspace = context.workspaces.get("local", "local", "local").workspace_id
    fill(context, workspace, size)
    return context, workspace


SCENARIO = Scenario(
    name="lists",
    title="Questions among 100 to 10,000 things",
    about="""One workspace has that number of runs, child runs, experiments, points of a metric, and versions of a
dataset, a model and an environment. Counted are the instructions of SQLite's virtual machine for one question to the
local service's stores, and in the last line how many waiting jobs are looked at for each that comes and goes. Neither
depends on the machine or on what else it does. With an exponent of 0, a question costs the same among any number.""",
    open=entries,
    quantities=(Quantity(key="instructions", heading="instructions", unit="number"),),
)
