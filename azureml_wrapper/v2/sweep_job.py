"""`type: sweep`: one command with many values, as SDK v1's HyperDrive runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from azureml_wrapper.errors import WrongType
from azureml_wrapper.v2.command_job import HEADER, PARTS, RUNS, Command, Header, check_bindings, command_of, header_of
from azureml_wrapper.v2.command_line import Script, Word
from azureml_wrapper.v2.references import Binding
from azureml_wrapper.v2.yaml_keys import Key, Keys, Place, Refused, one_of, read_keys, text, whole

# A distribution's arguments in SDK v1's order; all but choice have numbers.
DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "choice": ("values",),
    "randint": ("upper",),
    "uniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"),
    "loguniform": ("min_value", "max_value"),
    "qloguniform": ("min_value", "max_value", "q"),
    "normal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "lognormal": ("mu", "sigma"),
    "qlognormal": ("mu", "sigma", "q"),
}
SAMPLINGS = ("random", "grid", "bayesian")
# The largest that SDK v1 takes: seven days.
LONGEST_MINUTES = 10080


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a run that does badly is ended; `kind` is a word of `az ml`, `settings` keywords of SDK v1's class."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """A file with `type: sweep`. `space` has SDK v1's distributions by option (`--lr`), which `script` lacks."""

    header: Header
    trial: Command
    script: Script
    space: Mapping[str, tuple[str, list[Any]]]
    sampling: str
    metric: str
    goal: str
    total: int
    concurrent: int | None = None
    minutes: int | None = None
    policy: Policy | None = None


def _number(place: Place) -> float | int | None:
    if isinstance(place.value, bool) or not isinstance(place.value, (int, float)):
        place.fail(f"{place} must be a number, not {place.value!r}.", WrongType)
        return None
    return float(place.value) if isinstance(place.value, float) else int(place.value)


def _values(place: Place) -> list[Any] | None:
    if not place.is_a(list):
        return None
    if not place.value or any(isinstance(value, (dict, list)) or value is None for value in place.value):
        place.fail(f"{place} must be a list of values, at least one.")
    return list(place.value)


DISTRIBUTION: Keys = {
    "type": Key(read=one_of(*DISTRIBUTIONS), becomes="the function of that name", needed=True),
    "values": Key(read=_values, becomes="`choice(values)`"),
    **{
        name: Key(read=_number, becomes=f"`{name}`")
        for name in ("upper", "min_value", "max_value", "q", "mu", "sigma")
    },
}


def _distribution(place: Place) -> tuple[str, list[Any]] | None:
    """`["uniform", [0.1, 1.0]]`, as HyperDrive has it."""
    found = read_keys(place, DISTRIBUTION)
    kind = found["type"]
    if kind not in DISTRIBUTIONS:
        return None
    wanted = DISTRIBUTIONS[kind]
    for name in wanted:
        if found[name] is None and name not in place.value:
            place.fail(f"{place} is {kind}, and {name} is missing.")
    for name in place.value.keys() - {"type", *wanted}:
        if name in DISTRIBUTION:
            place.at(name).fail(f"{place.at(name)} has no meaning for {kind}: it takes {', '.join(wanted)}.")
    arguments = [found[name] for name in wanted]
    if None not in arguments:
        _check_numbers(place, dict(zip(wanted, arguments, strict=True)))
    return kind, arguments


def _check_numbers(place: Place, given: Mapping[str, Any]) -> None:
    """Find what SDK v1 would refuse without naming the line (azureml/train/hyperdrive/parameter_expressions.py)."""
    if "min_value" in given and given["min_value"] >= given["max_value"]:
        place.fail(f"{place}: min_value is {given['min_value']}, not less than max_value, {given['max_value']}.")
    if given.get("sigma", 0) < 0:
        place.fail(f"{place}: sigma is {given['sigma']}; must not be negative.")
    for name in ("q", "upper"):
        if name in given and (given[name] != int(given[name]) or given[name] < 1):
            place.fail(f"{place}: {name} is {given[name]}; must be an integer ≥ 1.")


def _space(place: Place) -> dict[str, tuple[str, list[Any]]]:
    if not place.is_a(dict):
        return {}
    read = {item.key: _distribution(item) for item in place.items()}
    return {name: value for name, value in read.items() if value is not None}


