"""What a command becomes in SDK v1's own objects."""

from __future__ import annotations

import pytest

from azureml_wrapper.v2.command_job import Command, Distribution
from azureml_wrapper.v2.command_line import in_single_quotes, split_first
from azureml_wrapper.v2.environment_file import EnvironmentFile
from azureml_wrapper.v2.job_data import Literal
from azureml_wrapper.v2.v1_jobs.run_config import Parts, run_configuration


def configured(**settings):
    return run_configuration(None, Command(command="python train.py", compute="c", **settings))


def test_a_step_has_nodes_variables_a_timeout_and_dockers_settings():
    found = configured(nodes=2, variables={"A": "1"}, timeout=60, shared_memory="4g", docker_arguments="--ipc host")
    assert (found.node_count, found.max_run_duration_seconds) == (2, 60)
    assert found.environment_variables["A"] == "1"
    assert (found.docker.use_docker, found.docker.shm_size, found.docker.arguments) == (True, "4g", ["--ipc", "host"])


def test_dockers_arguments_keep_what_stands_in_quotes():
    found = configured(docker_arguments="-e 'A=b c' --ipc host")
    assert found.docker.arguments == ["-e", "A=b c", "--ipc", "host"]


@pytest.mark.parametrize(
    ("kind", "communicator", "framework"),
    [("mpi", "IntelMpi", "Python"), ("pytorch", "nccl", "PyTorch"), ("tensorflow", "ParameterServer", "TensorFlow")],
)
def test_a_step_has_sdk_v1s_words_for_several_processes(kind, communicator, framework):
    found = configured(nodes=2, distribution=Distribution(kind=kind, processes=4, workers=2, servers=1))
    assert (found.communicator, found.framework, found.node_count) == (communicator, framework, 2)
    counts = {
        "mpi": found.mpi.process_count_per_node,
        "pytorch": found.pytorch.process_count,
        "tensorflow": found.tensorflow.parameter_server_count,
    }
    assert counts[kind] == {"mpi": 4, "pytorch": 8, "tensorflow": 1}[kind]


def test_an_image_alone_has_everything_and_one_with_a_conda_file_gets_its_packages():
    alone = EnvironmentFile(name="e", image="ubuntu").define()
    assert alone.python.user_managed_dependencies is True
    both = EnvironmentFile(name="e", image="ubuntu", conda={"dependencies": [{"pip": ["pandas"]}]}).define()
    assert both.python.user_managed_dependencies is False
    assert list(both.python.conda_dependencies.pip_packages) == ["pandas"]
    assert (alone.docker.base_image, both.docker.base_image) == ("ubuntu", "ubuntu")


def test_values_stand_in_the_command_and_data_are_what_the_service_replaces():
    command = Command(command="", inputs={"n": Literal("7")})
    parts = Parts(texts={"n": "7"}, inputs={"d": object()}, outputs={"o": object()})
    line = "run ${{inputs.n}} ${{ inputs.d }}/a > ${{outputs.o}}"
    assert parts.line(line) == "run 7 DatasetConsumptionConfig:d/a > DatasetOutputConfig:o"
    assert parts.line_with_variables(line) == "run 7 $AZUREML_DATAREFERENCE_d/a > $AZUREML_DATAREFERENCE_o"
    assert command.script is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ls -l", ("ls", "-l")),
        ("ls", ("ls", "")),
        ("echo 'a  b' && ls", ("echo", "'a  b' && ls")),
        ("'my program' x", ("sh", "-c ''\"'\"'my program'\"'\"' x'")),
    ],
)
def test_the_sdk_is_left_nothing_to_take_quotes_from(command, words):
    assert split_first(command) == words


def test_bindings_in_single_quotes_are_found():
    text = """echo ${{inputs.a}} "it's ${{inputs.b}}" 'x ${{inputs.c}}' \\' ${{inputs.d}}"""
    assert [binding.name for binding in in_single_quotes(text)] == ["c"]


def test_a_backslash_escapes_as_a_shell_says():
    """Not in single quotes; in double ones, a quote that it escapes ends nothing."""
    text = r"""'C:\' ${{inputs.a}} "\" '${{inputs.b}}" '${{inputs.c}}'"""
    assert [binding.name for binding in in_single_quotes(text)] == ["c"]
