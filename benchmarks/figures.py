"""The figures that this project promises, and what was measured for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.results import Result
from benchmarks.statistic import slope

Results = Mapping[str, Result]
OURS = "azureml_wrapper"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`measured` returns None if its results are missing."""

    what: str
    most: float
    unit: str
    measured: Callable[[Results], float | None]

    def row(self, results: Results) -> tuple[str, str, str, str]:
        value = self.measured(results)
        if value is None:
            return self.what, _text(self.most, self.unit), "", "not measured"
        return self.what, _text(self.most, self.unit), _text(value, self.unit), "yes" if value <= self.most else "no"


def _text(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip()


def median(scenario: str, line: str, key: str = "seconds") -> Callable[[Results], float | None]:
    """The median of one cell."""

    def measured(results: Results) -> float | None:
        found = results[scenario].line(line) if scenario in results else None
        summary = found.summary(key) if found else None
        return summary.median if summary else None

    return measured


def ratio(
    over: Callable[[Results], float | None], under: Callable[[Results], float | None]
) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        above, below = over(results), under(results)
        return above / below if above is not None and below else None

    return measured


def one_more_step(results: Results) -> float | None:
    """Milliseconds that a step adds to a chain's run, between 10 and 100 steps; its own work is in it."""
    medians = results["growth"].medians(OURS, "served") if "growth" in results else {}
    found = slope({size: value for size, value in medians.items() if size in (10, 100)})
    return None if found is None else found * 1000


def per_step(results: Results) -> float | None:
    """What a step costs at 1,000 steps, over what it costs at 10."""
    medians = results["growth"].medians(OURS, "inner") if "growth" in results else {}
    return (medians[1000] / 1000) / (medians[10] / 10) if {10, 1000} <= medians.keys() else None


def over_raw(what: str, key: str) -> Callable[[Results], float | None]:
    return ratio(median("overhead", f"{what}, wrapper", key), median("overhead", f"{what}, SDK alone", key))


DOWN, IMPORTED = f"{OURS}, service down", f"{OURS}, SDK imported"
METAFLOW = "Metaflow (steps: processes)"
LOGGING = "100,000 run.log calls, one script"

FIGURES = (
    Figure(
        what="one more trivial warm step in a run, its own work included",
        most=50,
        unit="ms",
        measured=one_more_step,
    ),
    Figure(
        what="10 steps that import the SDK, service up, submit → completed",
        most=1.5,
        unit="s",
        measured=median("chain-sdk", IMPORTED),
    ),
    Figure(
        what="10 trivial steps from a fresh process, service down", most=4, unit="s", measured=median("chain", DOWN)
    ),
    Figure(
        what="the same, divided by Metaflow's time in the same run",
        most=1,
        unit="times",
        measured=ratio(median("chain", DOWN), median("chain", METAFLOW)),
    ),
    Figure(
        what="10 steps run again, all reused, service up, submit → completed",
        most=0.5,
        unit="s",
        measured=median("chain", IMPORTED, "rerun"),
    ),
    Figure(what="cost of a step at 1,000 steps, divided by that at 10", most=1.5, unit="times", measured=per_step),
    *(
        Figure(what=f"wrapper / raw SDK, {what}: {heading}", most=most, unit="times", measured=over_raw(what, key))
        for what in ("build", "submit", "register")
        for key, heading, most in (("requests", "requests", 1.0), ("seconds", "time", 1.05))
    ),
    Figure(
        what="100,000 run.log calls, divided by the same with the metrics thrown away",
        most=1.2,
        unit="times",
        measured=ratio(median("metrics", LOGGING), median("metrics", f"{LOGGING}, thrown away")),
    ),
    Figure(
        what="start of the service", most=0.5, unit="s", measured=median("start", "start of the service, used home")
    ),
    Figure(what="import azureml_wrapper", most=0.1, unit="s", measured=median("start", "import azureml_wrapper")),
    Figure(what="aml --help", most=0.2, unit="s", measured=median("start", "aml --help")),
)