_SAMPLING: Keys = {
    "type": Key(read=one_of(*SAMPLINGS), becomes="RandomParameterSampling, …", needed=True),
    "seed": Refused("SDK v1's sampling takes none; on the local Azure ML the run's id is the seed"),
    "rule": Refused("SDK v1 has no rule sobol"),
    "logbase": Refused("SDK v1 has natural logarithms only"),
}


def _sampling(place: Place) -> str | None:
    if isinstance(place.value, dict):
        return read_keys(place, _SAMPLING)["type"]  # type: ignore[no-any-return]
    return one_of(*SAMPLINGS)(place)


_OBJECTIVE: Keys = {
    "goal": Key(read=one_of("maximize", "minimize"), becomes="`primary_metric_goal`", needed=True),
    "primary_metric": Key(read=text, becomes="`primary_metric_name`", needed=True),
}
_LIMITS: Keys = {
    "max_total_trials": Key(read=whole(1, 1000), becomes="`max_total_runs`", default=1000),
    "max_concurrent_trials": Key(read=whole(1, 100), becomes="`max_concurrent_runs`"),
    "timeout": Key(read=whole(60), becomes="`max_duration_minutes`, in whole minutes"),
    "trial_timeout": Key(read=whole(1), becomes="`max_run_duration_seconds` of each run"),
}
_POLICY: Keys = {
    "type": Key(
        read=one_of("bandit", "median_stopping", "truncation_selection"), becomes="BanditPolicy, …", needed=True
    ),
    "evaluation_interval": Key(read=whole(0), becomes="`evaluation_interval`; 1 unless given"),
    "delay_evaluation": Key(read=whole(0), becomes="`delay_evaluation`", default=0),
    "slack_factor": Key(read=_number, becomes="`slack_factor` of BanditPolicy"),
    "slack_amount": Key(read=_number, becomes="`slack_amount` of BanditPolicy"),
    "truncation_percentage": Key(read=whole(1, 99), becomes="`truncation_percentage`"),
    "exclude_finished_jobs": Refused("SDK v1's truncation compares with all runs"),
}
_TRIAL: Keys = {
    **PARTS,
    "command": Key(read=text, becomes="`python x.py … --option ${{search_space.x}}`", needed=True),
    "type": Key(read=one_of("command"), becomes="the only kind of trial", default="command"),
}
KEYS: Keys = {
    **HEADER,
    "type": Key(read=one_of("sweep"), becomes="HyperDriveConfig", needed=True),
    "trial": Key(read=lambda place: read_keys(place, _TRIAL), becomes="`run_config`", needed=True),
    "search_space": Key(read=_space, becomes="`hyperparameter_sampling`", needed=True),
    "sampling_algorithm": Key(
        read=_sampling,
        becomes="random, grid; bayesian in Azure only: the local Azure ML refuses it by name",
        default="random",
    ),
    "objective": Key(read=lambda place: read_keys(place, _OBJECTIVE), becomes="the primary metric", needed=True),
    "early_termination": Key(read=lambda place: read_keys(place, _POLICY), becomes="`policy`"),
    **RUNS,
    "limits": Key(read=lambda place: read_keys(place, _LIMITS), becomes="the number and the time of runs"),
    "resources": Refused("give the resources of the trial"),
    "distribution": Refused("give the distribution of the trial"),
}
NESTED = {
    "trial": _TRIAL,
    "search_space.NAME": DISTRIBUTION,
    "sampling_algorithm": _SAMPLING,
    "objective": _OBJECTIVE,
    "limits": _LIMITS,
    "early_termination": _POLICY,
}


def read(place: Place) -> SweepJob | None:
    """Read a file of a sweep; None if the trial is missing."""
    found = read_keys(place, KEYS)
    if not found["trial"] or not isinstance(place.value.get("trial"), dict):
        return None
    limits = found["limits"] or {}
    if not found["compute"] and "compute" not in place.value:
        place.fail("compute is missing: SDK v1 has no serverless compute. Name a cluster.")
    trial = command_of(place, {**found["trial"], **{key: found[key] for key in ("compute", "inputs", "outputs")}})
    trial = replace(trial, timeout=limits.get("trial_timeout"))
    _check_trial(place, trial)
    script, options = _options(place, trial, found["search_space"] or {})
    objective = found["objective"] or {}
    return SweepJob(
        header=header_of(found),
        trial=trial,
        script=script,
        space={options.get(name, name): value for name, value in (found["search_space"] or {}).items()},
        sampling=found["sampling_algorithm"],
        metric=objective.get("primary_metric") or "",
        goal=objective.get("goal") or "",
        total=limits.get("max_total_trials") or 1000,
        concurrent=limits.get("max_concurrent_trials"),
        minutes=_minutes(place, limits.get("timeout")),
        policy=_policy(place, found["early_termination"]),
    )


