"""Pipelines: data types, data sources, modules, graphs, pipeline runs, and which run each step has.

A new run has a record in run history and one among the pipelines: both or neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, Ids, offset_time, stored_time
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.limits import WARNING_LENGTH
from azureml_wrapper.local.domain.pipelines import (
    PIPELINE_RUN_TYPE,
    NamedModule,
    PipelineForms,
    PipelineRun,
    PublishedPipeline,
    Submission,
    Values,
    over,
    unknown_names,
)
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.store.database import Database, Row, dump, known, load
from azureml_wrapper.local.store.documents import Document, Documents
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.runs import RunStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS pipeline_runs (
    workspace    TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    graph_id     TEXT NOT NULL,
    pipeline_id  TEXT,
    schedule_id  TEXT,
    is_submitted INTEGER NOT NULL DEFAULT 0,
    created      TEXT NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (workspace, run_id)
);
CREATE INDEX IF NOT EXISTS pipeline_runs_pipeline ON pipeline_runs (workspace, pipeline_id);
CREATE INDEX IF NOT EXISTS pipeline_runs_schedule ON pipeline_runs (workspace, schedule_id);
CREATE TABLE IF NOT EXISTS pipeline_steps (
    workspace   TEXT NOT NULL,
    pipeline_id TEXT NOT NULL,
    node_id     TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    PRIMARY KEY (workspace, pipeline_id, node_id)
);
"""
_COLUMNS = ("run_id", "graph_id", "pipeline_id", "schedule_id", "is_submitted")


