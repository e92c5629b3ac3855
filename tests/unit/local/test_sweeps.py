"""Which values the runs of a sweep get, and when one is ended early."""

from __future__ import annotations

import math

import pytest

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.sweeps import Policy, Scores, arguments_of
from azureml_wrapper.local.services.sweeps import read_policy, read_sweep
from tests.work import calls

HD = "HD_1"


def sweep(space, generator: str = "RANDOM", **changes):
    """A sweep as the SDK sends it."""
    body = {
        "platform": "AML",
        "platform_config": {"Definition": {"Overrides": {"script": "train.py"}, "SnapshotId": "s"}},
        "generator_config": {"name": generator, "parameter_space": space},
        "primary_metric_config": {"name": "loss", "goal": "minimize"},
        "policy_config": {"name": "Default"},
        "max_total_jobs": 20,
        "max_concurrent_jobs": 2,
        "max_duration_minutes": 10,
    }
    return read_sweep({**body, **changes})


def test_a_grid_is_every_combination_in_order_up_to_the_number_of_runs():
    space = {"--a": ["choice", [[1, 2]]], "--b": ["choice", [["x", "y"]]]}
    found = sweep(space, "GRID")
    assert found.size == 4
    assert [(each["--a"], each["--b"]) for each in found.samples(HD)] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert len(sweep(space, "GRID", max_total_jobs=3).samples(HD)) == 3


def test_random_values_are_the_same_for_the_same_run_and_others_for_another():
    found = sweep({"--a": ["uniform", [0, 1]]})
    assert found.samples(HD) == found.samples(HD)
    assert found.samples(HD) != found.samples("HD_2")
    assert len(found.samples(HD)) == 20
    assert found.size is None


def test_random_choices_never_come_twice():
    found = sweep({"--a": ["choice", [[1, 2, 3]]], "--b": ["randint", [2]]}).samples(HD)
    assert len(found) == 6
    assert len({(each["--a"], each["--b"]) for each in found}) == 6


@pytest.mark.parametrize(
    ("distribution", "low", "high"),
    [
        (["uniform", [2, 3]], 2, 3),
        (["loguniform", [math.log(0.1), math.log(10)]], 0.1, 10),
        (["quniform", [0, 10, 3]], 0, 9),
        (["qloguniform", [0, 3, 2]], 0, 20),
        (["normal", [100, 1]], 90, 110),
        (["qnormal", [100, 1, 5]], 90, 110),
        (["lognormal", [0, 0.1]], 0.5, 2),
        (["qlognormal", [3, 0.1, 2]], 10, 40),
        (["randint", [1000]], 0, 999),
    ],
)
def test_every_distribution_of_the_sdk_is_drawn_from(distribution, low, high):
    values = [each["--a"] for each in sweep({"--a": distribution}, max_total_jobs=5).samples(HD)]
    assert all(low <= value <= high for value in values)
    if distribution[0].startswith("q"):
        assert all(isinstance(value, int) and value % distribution[1][-1] == 0 for value in values)


