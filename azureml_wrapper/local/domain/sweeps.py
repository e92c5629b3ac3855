"""A sweep: which values its runs get, and when it stops a run early.

Distributions and policies are those of HyperDrive (azureml/train/hyperdrive/parameter_expressions.py, sampling.py,
policy.py). An interval is one value of the primary metric. Runs are compared at the same interval, with what the
others had logged by then. Running totals are kept after each value, so that a policy costs the same after the first
value and after the hundred thousandth.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from azureml_wrapper.local.domain.jobs import Job, NewJob, Script
from azureml_wrapper.local.domain.runs import Run

JSON = dict[str, Any]

SWEEP_RUN_TYPE = "hyperdrive"
LOG = "azureml-logs/hyperdrive.txt"
GRID, RANDOM = "grid", "random"
# A sweep's values by option; a distribution is a name and its arguments.
Values = dict[str, Any]
Distribution = tuple[str, list[Any]]
# Of `CreateExperimentDto` (azureml/train/restclients/hyperdrive/models).
MOST_RUNS, MOST_CONCURRENT, MOST_MINUTES = 1000, 100, 10080
# How often random values are drawn again if they have been drawn before.
_TRIES = 100


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep runs.

    Args:
        minutes: How long the whole sweep may take.
        config: What each run runs, without its values, as the client sent it.
        sent: The whole sweep as the client sent it. Only the services look into it, and into `config`.
        step: The job of the pipeline's step that the sweep is: its inputs, outputs and variables are each run's, too.
    """

    generator: str
    space: Mapping[str, Distribution]
    metric: str
    goal: str
    most_runs: int
    most_concurrent: int
    minutes: int
    policy: Policy
    config: JSON = field(repr=False, default_factory=dict)
    target: str = ""
    snapshot_id: str | None = None
    sent: JSON = field(repr=False, default_factory=dict)
    step: Job | None = field(repr=False, default=None)

    @property
    def is_maximized(self) -> bool:
        return self.goal == "maximize"

    @property
    def size(self) -> int | None:
        """The number of different runs that there can be; None if it is infinite."""
        counts = [len(arguments[0]) if kind == "choice" else None for kind, arguments in self.space.values()]
        return None if None in counts else math.prod(count for count in counts if count)

    def samples(self, seed: str) -> list[Values]:
        """The values of every run, the same for the same seed. There are fewer than `most_runs` if no more exist."""
        draw = _grid(self.space) if self.generator == GRID else _random(self.space, random.Random(seed))  # noqa: S311 - no secret
        return list(itertools.islice(draw, self.most_runs))

    def better(self, value: float, other: float) -> bool:
        return value > other if self.is_maximized else value < other


class Sweeps(Protocol):
    """Runs sweeps. To learn how one ends, listen to the run store."""

    def recover(self) -> None:
        """Fail the sweeps that an earlier process of the service left. Called once, before anything is submitted."""

    def submit(self, parent: Run, sweep: Sweep) -> None:
        """Start a stored sweep, and return at once."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a sweep and all its runs. Returns False if no such sweep runs."""

    def close(self) -> None:
        """Start no further run, because the service ends."""


@dataclass(frozen=True, kw_only=True)
class Trials(Script):
    """The task of a HyperDriveStep: the runs of a sweep. `path` is empty if they run a command."""

    sweep: Sweep = field(repr=False)


class Children(Protocol):
    """Makes the runs of a sweep."""

    def parent(self, step: Run, sweep: Sweep) -> Run:
        """The run of a sweep that a pipeline's step starts, not stored yet."""

    def make(self, parent: Run, run_id: str, sweep: Sweep, values: Values) -> NewJob:
        """The job of the run with these values; a fault if it cannot run."""


def arguments_of(values: Values) -> list[str]:
    """`--lr 0.1`, as Azure appends them; options may be named with or without dashes."""
    return [word for name, value in values.items() for word in (f"--{name.lstrip('-')}", str(value))]


def _grid(space: Mapping[str, Distribution]) -> Iterator[Values]:
    choices = [arguments[0] for _, arguments in space.values()]
    for values in itertools.product(*choices):
        yield dict(zip(space, values, strict=True))


def _random(space: Mapping[str, Distribution], source: random.Random) -> Iterator[Values]:
    """Values that differ from each other; ends if no new ones are found."""
    seen: set[str] = set()
    for _ in range(_TRIES * MOST_RUNS):
        values = {name: DRAWS[kind](source, *arguments) for name, (kind, arguments) in space.items()}
        key = json.dumps(values)
        if key not in seen:
            seen.add(key)
            yield values
        elif len(seen) >= _finite(space):
            return


def _finite(space: Mapping[str, Distribution]) -> float:
    """The largest number of different values; infinity if a parameter is continuous."""
    return math.prod(_choices(kind, arguments) for kind, arguments in space.values())


def _choices(kind: str, arguments: list[Any]) -> float:
    if kind == "choice":
        return float(len(arguments[0]))
    return float(arguments[0]) if kind == "randint" else math.inf