class PipelineStore:
    """What the pipeline service stores. Modules, sources, types and graphs are kept as the client sent them."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self.modules = Documents(database, clock, "module")
        self.named_modules = Documents(database, clock, "named module")
        self.data_sources = Documents(database, clock, "data source")
        self.data_types = Documents(database, clock, "data type")
        self.graphs = Documents(database, clock, "graph")
        database.ensure(SCHEMA)

    def add_module(self, workspace: str, body: JSON) -> Document:
        """Store a module that its reader has checked. The SDK finds it again by its IdentifierHash."""
        return self.modules.add(workspace, self._ids.guid(), body, alias=body.get("IdentifierHash"))

    def add_modules(self, workspace: str, bodies: Iterable[JSON]) -> list[str]:
        """Store many modules, all or none; return their ids."""
        with self._database.transaction():
            return [self.add_module(workspace, body).key for body in bodies]

    def add_module_version(self, workspace: str, body: JSON) -> Document:
        """Store a version of a named module. Steps never find it by its hash: it may change."""
        return self.modules.add(workspace, self._ids.guid(), body)

    def add_named_module(self, workspace: str, module: NamedModule) -> Document:
        """Store a new named module; raise `Conflict` if its name is taken."""
        with self._database.transaction():
            self._check_module_name(workspace, module)
            return self.named_modules.add(workspace, module.module_id, _module_body(module))

    def put_named_module(self, workspace: str, module: NamedModule) -> Document:
        """Like `add_named_module`, replacing its earlier state."""
        with self._database.transaction():
            self._check_module_name(workspace, module)
            return self.named_modules.put(workspace, module.module_id, _module_body(module))

    def named_module_by_name(self, workspace: str, name: str) -> Document:
        """The named module; raise `NotFound` if it is missing."""
        for document in self.named_modules.latest(workspace):
            if document.body["name"] == name:
                return document
        raise NotFound(f"Could not find a module with the name {name!r}.")

    def _check_module_name(self, workspace: str, module: NamedModule) -> None:
        for other in self.named_modules.latest(workspace):
            if other.body["name"] == module.name and other.key != module.module_id:
                raise Conflict(
                    f"The name {module.name!r} belongs to another module ({other.key}); module names are unique in "
                    "a workspace. Module.get(workspace, name=…) returns it."
                )

    def add_data_source(self, workspace: str, body: JSON) -> Document:
        return self.data_sources.add(workspace, self._ids.guid(), body, alias=body.get("IdentifierHash"))

    def add_graph(self, workspace: str, graph: JSON, interface: JSON) -> Document:
        """Store a graph that its reader has checked, and the interface of its parameters."""
        return self.graphs.add(workspace, self._ids.guid(), {"graph": graph, "interface": interface})

    def graph(self, workspace: str, graph_id: str) -> tuple[JSON, JSON]:
        """A graph and the interface of its parameters, as they were sent; raise `NotFound` if it is missing."""
        body = self.graphs.get(workspace, graph_id).body
        return body["graph"], body["interface"]

    def add_run(self, run: PipelineRun) -> None:
        """Store a pipeline run that has not been submitted."""
        values = _values(run)
        self._database.execute(
            "INSERT INTO pipeline_runs (workspace, run_id, graph_id, pipeline_id, schedule_id, is_submitted, created,"
            " body) VALUES (:workspace, :run_id, :graph_id, :pipeline_id, :schedule_id, :is_submitted, :created,"
            " :body)",
            values,
        )

    def find_run(self, workspace: str, run_id: str) -> PipelineRun | None:
        row = self._database.one(
            "SELECT * FROM pipeline_runs WHERE workspace = ? AND run_id = ?", (workspace, run_id)
        )
        return _run(row) if row else None

    def run(self, workspace: str, run_id: str) -> PipelineRun:
        """Like `find_run`, but raise `NotFound` if it is missing."""
        found = self.find_run(workspace, run_id)
        if found is None:
            raise NotFound(f"Pipeline run {run_id} was not found")
        return found

    def runs_of_schedule(self, workspace: str, schedule_id: str) -> list[PipelineRun]:
        """The runs of a schedule, newest first."""
        rows = self._database.all(
            "SELECT * FROM pipeline_runs WHERE workspace = ? AND schedule_id = ? ORDER BY created DESC, rowid DESC",
            (workspace, schedule_id),
        )
        return [_run(row) for row in rows]

    def runs_of_pipeline(self, workspace: str, pipeline_id: str) -> list[PipelineRun]:
        """The runs of a published pipeline, newest first."""
        rows = self._database.all(
            "SELECT * FROM pipeline_runs WHERE workspace = ? AND pipeline_id = ? ORDER BY created DESC, rowid DESC",
            (workspace, pipeline_id),
        )
        return [_run(row) for row in rows]

    def planned(self) -> list[PipelineRun]:
        """Runs that schedules created and that were neither submitted nor canceled, oldest first."""
        rows = self._database.all(
            "SELECT p.* FROM pipeline_runs AS p JOIN runs AS r ON r.workspace = p.workspace AND r.run_id = p.run_id"
            " WHERE p.schedule_id IS NOT NULL AND NOT p.is_submitted AND r.status = 'NotStarted' ORDER BY p.rowid"
        )
        return [_run(row) for row in rows]

    def mark_submitted(self, workspace: str, run_id: str) -> None:
        """Mark a run as submitted; raise `Conflict` if it already was."""
        changed = self._database.execute(
            "UPDATE pipeline_runs SET is_submitted = 1 WHERE workspace = ? AND run_id = ? AND is_submitted = 0",
            (workspace, run_id),
        )
        if not changed:
            raise Conflict(f"Pipeline run {run_id} was already submitted.")

    def add_step(self, workspace: str, pipeline_run_id: str, node_id: str, run_id: str) -> None:
        """Store which run belongs to a step."""
        self._database.execute(
            "INSERT INTO pipeline_steps (workspace, pipeline_id, node_id, run_id) VALUES (?, ?, ?, ?)",
            (workspace, pipeline_run_id, node_id, run_id),
        )

    def steps(self, workspace: str, pipeline_run_id: str) -> dict[str, str]:
        """The ids of the steps' runs, by node."""
        rows = self._database.all(
            "SELECT node_id, run_id FROM pipeline_steps WHERE workspace = ? AND pipeline_id = ?",
            (workspace, pipeline_run_id),
        )
        return {row["node_id"]: row["run_id"] for row in rows}

    def step(self, workspace: str, pipeline_run_id: str, node_id: str) -> str | None:
        """The id of a step's run; None if the step has not been started."""
        row = self._database.one(
            "SELECT run_id FROM pipeline_steps WHERE workspace = ? AND pipeline_id = ? AND node_id = ?",
            (workspace, pipeline_run_id, node_id),
        )
        return row["run_id"] if row else None


