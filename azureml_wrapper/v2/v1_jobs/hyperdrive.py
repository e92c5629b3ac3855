"""A sweep as SDK v1's HyperDrive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from azureml_wrapper.v2.sweep_job import Policy, SweepJob
from azureml_wrapper.v2.v1_jobs.job_datasets import Data
from azureml_wrapper.v2.v1_jobs.run_config import Parts, script_run_config

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.train.hyperdrive import HyperDriveConfig


def hyperdrive_config(ws: Workspace, job: SweepJob, folder: str) -> HyperDriveConfig:
    """The SDK's configuration of many runs of one script, which lies in `folder`."""
    from azureml.train import hyperdrive
    from azureml.train.hyperdrive import parameter_expressions

    parts = Parts.of(job.trial, Data(ws))
    arguments = parts.arguments(job.script)
    how = {"script": job.script.name, "arguments": arguments}
    source = script_run_config(ws, job.trial, parts, folder, how)
    samplings = {
        "random": hyperdrive.RandomParameterSampling,
        "grid": hyperdrive.GridParameterSampling,
        "bayesian": hyperdrive.BayesianParameterSampling,
    }
    space = {option: getattr(parameter_expressions, kind)(*given) for option, (kind, given) in job.space.items()}
    limits = {"max_duration_minutes": job.minutes} if job.minutes else {}
    return hyperdrive.HyperDriveConfig(
        run_config=source,
        hyperparameter_sampling=samplings[job.sampling](space),
        policy=_policy(job.policy),
        primary_metric_name=job.metric,
        primary_metric_goal=hyperdrive.PrimaryMetricGoal.from_str(job.goal),
        max_total_runs=job.total,
        max_concurrent_runs=min(job.concurrent or job.total, 100),
        custom_run_id=job.header.name,
        **limits,
    )


def _policy(policy: Policy | None) -> Any:
    if policy is None:
        return None
    from azureml.train import hyperdrive

    kinds = {
        "bandit": hyperdrive.BanditPolicy,
        "median_stopping": hyperdrive.MedianStoppingPolicy,
        "truncation_selection": hyperdrive.TruncationSelectionPolicy,
    }
    return kinds[policy.kind](**policy.settings)


def best_of(run: Any, job: SweepJob) -> str:
    """The best run of a sweep that has ended, with its best value and what it was given, in a sentence."""
    best = run.get_best_run_by_primary_metric()
    if best is None:
        return f"No run has logged {job.metric}."
    logged = best.get_metrics(job.metric)[job.metric]
    values = [value for value in (logged if isinstance(logged, list) else [logged]) if not math.isnan(value)]
    value = (max if job.goal == "maximize" else min)(values)
    return f"Best run {best.id}: {job.metric} = {value:g}, with {run.get_hyperparameters().get(best.id)}."
