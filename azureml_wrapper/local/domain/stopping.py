"""When a sweep ends a run early: the policies of HyperDrive (azureml/train/hyperdrive/policy.py).

An interval is one value of the primary metric. Runs are compared at the same interval: with what the others had
logged by then.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported

History = Mapping[str, Sequence[float]]
NONE, BANDIT, MEDIAN, TRUNCATION = "default", "bandit", "medianstopping", "truncationselection"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A rule, when it is looked at, and its own numbers."""

    kind: str
    interval: int = 1
    delay: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)

    def ends(self, run: str, history: History, *, maximize: bool) -> str | None:
        """Why a run is to be ended, in a sentence; None where it goes on. `history` has each run's values so far."""
        count = len(history.get(run, ()))
        if self.kind == NONE or count == 0 or count < self.delay or count % max(self.interval, 1):
            return None
        # Smaller is worse from here on.
        sign = 1.0 if maximize else -1.0
        values = {name: [sign * value for value in given if not math.isnan(value)] for name, given in history.items()}
        if not values[run]:
            return None
        rules = {BANDIT: self._bandit, MEDIAN: self._median, TRUNCATION: self._truncation}
        return rules[self.kind](run, values, count)

    def _bandit(self, run: str, values: Mapping[str, Sequence[float]], count: int) -> str | None:
        own, best = max(values[run][:count]), max(max(given[:count]) for given in values.values() if given)
        if (factor := self.settings.get("slack_factor")) is not None:
            # Of a negative value, the slack makes it more negative.
            least = best / (1 + factor) if best >= 0 else best * (1 + factor)
        else:
            least = best - self.settings["slack_amount"]
        return f"{abs(own):g} is not within the slack of the best run, {abs(best):g}" if own < least else None

    def _median(self, run: str, values: Mapping[str, Sequence[float]], count: int) -> str | None:
        averages = [statistics.fmean(given[:count]) for given in values.values() if given]
        median, own = statistics.median(averages), max(values[run][:count])
        return f"{abs(own):g} is worse than the median of the averages, {abs(median):g}" if own < median else None

    def _truncation(self, run: str, values: Mapping[str, Sequence[float]], count: int) -> str | None:
        # Only runs that have come as far can be compared.
        at = sorted(given[count - 1] for given in values.values() if len(given) >= count)
        lowest = math.floor(len(at) * self.settings["truncation_percentage"] / 100)
        own = values[run][-1]
        share = self.settings["truncation_percentage"]
        return f"{abs(own):g} is among the worst {share:g} % at value {count}" if own in at[:lowest] else None


_NEEDED = {
    BANDIT: ("slack_factor", "slack_amount"),
    MEDIAN: (),
    TRUNCATION: ("truncation_percentage",),
    NONE: (),
}


def read_policy(config: Mapping[str, Any]) -> Policy:
    """The policy that the SDK sends; none is called "Default"."""
    kind = str(config.get("name") or NONE).lower()
    if kind not in _NEEDED:
        raise Unsupported(f"The early termination policy {config.get('name')!r} is not supported.")
    given = config.get("properties") or {}
    if not isinstance(given, dict):
        raise Invalid("The properties of the early termination policy are not an object.")
    settings = {name: _number(name, given[name]) for name in _NEEDED[kind] if given.get(name) is not None}
    if _NEEDED[kind] and len(settings) != 1:
        raise Invalid(f"The policy {config.get('name')} needs {' or '.join(_NEEDED[kind])}.")
    return Policy(
        kind=kind,
        interval=int(_number("evaluation_interval", given.get("evaluation_interval") or 1)),
        delay=int(_number("delay_evaluation", given.get("delay_evaluation") or 0)),
        settings=settings,
    )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{name} of the early termination policy is {value!r}, no number.")
    return float(value)
