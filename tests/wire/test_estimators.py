"""The estimators of azureml-train-core, on one node and on several."""

from __future__ import annotations

import warnings

import pytest
from azureml.core import Experiment
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.runconfig import MpiConfiguration
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import EstimatorStep
from azureml.train.dnn import Chainer, Gloo, Mpi, Nccl, PyTorch, TensorFlow
from azureml.train.estimator import Estimator
from azureml.train.sklearn import SKLearn

from tests.programs import need_mpirun
from tests.wire.test_script_run import finish, printed

pytestmark = pytest.mark.local_only

SCRIPT = """
import os, sys
from azureml.core import Run
rank = os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK") or "0"
Run.get_context().log("rank", int(rank))
print("hello", *sys.argv[1:])
"""
# The frameworks need no package, because the Python of the service runs the script.
PLAIN = {"user_managed": True, "use_docker": False}


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
            return kind(folder, compute_target=cluster, entry_script="train.py", **{**PLAIN, **settings})

    return make


@pytest.fixture
def submit(ws, unique):
    return lambda estimator: Experiment(ws, unique("exp")).submit(estimator)


def ranks(run) -> list[int]:
    found = run.get_metrics()["rank"]
    return sorted(found) if isinstance(found, list) else [found]


@pytest.mark.parametrize("kind", [Estimator, PyTorch, TensorFlow, Chainer, SKLearn])
def test_an_estimator_runs_its_script(estimate, submit, kind, tmp_path):
    managed = {"use_docker": None} if kind is SKLearn else {}
    run = submit(estimate(kind, script_params={"--lr": 0.1}, **managed))
    assert finish(run) == "Completed"
    assert "hello --lr 0.1" in printed(run, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("mpirun")
@pytest.mark.parametrize("kind", [Estimator, PyTorch, TensorFlow, Chainer])
@pytest.mark.parametrize(
    "distribution", [lambda: Mpi(process_count_per_node=2), lambda: MpiConfiguration(process_count_per_node=2)]
)
def test_mpi_starts_the_processes_of_every_node(estimate, submit, kind, distribution, tmp_path):
    run = submit(estimate(kind, node_count=2, distributed_training=distribution()))
    assert finish(run) == "Completed"
    assert ranks(run) == [0, 1, 2, 3]
    run.download_file("user_logs/std_log_process_0.txt", str(tmp_path / "log.txt"))
    assert "not from the datastore workspaceblobstore" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("distribution", [Nccl, Gloo])
def test_pytorch_starts_one_process_on_every_node(estimate, submit, distribution):
    run = submit(estimate(PyTorch, node_count=2, distributed_training=distribution()))
    assert finish(run) == "Completed"
    assert ranks(run) == [0, 1]


@pytest.mark.slow
def test_an_estimator_can_be_a_step_of_a_pipeline(ws, estimate, cluster, unique):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = EstimatorStep(
            name="train",
            estimator=estimate(SKLearn),
            estimator_entry_script_arguments=["--lr", "0.5"],
            compute_target=cluster,
        )
    run = Experiment(ws, unique("exp")).submit(Pipeline(ws, steps=[step]))
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert "hello --lr 0.5" in run.find_step_run("train")[0].get_stdout_log()
