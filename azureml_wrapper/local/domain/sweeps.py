"""A sweep (HyperDrive): which values its runs get. When they are ended early is in domain/stopping.py.

Shapes as the SDK sends them (azureml/train/hyperdrive/parameter_expressions.py, sampling.py).
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import NewJob
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.stopping import Policy, read_policy

JSON = dict[str, Any]

SWEEP_RUN_TYPE = "hyperdrive"
LOG = "azureml-logs/hyperdrive.txt"
GRID, RANDOM = "grid", "random"
# A sweep's values by option; a distribution is a name and its arguments.
Values = dict[str, Any]
Distribution = tuple[str, list[Any]]
# Of `CreateExperimentDto` (azureml/train/restclients/hyperdrive/models).
MOST_RUNS, MOST_CONCURRENT, MOST_MINUTES = 1000, 100, 10080
# Random values that were drawn before are drawn again as often as this.
_TRIES = 100


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep runs. `config` is the SDK's RunConfiguration, to whose arguments each run's values are added."""

    generator: str
    space: Mapping[str, Distribution]
    metric: str
    goal: str
    most_runs: int
    most_concurrent: int
    minutes: int
    policy: Policy
    config: JSON
    snapshot_id: str | None
    # As sent, for the run's tags, from which the SDK makes the configuration again.
    body: JSON = field(repr=False, default_factory=dict)

    @property
    def is_maximized(self) -> bool:
        return self.goal == "maximize"

    @property
    def size(self) -> int | None:
        """How many different runs there can be; None where there is no end of them."""
        counts = [len(arguments[0]) if kind == "choice" else None for kind, arguments in self.space.values()]
        return None if None in counts else math.prod(count for count in counts if count)

    def samples(self, seed: str) -> list[Values]:
        """The values of every run, the same ones for the same seed; fewer than asked for where there are no more."""
        draw = _grid(self.space) if self.generator == GRID else _random(self.space, random.Random(seed))  # noqa: S311 - no secret
        return list(itertools.islice(draw, self.most_runs))

    def better(self, value: float, other: float) -> bool:
        return value > other if self.is_maximized else value < other


class Sweeps(Protocol):
    """Runs sweeps. Whoever wants to know how one ends listens to the run store."""

    def recover(self) -> None:
        """Called once, before anything is submitted: fail the sweeps that an earlier process of the service left."""

    def submit(self, parent: Run, sweep: Sweep) -> None:
        """Begin a stored sweep, and return at once."""

    def cancel(self, workspace_id: str, run_id: str) -> bool:
        """Stop a sweep and all its runs; False where no such sweep runs."""

    def close(self) -> None:
        """Begin no further run, because the service ends."""


class Children(Protocol):
    """Makes runs of scripts."""

    def make(self, parent: Run, run_id: str, config: JSON, snapshot_id: str | None) -> NewJob:
        """The job of a configuration; a fault if it cannot be run."""


def arguments_of(values: Values) -> list[str]:
    """`--lr 0.1`, as Azure adds them; an option may be named with its dashes or without."""
    return [word for name, value in values.items() for word in (f"--{name.lstrip('-')}", str(value))]


def read_sweep(body: JSON) -> Sweep:
    """The sweep of a `CreateExperimentDto`; `Invalid` or `Unsupported`, by name, where it cannot be run."""
    if body.get("platform") != "AML":
        raise Unsupported(
            "Sweeps over pipelines (HyperDriveConfig(pipeline=…)) are not supported; sweep over a script."
        )
    for key in ("resume_from", "resume_child_runs"):
        if body.get(key):
            raise Unsupported(f"{key} of HyperDriveConfig is not supported by the local service; leave it out.")
    platform, metric = _part(body, "platform_config"), _part(body, "primary_metric_config")
    definition = _part(platform, "Definition")
    config = _part(definition, "Overrides")
    if not config.get("script"):
        raise Unsupported("A sweep needs a script: commands of ScriptRunConfig are not supported in HyperDrive here.")
    if metric.get("goal") not in ("maximize", "minimize"):
        raise Invalid(f"The goal of the primary metric is {metric.get('goal')!r}, neither maximize nor minimize.")
    generator = _part(body, "generator_config")
    total = _count(body, "max_total_jobs", MOST_RUNS, MOST_RUNS)
    return Sweep(
        generator=_generator(generator),
        space=_space(generator),
        metric=str(metric.get("name") or ""),
        goal=str(metric["goal"]),
        most_runs=total,
        most_concurrent=_count(body, "max_concurrent_jobs", min(total, MOST_CONCURRENT), MOST_CONCURRENT),
        minutes=min(_count(body, "max_duration_minutes", MOST_MINUTES, 43200), MOST_MINUTES),
        policy=read_policy(_part(body, "policy_config")),
        config=config,
        snapshot_id=definition.get("SnapshotId"),
        body=body,
    )


