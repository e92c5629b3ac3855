"""HyperDrive: sweeps of the unmodified SDK."""

from __future__ import annotations

import json
import textwrap

import pytest
from azureml.core import Environment, Experiment, Run, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.exceptions import TrainingException
from azureml.train.hyperdrive import (
    BanditPolicy,
    BayesianParameterSampling,
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveRun,
    MedianStoppingPolicy,
    PrimaryMetricGoal,
    RandomParameterSampling,
    TruncationSelectionPolicy,
    choice,
    quniform,
    uniform,
)

from azureml_wrapper import RunWrapper

TRAIN = """
import argparse
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--base", default="none")
parser.add_argument("--lr", type=float)
parser.add_argument("--layers", type=int, default=1)
given = parser.parse_args()
assert given.base == "kept"
run = Run.get_context()
run.log("loss", (given.lr - 0.3) ** 2 + given.layers)
print("lr", given.lr)
"""


@pytest.fixture(scope="module")
def cluster(ws):
    name = "sweepers"
    compute = ComputeTarget.create(ws, name, AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=4))
    compute.wait_for_completion(show_output=False)
    return compute


@pytest.fixture
def sweep(ws, cluster, tmp_path, unique):
    """`sweep(sampling, source=TRAIN, …)`: a submitted sweep of one script."""

    def submit(sampling, source: str = TRAIN, *, command=None, **settings) -> HyperDriveRun:
        folder = tmp_path / "code"
        folder.mkdir(exist_ok=True)
        (folder / "train.py").write_text(textwrap.dedent(source))
        environment = Environment("none-needed")
        environment.python.user_managed_dependencies = True
        what = {"command": command} if command else {"script": "train.py", "arguments": ["--base", "kept"]}
        script = ScriptRunConfig(str(folder), compute_target=cluster, environment=environment, **what)
        goal = {
            "primary_metric_name": "loss",
            "primary_metric_goal": PrimaryMetricGoal.MINIMIZE,
            "max_total_runs": 20,
        }
        config = HyperDriveConfig(
            run_config=script, hyperparameter_sampling=sampling, **{**goal, "max_concurrent_runs": 2, **settings}
        )
        return Experiment(ws, unique("sweep")).submit(config)

    return submit


@pytest.fixture
def complete(sweep):
    def run(sampling, *arguments, **settings) -> HyperDriveRun:
        submitted = sweep(sampling, *arguments, **settings)
        submitted.wait_for_completion(show_output=False)
        return submitted

    return run


def values(run) -> dict[str, dict]:
    return {name: json.loads(given) for name, given in run.get_hyperparameters().items()}


@pytest.mark.slow
def test_a_grid_runs_every_combination_and_names_the_best(ws, complete):
    run = complete(GridParameterSampling({"--lr": choice(0.1, 0.3), "--layers": choice(1, 2)}))
    assert run.get_status() == "Completed"
    found = sorted((given["--lr"], given["--layers"]) for given in values(run).values())
    assert found == [(0.1, 1), (0.1, 2), (0.3, 1), (0.3, 2)]
    best = run.get_best_run_by_primary_metric()
    assert values(run)[best.id] == {"--lr": 0.3, "--layers": 1}
    assert best.get_metrics()["loss"] == 1.0
    details = run.get_details()
    assert details["properties"]["best_child_run_id"] == best.id
    assert details["properties"]["space_size"] == "4"
    again = Run.get(ws, run.id)
    assert isinstance(again, HyperDriveRun)
    assert again.hyperdrive_config._primary_metric_config == {"name": "loss", "goal": "minimize"}


@pytest.mark.slow
def test_children_are_script_runs_whose_arguments_end_with_their_values(complete):
    run = complete(GridParameterSampling({"lr": choice(0.1, 0.3)}))
    children = {child.id: child for child in run.get_children()}
    assert set(children) == {f"{run.id}_0", f"{run.id}_1"}
    assert run.id.startswith("HD_")
    for name, child in children.items():
        arguments = child.get_details()["runDefinition"]["arguments"]
        assert arguments == ["--base", "kept", "--lr", str(values(run)[name]["lr"])]
    ordered = run.get_children_sorted_by_primary_metric()
    assert [each["best_primary_metric"] for each in ordered] == pytest.approx([1.0, 1.04])
    assert set(run.get_metrics()) == set(children)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["python", "train.py", "--base", "kept"], "python train.py --base kept"])
def test_a_command_gets_the_values_at_its_end(complete, command):
    source = TRAIN.replace("given =", 'parser.add_argument("--name")\ngiven =') + 'run.log("name", given.name)'
    space = {"lr": choice(0.3, 0.5), "--name": choice("a b; $HOME 'c'")}
    run = complete(GridParameterSampling(space), source, command=command)
    assert run.get_status() == "Completed"
    assert values(run)[run.get_best_run_by_primary_metric().id]["lr"] == 0.3
    assert [metrics["name"] for metrics in run.get_metrics().values()] == ["a b; $HOME 'c'"] * 2


