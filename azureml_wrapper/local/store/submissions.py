"""Create runs of pipelines: their records in run history and among the pipelines, both or neither."""

from __future__ import annotations

from azureml_wrapper.local.domain.clock import Clock, Ids
from azureml_wrapper.local.domain.limits import WARNING_LENGTH
from azureml_wrapper.local.domain.pipelines import PIPELINE_RUN_TYPE, PipelineForms, PipelineRun, Values, over
from azureml_wrapper.local.domain.published import PublishedPipeline, Submission, unknown_names
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.experiments import ExperimentStore
from azureml_wrapper.local.store.pipelines import PipelineStore
from azureml_wrapper.local.store.runs import RunStore


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