def _generator(config: JSON) -> str:
    name = str(config.get("name") or "").lower()
    if name not in (GRID, RANDOM):
        raise Unsupported(
            f"The sampling {config.get('name')!r} is not supported: the local service samples at random "
            "(RandomParameterSampling) and on a grid (GridParameterSampling)."
        )
    return name


def _space(config: JSON) -> dict[str, Distribution]:
    given = _part(config, "parameter_space")
    if not given:
        raise Invalid("The parameter space of the sweep is empty.")
    return {name: _distribution(name, item, config) for name, item in given.items()}


def _distribution(name: str, item: Any, config: JSON) -> Distribution:
    if not (isinstance(item, list) and len(item) == 2 and item[0] in _DRAWS and isinstance(item[1], list)):
        raise Invalid(f"The parameter {name} has no distribution that is known: {json.dumps(item)[:200]}.")
    kind, arguments = str(item[0]), item[1]
    if len(arguments) != _COUNTS[kind] or (
        kind == "choice" and not (isinstance(arguments[0], list) and arguments[0])
    ):
        raise Invalid(f"The distribution of {name}, {kind}, cannot have the arguments {json.dumps(arguments)[:200]}.")
    if kind != "choice" and not all(isinstance(number, (int, float)) for number in arguments):
        raise Invalid(f"The distribution of {name}, {kind}, needs numbers, not {json.dumps(arguments)[:200]}.")
    if kind != "choice" and _generator(config) == GRID:
        raise Invalid(f"A grid has only choices, and {name} is {kind}.")
    return kind, arguments


def _grid(space: Mapping[str, Distribution]) -> Iterator[Values]:
    choices = [arguments[0] for _, arguments in space.values()]
    for values in itertools.product(*choices):
        yield dict(zip(space, values, strict=True))


def _random(space: Mapping[str, Distribution], source: random.Random) -> Iterator[Values]:
    """Values that differ, as long as that can be; it ends where no new ones are found."""
    seen: set[str] = set()
    for _ in range(_TRIES * MOST_RUNS):
        values = {name: _DRAWS[kind](source, *arguments) for name, (kind, arguments) in space.items()}
        key = json.dumps(values)
        if key not in seen:
            seen.add(key)
            yield values
        elif len(seen) >= _finite(space):
            return


def _finite(space: Mapping[str, Distribution]) -> float:
    """How many values there are at most; infinity where a parameter is continuous."""
    return math.prod(_choices(kind, arguments) for kind, arguments in space.values())


def _choices(kind: str, arguments: list[Any]) -> float:
    if kind == "choice":
        return float(len(arguments[0]))
    return float(arguments[0]) if kind == "randint" else math.inf


def _step(value: float, q: float) -> float | int:
    rounded = round(value / q) * q
    return int(rounded) if float(rounded).is_integer() else rounded


# `exp` of what is drawn for the logarithmic ones, as the SDK's docstrings say.
_DRAWS: Mapping[str, Callable[..., Any]] = {
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
_COUNTS = {
    "choice": 1,
    "randint": 1,
    **dict.fromkeys(("uniform", "loguniform", "normal", "lognormal"), 2),
    **dict.fromkeys(("quniform", "qloguniform", "qnormal", "qlognormal"), 3),
}


def _part(body: Mapping[str, Any], key: str) -> JSON:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise Invalid(f"{key} of the sweep is not an object.")
    return value or {}


def _count(body: Mapping[str, Any], key: str, default: int, most: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Invalid(f"{key} is {value!r}; a whole number from 1 to {most} is needed.")
    return value