def test_values_are_arguments_with_two_dashes():
    assert arguments_of({"--lr": 0.1, "layers": 2}) == ["--lr", "0.1", "--layers", "2"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"generator": "BayesianOptimization"}, Unsupported, "BayesianOptimization"),
        ({"platform": "AML_PIPELINES"}, Unsupported, "over pipelines"),
        ({"resume_from": [{}]}, Unsupported, "resume_from"),
        ({"space": {}}, Invalid, "space of the sweep is empty"),
        ({"space": {"--a": ["choice", [[]]]}}, Invalid, "--a"),
        ({"space": {"--a": ["uniform", ["x", 1]]}}, Invalid, "needs numbers"),
        ({"space": {"--a": ["beta", [1, 1]]}}, Invalid, "Unknown distribution"),
        ({"space": {"--a": ["uniform", [0, 1]]}, "generator": "GRID"}, Invalid, "only choices, but --a is uniform"),
        ({"max_total_jobs": 0}, Invalid, "max_total_jobs must be an integer from 1 to 1000, got 0"),
        ({"max_concurrent_jobs": 101}, Invalid, "from 1 to 100"),
        ({"primary_metric_config": {"name": "loss", "goal": "up"}}, Invalid, "'up'"),
        ({"platform_config": {"Definition": {"Overrides": {}}}}, Invalid, "a script or a command"),
        ({"policy_config": {"name": "Mine"}}, Unsupported, "'Mine'"),
        ({"policy_config": {"name": "Bandit", "properties": {}}}, Invalid, "slack_factor or slack_amount"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(changes, error, message):
    given = {"space": {"--a": ["choice", [[1, 2]]]}, **changes}
    with pytest.raises(error, match=message):
        sweep(given.pop("space"), given.pop("generator", "RANDOM"), **given)


BAD_AND_GOOD = {"good": [0.8, 0.8, 0.8, 0.8], "fair": [0.7, 0.7, 0.7, 0.7], "bad": [0.5, 0.5]}


def ended_by(policy, is_maximized):
    history = {name: Scores(values, is_maximized=is_maximized) for name, values in BAD_AND_GOOD.items()}
    return [name for name in history if policy.ends(name, history, len(history[name]))]


@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        # The SDK's own example: 0.8 / (1 + 0.2) = 0.67.
        (Policy(kind="bandit", settings={"slack_factor": 0.2}), ["bad"]),
        (Policy(kind="bandit", settings={"slack_amount": 0.05}), ["fair", "bad"]),
        (Policy(kind="medianstopping"), ["bad"]),
        (Policy(kind="truncationselection", settings={"truncation_percentage": 40}), ["bad"]),
        (Policy(kind="default"), []),
        (Policy(kind="medianstopping", delay=3), []),
        (Policy(kind="medianstopping", interval=3), []),
        (Policy(kind="medianstopping", interval=2, delay=2), ["bad"]),
    ],
)
def test_a_policy_ends_what_does_badly(policy, ended):
    found = ended_by(policy, is_maximized=True)
    assert found == ended


@pytest.mark.parametrize("kind", ["bandit", "medianstopping", "truncationselection"])
def test_less_is_better_where_the_metric_is_minimized(kind):
    policy = Policy(kind=kind, settings={"slack_factor": 0.2} if kind == "bandit" else {"truncation_percentage": 40})
    found = ended_by(policy, is_maximized=False)
    assert "good" in found or kind == "truncationselection"
    assert "bad" not in found


def test_a_run_is_compared_with_what_the_others_had_logged_by_then():
    policy = Policy(kind="bandit", settings={"slack_factor": 0.1})
    history = {"late": Scores([0.5], is_maximized=True), "early": Scores([0.5, 0.9], is_maximized=True)}
    assert policy.ends("late", history, 1) is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("bandit", "-0.5 is not within the slack of the best run, -0.9"),
        ("medianstopping", "-0.5 is worse than the median of the averages, -0.7"),
        ("truncationselection", "-0.5 is among the worst 50 % at value 2"),
    ],
)
def test_a_reason_names_the_values_as_they_were_logged_and_nan_is_none_of_them(kind, reason):
    settings = {"slack_amount": 0.1} if kind == "bandit" else {"truncation_percentage": 50}
    nan = float("nan")
    history = {
        "bad": Scores([nan, -0.5], is_maximized=False),
        "good": Scores([-0.9, -0.9], is_maximized=False),
        "lost": Scores([nan, nan], is_maximized=False),
    }
    policy = Policy(kind=kind, settings=settings)
    assert policy.ends("bad", history, 2) == reason
    assert policy.ends("lost", history, 2) is None


def test_the_best_of_a_run_is_the_one_that_was_logged():
    assert Scores([0.5, float("nan"), 0.25, 0.75], is_maximized=False).best_logged() == 0.25
    assert Scores([float("nan")], is_maximized=True).best_logged() is None


@pytest.mark.parametrize("kind", ["bandit", "medianstopping", "truncationselection"])
def test_a_policy_costs_the_same_after_any_number_of_values(kind):
    settings = {"slack_amount": 10} if kind == "bandit" else {"truncation_percentage": 50}
    history = {name: Scores(range(10_000), is_maximized=True) for name in "ab"}
    policy = Policy(kind=kind, settings=settings)
    costs = [calls(lambda: policy.ends("a", history, count)) for count in (100, 10_000)]  # noqa: B023
    assert costs[0] == costs[1] < 100


def test_the_sdks_policies_are_read():
    given = {"name": "Bandit", "properties": {"slack_factor": 0.1, "evaluation_interval": 2, "delay_evaluation": 5}}
    assert read_policy(given) == Policy(kind="bandit", interval=2, delay=5, settings={"slack_factor": 0.1})
    assert read_policy({"name": "Default"}) == Policy(kind="default")