@pytest.mark.slow
def test_random_values_stay_within_their_distributions_and_are_as_many_as_asked_for(complete):
    space = {"--lr": uniform(0.2, 0.4), "--layers": quniform(1, 5, 2)}
    run = complete(RandomParameterSampling(space), max_total_runs=5, max_concurrent_runs=4)
    found = list(values(run).values())
    assert len(found) == 5
    assert all(0.2 <= each["--lr"] <= 0.4 and each["--layers"] in (0, 2, 4) for each in found)
    assert len({each["--lr"] for each in found}) == 5


AT_A_TIME = """
import argparse, os, time
from pathlib import Path
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--base")
parser.add_argument("--place")
parser.add_argument("--lr", type=float)
given = parser.parse_args()
place = Path(given.place)
(place / f"{given.lr}.on").touch()
time.sleep(0.4)
Run.get_context().log("loss", len(list(place.glob("*.on"))))
(place / f"{given.lr}.on").unlink()
"""


@pytest.mark.slow
@pytest.mark.local_only
def test_no_more_runs_are_going_on_than_may_be(complete, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    space = {"--lr": choice(1, 2, 3, 4), "--place": choice(str(place))}
    run = complete(GridParameterSampling(space), AT_A_TIME, max_concurrent_runs=1)
    assert [metrics["loss"] for metrics in run.get_metrics().values()] == [1, 1, 1, 1]


@pytest.mark.slow
def test_a_sweep_whose_runs_all_fail_has_failed_and_one_with_a_good_run_has_not(complete):
    source = TRAIN + "\nif given.lr > 0.2: raise SystemExit('no')\n"
    run = complete(GridParameterSampling({"--lr": choice(0.1, 0.3)}), source)
    assert run.get_status() == "Completed"
    assert sorted(child.get_status() for child in run.get_children()) == ["Completed", "Failed"]
    with pytest.raises(Exception, match="child runs"):
        complete(GridParameterSampling({"--lr": choice(0.3, 0.4)}), source)


WAIT = """
import time
print("waiting", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_cancelled_sweep_stops_its_runs(sweep):
    run = sweep(GridParameterSampling({"--lr": choice(1, 2, 3)}), WAIT)
    waiting = RunWrapper(run)
    waiting.cancel()
    # The SDK's own waiting ends with CancelRequested.
    assert waiting.wait().status == "Canceled"
    assert {child.get_status() for child in run.get_children()} == {"Canceled"}
    assert len(list(run.get_children())) <= 2


STEPS = """
import argparse, time
from pathlib import Path
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--base")
parser.add_argument("--place")
parser.add_argument("--lr", type=float)
given = parser.parse_args()
run = Run.get_context()
other = Path(given.place) / "good"
if given.lr > 1:
    # The one that does badly begins when there is something to compare it with.
    while not other.exists():
        time.sleep(0.05)
for step in range(400):
    run.log("loss", given.lr)
    run.flush()
    if step == 3:
        other.touch()
        if given.lr < 1:
            break
    time.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        BanditPolicy(slack_factor=0.1, delay_evaluation=2),
        MedianStoppingPolicy(delay_evaluation=2),
        TruncationSelectionPolicy(truncation_percentage=50, delay_evaluation=2),
    ],
    ids=lambda policy: type(policy).__name__,
)
@pytest.mark.local_only
def test_a_policy_ends_what_does_badly(sweep, tmp_path, policy):
    space = {"--lr": choice(0.5, 9.0), "--place": choice(str(tmp_path))}
    run = sweep(GridParameterSampling(space), STEPS, policy=policy)
    run.wait_for_completion(show_output=False)
    ends = {values(run)[child.id]["--lr"]: child.get_status() for child in run.get_children()}
    assert ends == {0.5: "Completed", 9.0: "Canceled"}
    run.download_file("azureml-logs/hyperdrive.txt", str(tmp_path / "log.txt"))
    assert "is stopped early" in (tmp_path / "log.txt").read_text()


@pytest.mark.local_only
def test_what_is_not_supported_is_refused_by_name(sweep):
    with pytest.raises(TrainingException, match=r"BayesianOptimization.*RandomParameterSampling"):
        sweep(BayesianParameterSampling({"--lr": choice(1, 2)}))


@pytest.mark.slow
def test_an_id_of_the_users_own_is_kept(ws, complete, unique):
    name = unique("mine")
    run = complete(GridParameterSampling({"--lr": choice(0.1)}), custom_run_id=name)
    assert run.id == name
    assert [child.id for child in run.get_children()] == [f"{name}_0"]
