"""When a sweep stops a run early: the policies of HyperDrive (azureml/train/hyperdrive/policy.py).

An interval is one value of the primary metric. Runs are compared at the same interval, with what the others had
logged by then. Running totals are kept after each value, so that a policy costs the same after the first value and
after the hundred thousandth.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
