"""The estimators of azureml-train-core: on one node and on several, in sweeps and in pipelines."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
from azureml.core import Experiment
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.runconfig import MpiConfiguration
from azureml.exceptions import TrainingException
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException
from azureml.pipeline.steps import EstimatorStep
from azureml.train.hyperdrive import (
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveRunConfig,
    PrimaryMetricGoal,
    choice,
)

from tests.programs import need_mpirun
from tests.wire import estimators
from tests.wire.test_script_run import finish, printed

pytestmark = pytest.mark.local_only

SCRIPT = """
import os, sys
from azureml.core import Run
rank = os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK") or "0"
run, given = Run.get_context(), dict(zip(sys.argv[1::2], sys.argv[2::2]))
run.log("rank", int(rank))
if "--lr" in given:
    run.log("lr", float(given["--lr"]))
if "--out" in given:
    os.makedirs(given["--out"], exist_ok=True)
    open(os.path.join(given["--out"], "made.txt"), "w").close()
if "--data" in given:
    print(os.listdir(given["--data"]))
print("hello", *sys.argv[1:])
"""
FRAMEWORKS = ("Estimator", "PyTorch", "TensorFlow", "Chainer", "SKLearn")
# The frameworks need no package, because the Python of the service runs the script.
PLAIN = {"user_managed": True, "use_docker": False}
Mpi = partial(estimators.make, "Mpi")


@pytest.fixture(scope="session")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-estimators", config)


@pytest.fixture(scope="module")
def mpirun():
    need_mpirun()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(SCRIPT)
    return str(tmp_path / "src")


@pytest.fixture
def estimate(folder, cluster):
    """An estimator of the script."""

    def make(kind, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return estimators.make(
                kind, folder, compute_target=cluster, entry_script="train.py", **{**PLAIN, **settings}
            )

    return make


@pytest.fixture
def submit(ws, unique):
    return lambda estimator: Experiment(ws, unique("exp")).submit(estimator)


def ranks(run) -> list[int]:
    found = run.get_metrics()["rank"]
    return sorted(found) if isinstance(found, list) else [found]


@pytest.mark.parametrize("kind", FRAMEWORKS)
def test_an_estimator_runs_its_script(estimate, submit, kind, tmp_path):
    managed = {"use_docker": None} if kind == "SKLearn" else {}
    run = submit(estimate(kind, script_params={"--lr": 0.1}, **managed))
    assert finish(run) == "Completed"
    assert "hello --lr 0.1" in printed(run, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("mpirun")
@pytest.mark.parametrize(
    ("kind", "distribution", "processes"),
    [("Estimator", Mpi, 2), *((kind, MpiConfiguration, 1) for kind in FRAMEWORKS if kind != "SKLearn")],
)
def test_mpi_starts_the_processes_of_every_node(estimate, submit, kind, distribution, processes, tmp_path):
    distributed = distribution(process_count_per_node=processes)
    run = submit(estimate(kind, node_count=2, distributed_training=distributed))
    assert finish(run) == "Completed"
    assert ranks(run) == list(range(2 * processes))
    run.download_file("user_logs/std_log_process_0.txt", str(tmp_path / "log.txt"))
    assert "not from the datastore workspaceblobstore" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["Nccl", "Gloo"])
def test_pytorch_starts_one_process_on_every_node(estimate, submit, distribution):
    run = submit(estimate("PyTorch", node_count=2, distributed_training=estimators.make(distribution)))
    assert finish(run) == "Completed"
    assert ranks(run) == [0, 1]


SEARCH = {
    "hyperparameter_sampling": GridParameterSampling({"--lr": choice(1, 2)}),
    "primary_metric_name": "lr",
    "primary_metric_goal": PrimaryMetricGoal.MAXIMIZE,
    "max_total_runs": 2,
    "max_concurrent_runs": 2,
}


def search(estimator, kind=HyperDriveConfig):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(estimator=estimator, **SEARCH)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "of"), [("Estimator", HyperDriveRunConfig), *((kind, HyperDriveConfig) for kind in FRAMEWORKS)]
)
def test_a_sweep_gives_each_run_the_arguments_of_its_estimator_and_its_own(estimate, submit, kind, of):
    run = submit(search(estimate(kind, script_params={"--base": 3}), of))
    assert finish(run) == "Completed"
    best = run.get_best_run_by_primary_metric()
    assert best.get_details()["runDefinition"]["arguments"] == ["--base", "3", "--lr", "2"]
    assert sorted(metrics["lr"] for metrics in run.get_metrics().values()) == [1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("mpirun")
def test_a_sweep_over_a_distributed_estimator_starts_every_rank_of_each_run(estimate, submit):
    run = submit(search(estimate("Estimator", node_count=2, distributed_training=Mpi())))
    assert finish(run) == "Completed"
    assert [ranks(child) for child in run.get_children()] == [[0, 1], [0, 1]]


def run_steps(ws, unique, *steps, **values):
    run = Experiment(ws, unique("exp")).submit(Pipeline(ws, steps=[*steps]), pipeline_parameters=values)
    assert run.wait_for_completion(show_output=False) == "Finished"
    return {step.name: step for step in run.get_steps()}


@pytest.fixture
def step(estimate, cluster):
    """A step of an estimator."""

    def make(kind, name, arguments, *, training=None, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return EstimatorStep(
                name=name,
                estimator=estimate(kind, **(training or {})),
                estimator_entry_script_arguments=arguments,
                compute_target=cluster,
                **settings,
            )

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", FRAMEWORKS)
def test_steps_of_estimators_take_parameters_pass_data_and_are_reused(ws, unique, step, kind):
    folder = PipelineData("folder", datastore=ws.get_default_datastore())
    rate = PipelineParameter("rate", 4)
    writes = step(kind, "writes", ["--lr", rate, "--out", folder], outputs=[folder])
    reads = step(kind, "reads", ["--lr", 5, "--data", folder], inputs=[folder])
    ran = run_steps(ws, unique, writes, reads, rate=6)
    assert ran["writes"].get_metrics()["lr"] == 6
    assert "['made.txt']" in ran["reads"].get_stdout_log()
    again = run_steps(ws, unique, writes, reads, rate=6)
    assert again["writes"].get_properties()["azureml.reusedrunid"] == ran["writes"].id


@pytest.mark.slow
@pytest.mark.usefixtures("mpirun")
def test_steps_of_distributed_estimators_start_every_rank(ws, unique, step):
    nodes = PipelineParameter("nodes", 1)
    mpi = step(
        "Estimator",
        "mpi",
        [],
        training={"node_count": 2, "distributed_training": Mpi()},
        runconfig_pipeline_params={"NodeCount": nodes},
    )
    nccl = step("PyTorch", "nccl", [], training={"node_count": 2, "distributed_training": estimators.make("Nccl")})
    ran = run_steps(ws, unique, mpi, nccl, nodes=3)
    assert (ranks(ran["mpi"]), ranks(ran["nccl"])) == ([0, 1, 2], [0, 1])


def test_parameter_servers_are_refused_by_their_name(ws, unique, estimate, submit, step):
    training = {"node_count": 2, "distributed_training": estimators.make("ParameterServer", worker_count=2)}
    told = "TensorFlow's parameter servers .* are not supported; MpiConfiguration runs Horovod"
    with pytest.raises(TrainingException, match=told):
        submit(estimate("TensorFlow", **training))
    with pytest.raises(TrainingException, match=told):
        submit(search(estimate("TensorFlow", **training)))
    with pytest.raises(ErrorResponseException, match=told):
        run_steps(ws, unique, step("TensorFlow", "servers", [], training=training))