def read_named_module(document: Document) -> NamedModule:
    return known(NamedModule, {**document.body, "module_id": document.key})


def _module_body(module: NamedModule) -> dict[str, Any]:
    fields = asdict(module)
    del fields["module_id"]
    return fields


def _values(run: PipelineRun) -> dict[str, Any]:
    fields = asdict(run)
    values: dict[str, Any] = {name: fields.pop(name) for name in _COLUMNS}
    values.update(workspace=fields.pop("workspace_id"), created=offset_time(fields.pop("created")), body=dump(fields))
    return values


def _run(row: Row) -> PipelineRun:
    fields = load(row["body"])
    fields.update({name: row[name] for name in _COLUMNS})
    fields.update(
        workspace_id=row["workspace"],
        created=stored_time(row["created"]),
        assigned=known(Values, fields["assigned"]),
        is_submitted=bool(row["is_submitted"]),
    )
    return known(PipelineRun, fields)


class SubmissionStore:
    """Runs that the pipeline executor will start."""

    def __init__(
        self,
        database: Database,
        *,
        runs: RunStore,
        experiments: ExperimentStore,
        pipelines: PipelineStore,
        forms: PipelineForms,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self._runs, self._experiments, self._pipelines = runs, experiments, pipelines
        self._forms = forms

    def values(self, workspace_id: str, published: PublishedPipeline, given: Values) -> Values:
        """Parameter values of a run: given ones first, then published ones, then the graph's defaults."""
        _, interface = self._pipelines.graph(workspace_id, published.graph_id)
        return over(self._forms.defaults(interface), over(published.values, given))

    def add_published(
        self, workspace_id: str, published: PublishedPipeline, asked: Submission
    ) -> tuple[PipelineRun, Run]:
        """Store a run of a published pipeline."""
        _, interface = self._pipelines.graph(workspace_id, published.graph_id)
        keeps_on = asked.continue_on_failure
        return self.add(
            workspace_id,
            asked,
            graph_id=published.graph_id,
            assigned=self.values(workspace_id, published, asked.values),
            total_steps=published.total_steps,
            continue_on_failure=published.continue_on_failure if keeps_on is None else keeps_on,
            warnings=_warnings(unknown_names(self._forms.defaults(interface), asked.values)),
        )

    def add(
        self,
        workspace_id: str,
        asked: Submission,
        *,
        graph_id: str,
        assigned: Values,
        total_steps: int,
        continue_on_failure: bool = False,
        warnings: list[JSON] | None = None,
    ) -> tuple[PipelineRun, Run]:
        """Store a run of a graph."""
        with self._database.transaction():
            experiment = self._experiments.ensure(workspace_id, asked.experiment)
            record = PipelineRun(
                workspace_id=workspace_id,
                run_id=self._ids.guid(),
                graph_id=graph_id,
                experiment=experiment.name,
                created=self._clock.now(),
                description=asked.description,
                assigned=assigned,
                continue_on_failure=continue_on_failure,
                run_source=asked.run_source,
                run_type=asked.run_type,
                total_steps=total_steps,
                pipeline_id=asked.pipeline_id,
                schedule_id=asked.schedule_id,
            )
            run = Run(
                workspace_id=workspace_id,
                run_id=record.run_id,
                experiment=experiment.name,
                experiment_id=experiment.experiment_id,
                created=record.created,
                parent_id=asked.parent_id,
                run_type=PIPELINE_RUN_TYPE,
                display_name=asked.display_name,
                uuid=self._ids.guid(),
                submitted_by="local",
                tags=dict(asked.tags),
                properties=self._forms.run_properties(record, asked.properties),
                warnings=warnings or [],
            )
            run = self._runs.add(run)
            self._pipelines.add_run(record)
        return record, run


def _warnings(unknown: list[str]) -> list[JSON]:
    if not unknown:
        return []
    # Azure ignores them silently (MicrosoftDocs/azure-docs #52295).
    text = f"Ignored the values of unknown pipeline parameters: {', '.join(unknown)}."
    return [{"source": "Pipelines", "message": text[:WARNING_LENGTH]}]
