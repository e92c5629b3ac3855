"""What a sweep's own run shows: its log, its tags, its properties. Forms as in saved runs (2021-2023)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.sweeps import LOG, Sweep, Values
from azureml_wrapper.local.executor.surroundings import Surroundings

log = logging.getLogger("azureml_wrapper.local")


class SweepLogs:
    """The file that the SDK streams while it waits for a sweep."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def begin(self, parent: Run, samples: int) -> None:
        self.say(parent, "API", "Experiment created")
        self.say(parent, "GENERATOR", f"Trying to sample '{samples}' jobs from the hyperparameter space")
        self.say(
            parent,
            "GENERATOR",
            f"Successfully sampled '{samples}' jobs, they will soon be submitted to the execution target.",
        )

    def say(self, parent: Run, part: str, text: str) -> None:
        """Add an entry, with the time; entries are quoted, and no line breaks are between them."""
        moment = self._around.clock.now().replace(tzinfo=None).isoformat(timespec="microseconds")
        entry = json.dumps(f"<START>[{moment}][{part}][INFO]{text}<END>\n", ensure_ascii=False)
        try:
            file = self._around.artifact(parent.workspace_id, parent.run_id, LOG)
            with file.open("a", encoding="utf-8", errors="replace") as end:
                end.write(entry)
        except OSError as error:
            # A log that cannot be written (a full disk) does not stop the sweep.
            log.warning("%s of run %s: %s", LOG, parent.run_id, error)


def child_tag(run_id: str, values: Values) -> dict[str, str]:
    """Where `HyperDriveRun.get_hyperparameters` looks."""
    return {f"_aml_system_{run_id}": json.dumps(values)}


def last_properties(sweep: Sweep, scores: Mapping[str, float | None]) -> dict[str, str]:
    """The best run, where one has logged the metric."""
    best: str | None = None
    top = 0.0
    for run_id, score in scores.items():
        if score is not None and (best is None or sweep.better(score, top)):
            best, top = run_id, score
    if best is None:
        return {}
    return {
        "score": str(top),
        "best_child_run_id": best,
        "best_metric_status": "Succeeded",
        "best_data_container_id": f"dcid.{best}",
    }
