"""Decides whether a step has to run, and remembers the runs that later ones may reuse."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from azureml_wrapper.local.domain.errors import NotFound, ServiceFault
from azureml_wrapper.local.domain.jobs import Job
from azureml_wrapper.local.domain.reuse import (
    ALLOW_REUSE_OFF,
    FIRST_RUN,
    REGENERATE,
    Recipe,
    changes,
    outputs_problem,
)
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.executor.recipes import Recipes
from azureml_wrapper.local.executor.steps import Plan
from azureml_wrapper.local.store.results import Result, ResultStore
from azureml_wrapper.local.store.runs import RunStore

log = logging.getLogger("azureml_wrapper.local")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A step that is about to run: `origin` is the run whose outputs do as well, else `reason` says why none does."""

    plan: Plan
    job: Job
    made_by: Mapping[str, str]
    recipe: Recipe | None = None
    origin: Run | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        return f"Reused from run {self.origin.run_id}" if self.origin else f"Not reused: {self.reason}"


class Reuse:
    """Completed step runs, to be reused by equal ones."""

    def __init__(self, recipes: Recipes, results: ResultStore, runs: RunStore) -> None:
        self._recipes, self._results, self._runs = recipes, results, runs

    def decide(self, plan: Plan, job: Job, made_by: Mapping[str, str]) -> Attempt:
        """Whether an earlier run does; `made_by` has the runs that made the job's inputs."""
        if not plan.module.is_deterministic:
            return Attempt(plan=plan, job=job, made_by=made_by, reason=ALLOW_REUSE_OFF)
        try:
            recipe = self._recipes.of(plan, job, made_by)
        except NotFound as fault:
            # The job fails of it, and says so in its own words.
            return Attempt(plan=plan, job=job, made_by=made_by, reason=fault.message)
        origin, reason = (None, REGENERATE) if plan.step.regenerate else self._find(job, recipe)
        return Attempt(plan=plan, job=job, made_by=made_by, recipe=recipe, origin=origin, reason=reason)

    def remember(self, attempt: Attempt) -> None:
        """Note that the attempt's run has completed."""
        job, recipe = attempt.job, attempt.recipe
        try:
            outputs = self._recipes.outputs(job, job.run_id) if recipe else {}
            # Where data changed meanwhile nobody knows which the script has read.
            same = recipe is not None and self._recipes.of(attempt.plan, job, attempt.made_by).key == recipe.key
            result = Result(run_id=job.run_id, step=attempt.plan.module.name, recipe=recipe, outputs=outputs)
            self._results.add(job.workspace_id, result, is_reusable=same)
        except (ServiceFault, OSError) as fault:
            # It will run again: no reason to fail what has gone well.
            log.warning("run %s is not to be reused: %s", job.run_id, fault)

    def _find(self, job: Job, recipe: Recipe) -> tuple[Run | None, str]:
        reason = None
        for result in self._results.by_key(job.workspace_id, recipe.key):
            run = self._runs.find(job.workspace_id, result.run_id)
            if run is None or run.status is not RunStatus.COMPLETED:
                continue
            problem = outputs_problem(run.run_id, result.outputs, self._recipes.outputs(job, run.run_id))
            if problem is None:
                return run, ""
            reason = reason or problem
        return None, reason or self._explain(job, recipe)

    def _explain(self, job: Job, recipe: Recipe) -> str:
        last = self._results.latest(job.workspace_id, recipe.step)
        if last is None:
            return FIRST_RUN
        if last.recipe is None:
            return f"allow_reuse was off in run {last.run_id}"
        code = [self._recipes.code(job.workspace_id, each) for each in (last.recipe, recipe)]
        found = changes(last.recipe, recipe, (code[0], code[1]))
        return "; ".join(found) or f"data changed while run {last.run_id} was reading it"
