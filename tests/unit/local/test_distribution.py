"""How many processes a job has, and what each is told."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import Distribution, Launcher
from azureml_wrapper.local.executor import distributed
from azureml_wrapper.local.services.runconfig import distribution, processes_per_node


@pytest.mark.parametrize(
    ("communicator", "words"),
    [
        ("ParameterServer", "TensorflowConfiguration, .* are not supported; MpiConfiguration runs Horovod"),
        ("ParallelTask", "ParallelTask"),
        ("Carrier pigeon", "unknown communicator 'Carrier pigeon'; the local service supports OpenMpi"),
        (None, "2 nodes, but not how its processes find each other.*MpiConfiguration"),
    ],
)
def test_what_is_not_served_is_refused_by_name(communicator, words):
    with pytest.raises(Unsupported, match=words):
        distribution(communicator, 2, 1)


@pytest.mark.parametrize(("nodes", "per_node"), [(0, 1), (1, 0), (-1, 2)])
def test_no_process_at_all_is_invalid(nodes, per_node):
    with pytest.raises(Invalid, match="at least one process"):
        distribution("OpenMpi", nodes, per_node)


def test_processes_that_cannot_be_spread_evenly_are_invalid():
    with pytest.raises(Invalid, match="3 processes cannot be spread evenly over 2 nodes"):
        processes_per_node("Nccl", 2, {"pytorch": {"processCount": 3}})


@pytest.mark.parametrize(("size", "rank", "name"), [(9, 3, "3"), (10, 3, "03"), (16, 15, "15"), (100, 7, "007")])
def test_logs_are_numbered_as_in_azure(size, rank, name):
    spread = Distribution(launcher=Launcher.MPI, per_node=size)
    assert spread.log(rank) == f"user_logs/std_log_process_{name}.txt"


def test_the_only_process_has_the_log_of_every_job():
    assert Distribution(launcher=Launcher.MPI).log(0) == "user_logs/std_log.txt"


def test_mpi_ranks_are_told_their_place_as_if_on_nodes():
    told = Distribution(launcher=Launcher.MPI, nodes=2, per_node=3).variables(4, 50000)
    assert told == {
        "OMPI_COMM_WORLD_RANK": "4",
        "OMPI_COMM_WORLD_SIZE": "6",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "3",
        "OMPI_COMM_WORLD_NODE_RANK": "1",
        "AZ_BATCHAI_MPI_MASTER_NODE": "127.0.0.1",
        "AZ_BATCH_MASTER_NODE": "127.0.0.1:50000",
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": "127.0.0.1",
        "AZUREML_NODE_COUNT": "2",
        "AZUREML_CR_NODE_RANK": "1",
    }


def test_pytorch_ranks_are_told_their_place_and_the_first_ones_address():
    told = Distribution(launcher=Launcher.PYTORCH, nodes=2, per_node=2).variables(3, 50000)
    assert told == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "50000",
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "NODE_RANK": "1",
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": "127.0.0.1",
        "AZUREML_NODE_COUNT": "2",
        "AZUREML_CR_NODE_RANK": "1",
    }


def test_a_job_of_one_process_is_told_nothing():
    assert Distribution().variables(0, 1) == {}


def program(folder):
    """An mpirun in a folder of its own."""
    folder.mkdir()
    (folder / "mpirun").touch(mode=0o755)
    return folder / "mpirun"


def test_mpirun_is_found_on_the_steps_path_and_then_next_to_the_interpreter(monkeypatch, tmp_path):
    of_step, beside = program(tmp_path / "step"), program(tmp_path / "beside")
    monkeypatch.setattr(distributed, "BESIDE", beside.parent)
    starter = distributed.rank_starter(distribution("OpenMpi", 2, 1), tmp_path, [])
    for path, found in ((of_step.parent, of_step), (tmp_path / "empty", beside)):
        assert f"through {found}" in starter.explain([], folder=tmp_path, variables={"PATH": str(path)})