def _check_trial(place: Place, trial: Command) -> None:
    """The trial's bindings: its inputs and outputs are those of the sweep."""
    at = place.at("trial")
    declared = {key: place.value.get(key) or {} for key in ("inputs", "outputs")}
    with_data = Place(at.reading, at.path, {**at.value, **declared})
    check_bindings(with_data, trial, ("input", "output", "search"))


def _options(place: Place, trial: Command, space: Mapping[str, Any]) -> tuple[Script, dict[str, str]]:
    """The script without the options that HyperDrive adds, and the option of each parameter."""
    at = place.at("trial").at("command") if "command" in place.value["trial"] else place.at("trial")
    script = trial.script
    if script is None:
        at.fail(f"{at} must be `python SCRIPT.py OPTIONS`, a script of code: HyperDrive of SDK v1 runs no shell.")
        return Script("", ()), {}
    kept: list[Word] = []
    options: dict[str, str] = {}
    for word in script.words:
        option, binding = _option(kept, word)
        if binding is None:
            kept.append(word)
            continue
        _check_option(at, option, binding, (space, options))
        options[binding.name] = option or ""
        if len(word) == 1 and option:
            kept.pop()
    for name in space.keys() - options.keys():
        at.fail(f"{at} does not use ${{{{search_space.{name}}}}}: no run would get it.")
    return Script(script.name, tuple(kept)), options


def _option(before: list[Word], word: Word) -> tuple[str | None, Binding | None]:
    """`--lr ${{search_space.lr}}` and `--lr=${{…}}`: the option and the binding; no binding for any other word."""
    found = [part for part in word if isinstance(part, Binding) and part.kind == "search"]
    if not found:
        return None, None
    last = before[-1][0] if before and len(before[-1]) == 1 else None
    if len(word) == 1 and isinstance(last, str) and last.startswith("--"):
        return last, found[0]
    if len(word) == 2 and isinstance(word[0], str) and word[0].startswith("--") and word[0].endswith("="):
        return word[0][:-1], found[0]
    return None, found[0]


def _check_option(at: Place, option: str | None, binding: Binding, known: tuple[Mapping[str, Any], ...]) -> None:
    space, options = known
    if binding.name not in space:
        at.fail(f"{at} uses {binding}, and search_space has: {', '.join(space) or 'nothing'}.")
    elif option is None:
        at.fail(f"{at} uses {binding} other than as `--option {binding}`, the only way of HyperDrive in SDK v1.")
    elif binding.name in options:
        at.fail(f"{at} uses {binding} twice; HyperDrive of SDK v1 adds each option once.")


def _minutes(place: Place, seconds: int | None) -> int | None:
    if seconds is None:
        return None
    minutes = -(-seconds // 60)
    if minutes > LONGEST_MINUTES:
        place.at("limits").fail(f"limits.timeout is {seconds} s; HyperDrive of SDK v1 takes seven days at most.")
    return minutes


def _policy(place: Place, found: Mapping[str, Any] | None) -> Policy | None:
    if not found or not found["type"]:
        return None
    wanted = {"bandit": ("slack_factor", "slack_amount"), "truncation_selection": ("truncation_percentage",)}
    own = wanted.get(found["type"], ())
    given = {name: found[name] for name in own if found[name] is not None}
    at = place.at("early_termination")
    if own and len(given) != 1:
        at.fail(f"{at} is {found['type']}; give {' or '.join(own)}.")
    for name in ("slack_factor", "slack_amount", "truncation_percentage"):
        if found[name] is not None and name not in own:
            at.at(name).fail(f"{at.at(name)} has no meaning for {found['type']}.")
    interval = {
        "evaluation_interval": found["evaluation_interval"] or 1,
        "delay_evaluation": found["delay_evaluation"],
    }
    return Policy(kind=found["type"], settings={**given, **interval})
