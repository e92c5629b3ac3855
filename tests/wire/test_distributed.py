"""Jobs of several processes through the SDK: MpiConfiguration, PyTorchConfiguration, MpiStep."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

import pytest
from azureml.core import Environment, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.runconfig import MpiConfiguration, PyTorchConfiguration, RunConfiguration, TensorflowConfiguration
from azureml.exceptions import ExperimentExecutionException
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter
from azureml.pipeline.steps import MpiStep, PythonScriptStep

from tests.programs import need_mpirun

pytestmark = pytest.mark.local_only

ALLREDUCE = """
import json, os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(world.Get_rank() + 1)
print("rank", world.Get_rank(), "of", world.Get_size(), "sees", total)
places = world.gather([os.environ["OMPI_COMM_WORLD_LOCAL_RANK"], os.environ["AZUREML_NODE_COUNT"]])
if world.Get_rank() == 0 and len(sys.argv) > 1:
    os.makedirs(sys.argv[1], exist_ok=True)
    with open(os.path.join(sys.argv[1], "total.json"), "w") as file:
        json.dump({"total": total, "places": places}, file)
"""
MEET = """
import os, socket
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
if rank == 0:
    with socket.create_server(place) as server:
        met = sorted(int(server.accept()[0].recv(9)) for _ in range(size - 1))
    print("met", met)
else:
    while True:
        try:
            with socket.create_connection(place) as connection:
                connection.sendall(str(rank).encode())
            break
        except ConnectionRefusedError:
            pass
"""


@pytest.fixture(scope="session")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-ranks", config)


@pytest.fixture
def submit(ws, cluster, unique, tmp_path):
    """Submit a source with a distribution."""

    def make(source, distribution):
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "main.py").write_text(source)
        config = ScriptRunConfig(
            str(tmp_path / "src"),
            script="main.py",
            compute_target=cluster,
            environment=Environment(unique("env")),
            distributed_job_config=distribution,
        )
        return Experiment(ws, unique("exp")).submit(config)

    return make


def watch(run) -> str:
    with redirect_stdout(io.StringIO()) as told:
        run.wait_for_completion(show_output=True)
    return told.getvalue()


@pytest.mark.slow
def test_mpi_ranks_reach_each_other_and_the_sdk_streams_the_first_ones_log(submit, tmp_path):
    need_mpirun()
    run = submit(ALLREDUCE, MpiConfiguration(process_count_per_node=2, node_count=2))
    told = watch(run)
    assert "Streaming user_logs/std_log_process_0.txt" in told
    assert "rank 0 of 4 sees 10" in told
    assert run.get_details()["runDefinition"]["communicator"] == "IntelMpi"
    names = [name for name in run.get_file_names() if name.startswith("user_logs/std_log")]
    assert names == [f"user_logs/std_log_process_{rank}.txt" for rank in range(4)]
    run.download_file("user_logs/std_log_process_3.txt", str(tmp_path / "log"))
    assert (tmp_path / "log").read_text() == "rank 3 of 4 sees 10\n"


@pytest.mark.slow
def test_pytorch_ranks_meet_at_the_address_that_they_are_told(submit):
    run = submit(MEET, PyTorchConfiguration(process_count=4, node_count=2))
    assert "met [1, 2, 3]" in watch(run)


def test_tensorflow_is_refused_by_name(submit):
    with pytest.raises(ExperimentExecutionException, match=r"TensorflowConfiguration.* are not supported"):
        submit("", TensorflowConfiguration(worker_count=2))


@pytest.mark.slow
def test_a_step_of_a_run_configuration_with_ranks_runs_them(ws, cluster, unique, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(MEET)
    config = RunConfiguration(communicator="Gloo")
    config.node_count, config.pytorch = 2, PyTorchConfiguration(process_count=4, node_count=2)
    config.environment = Environment(unique("env"))
    settings = {"source_directory": str(tmp_path / "src"), "compute_target": cluster, "allow_reuse": False}
    run = Experiment(ws, unique("exp")).submit(
        Pipeline(ws, [PythonScriptStep("main.py", "meet", runconfig=config, **settings)])
    )
    assert run.wait_for_completion(show_output=False) == "Finished"
    (child,) = run.get_steps()
    assert "met [1, 2, 3]" in child.get_stdout_log()


@pytest.mark.slow
def test_an_mpi_step_runs_its_ranks_and_hands_its_output_on(ws, cluster, unique, tmp_path):
    need_mpirun()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(ALLREDUCE)
    out = PipelineData("out", datastore=ws.get_default_datastore())
    step = MpiStep(
        name="ranks",
        source_directory=str(tmp_path / "src"),
        script_name="main.py",
        arguments=[out],
        outputs=[out],
        compute_target=cluster,
        node_count=PipelineParameter("nodes", 1),
        process_count_per_node=2,
        environment_definition=Environment(unique("env")),
        allow_reuse=False,
    )
    run = Experiment(ws, unique("exp")).submit(Pipeline(ws, [step]), pipeline_parameters={"nodes": 2})
    assert run.wait_for_completion(show_output=False) == "Finished"
    (child,) = run.get_steps()
    child.get_output_data("out").download(str(tmp_path / "got"))
    (file,) = (tmp_path / "got").rglob("total.json")
    assert json.loads(file.read_text()) == {"total": 10, "places": [["0", "2"], ["1", "2"], ["0", "2"], ["1", "2"]]}
    assert "rank 0 of 4 sees 10" in child.get_stdout_log()