def _step(value: float, q: float) -> float | int:
    rounded = round(value / q) * q
    return int(rounded) if float(rounded).is_integer() else rounded


# Draws from each distribution. Logarithmic ones take `exp` of what is drawn, as the SDK's docstrings say.
DRAWS: Mapping[str, Callable[..., Any]] = {
    "choice": lambda source, options: source.choice(options),
    "randint": lambda source, upper: source.randrange(int(upper)),
    "uniform": lambda source, low, high: source.uniform(low, high),
    "quniform": lambda source, low, high, q: _step(source.uniform(low, high), q),
    "loguniform": lambda source, low, high: math.exp(source.uniform(low, high)),
    "qloguniform": lambda source, low, high, q: _step(math.exp(source.uniform(low, high)), q),
    "normal": lambda source, mu, sigma: source.gauss(mu, sigma),
    "qnormal": lambda source, mu, sigma, q: _step(source.gauss(mu, sigma), q),
    "lognormal": lambda source, mu, sigma: math.exp(source.gauss(mu, sigma)),
    "qlognormal": lambda source, mu, sigma, q: _step(math.exp(source.gauss(mu, sigma)), q),
}


NONE, BANDIT, MEDIAN, TRUNCATION = "default", "bandit", "medianstopping", "truncationselection"


class Scores:
    """The values of one run: the best, the mean and the last one after each of them. NaN counts as logged only.

    Internally, larger is better: values to be minimized change their sign.
    """

    def __init__(self, values: Iterable[float] = (), *, is_maximized: bool) -> None:
        self._sign = 1.0 if is_maximized else -1.0
        self._values: list[float] = []
        self._best: list[float] = [-math.inf]
        self._sums: list[float] = [0.0]
        self._counts: list[int] = [0]
        for value in values:
            self.add(value)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        is_value = not math.isnan(value)
        signed = self._sign * value
        self._values.append(signed)
        self._best.append(max(self._best[-1], signed) if is_value else self._best[-1])
        self._sums.append(self._sums[-1] + (signed if is_value else 0.0))
        self._counts.append(self._counts[-1] + is_value)

    def shown(self, signed: float) -> str:
        """A value as the script logged it."""
        return f"{self._sign * signed:g}"

    def best(self, count: int | None = None) -> float | None:
        """The best of the first `count` values, or of all if there are fewer; None if none is a number."""
        at = self._until(count)
        return self._best[at] if self._counts[at] else None

    def best_logged(self) -> float | None:
        """The best of all values, as the script logged it."""
        found = self.best()
        return None if found is None else self._sign * found

    def mean(self, count: int) -> float | None:
        """The mean of the first `count` values, or of all if there are fewer; None if none is a number."""
        at = self._until(count)
        return self._sums[at] / self._counts[at] if self._counts[at] else None

    def value(self, count: int) -> float | None:
        """Value number `count`; None if the run has not come that far, or logged NaN."""
        if count > len(self._values) or math.isnan(self._values[count - 1]):
            return None
        return self._values[count - 1]

    def _until(self, count: int | None) -> int:
        return len(self._values) if count is None else min(count, len(self._values))


History = Mapping[str, Scores]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A rule, how often it applies, and its settings."""

    kind: str
    interval: int = 1
    delay: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)

    def ends(self, run: str, history: History, count: int) -> str | None:
        """Why to stop a run after its value number `count`, as part of a sentence; None to let it continue."""
        if self.kind == NONE or count == 0 or count < self.delay or count % max(self.interval, 1):
            return None
        rules = {BANDIT: self._bandit, MEDIAN: self._median, TRUNCATION: self._truncation}
        return rules[self.kind](history[run], history, count)

    def _bandit(self, run: Scores, history: History, count: int) -> str | None:
        if (own := run.best(count)) is None:
            return None
        best = max(found for scores in history.values() if (found := scores.best(count)) is not None)
        if (factor := self.settings.get("slack_factor")) is not None:
            # The slack makes a negative value more negative.
            least = best / (1 + factor) if best >= 0 else best * (1 + factor)
        else:
            least = best - self.settings["slack_amount"]
        if own >= least:
            return None
        return f"{run.shown(own)} is not within the slack of the best run, {run.shown(best)}"

    def _median(self, run: Scores, history: History, count: int) -> str | None:
        if (own := run.best(count)) is None:
            return None
        means = [found for scores in history.values() if (found := scores.mean(count)) is not None]
        median = statistics.median(means)
        if own >= median:
            return None
        return f"{run.shown(own)} is worse than the median of the averages, {run.shown(median)}"

    def _truncation(self, run: Scores, history: History, count: int) -> str | None:
        if (own := run.value(count)) is None:
            return None
        # Only runs that have come that far can be compared.
        at = sorted(found for scores in history.values() if (found := scores.value(count)) is not None)
        share = self.settings["truncation_percentage"]
        if own not in at[: math.floor(len(at) * share / 100)]:
            return None
        return f"{run.shown(own)} is among the worst {share:g} % at value {count}"
