"""MLflow's search for runs. It reads what it returns, unless it has to sort, or a filter matches few runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from azureml_wrapper.local.domain.metrics import Point
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.domain.tracking import Condition, needs_metrics, parse_filter, sort
from azureml_wrapper.local.http.messages import Request, Response, json_response, string, string_list
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.mlflow import wire
from azureml_wrapper.local.services.mlflow.experiments import find_experiment

Latest = Sequence[tuple[str, Point]]
# Runs, or their metrics, that are read at once.
_AT_LEAST, _AT_ONCE = 50, 500


def search_runs(context: Context, request: Request) -> Response:
    """The runs of some experiments that match a filter, the latest start first by default."""
    body = request.json_object()
    order = string_list(body.get("order_by"), "order_by")
    search = _Search(context, request, body, order)
    if order:
        kept = [(run, wire.facts(run, latest)) for _, run, latest in search.matching(0, None)]
        sorted_runs, more = wire.page(sort(kept, order), body)
        runs = [run for run, _ in sorted_runs]
    else:
        runs, more = search.page(wire.page_size(body))
    latest_of = {}
    for start in range(0, len(runs), _AT_ONCE):
        latest_of.update(search.latest(runs[start : start + _AT_ONCE]))
    port, workspace = context.addresses.port, request.workspace
    shown = [wire.run(run, latest_of.get(run.origin_id, ()), port, workspace) for run in runs]
    return json_response({"runs": shown, **more})


class _Search:
    """The runs that match a request."""

    def __init__(self, context: Context, request: Request, body: JSON, order: list[str]) -> None:
        self._context, self._workspace_id, self._body = context, request.workspace_id, body
        self._condition: Condition = parse_filter(string(body, "filter"))
        self._needs_metrics = needs_metrics(string(body, "filter"), order)
        self._hidden = wire.read_view(string(body, "run_view_type"))
        ids = string_list(body.get("experiment_ids"), "experiment_ids")
        self._experiments = [find_experiment(context, request, each).experiment_id for each in ids]

    def page(self, size: int) -> tuple[list[Run], JSON]:
        """One page in the order of the experiments, and the token of the next one."""
        portion = min(max(size + 1, _AT_LEAST), _AT_ONCE)
        found = self.matching(*wire.read_run_token(self._body), portion)
        page = list(islice(found, size))
        is_full = len(page) == size and next(found, None) is not None
        return [run for _, run, _ in page], {"next_page_token": page[-1][0]} if is_full else {}

    def matching(self, start: int, after: str | None, portion: int = _AT_ONCE) -> Iterator[tuple[str, Run, Latest]]:
        """Runs from a place on, each with the token of what follows, and its metrics if they are needed."""
        for number, experiment_id in enumerate(self._experiments[start:], start):
            place = after if number == start else None
            for runs in self._context.runs.of_experiment(self._workspace_id, experiment_id, place, portion=portion):
                latest_of = self.latest([run for _, run in runs]) if self._needs_metrics else {}
                for token, run in runs:
                    latest = latest_of.get(run.origin_id, ())
                    if self._hidden in (None, run.hidden) and self._condition(wire.facts(run, latest)):
                        yield wire.run_token(number, token), run, latest

    def latest(self, runs: Sequence[Run]) -> dict[str, list[tuple[str, Point]]]:
        """The last values of the metrics of some runs."""
        return self._context.metrics.latest_of(self._workspace_id, [run.origin_id for run in runs])
