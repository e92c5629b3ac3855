"""CommandStep: a step whose command a shell runs."""

from __future__ import annotations

import pytest
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import PipelineParameter, StepRun
from azureml.pipeline.steps import CommandStep

from azureml_wrapper import RunWrapper


@pytest.fixture
def command_step(cluster, runconfig, tmp_path):
    """`command_step(command, name)`: it runs in a folder with a script that prints its arguments."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "show.py").write_text("import sys\nprint('got', sys.argv[1:])\n")

    def make(command, name: str, **more) -> CommandStep:
        settings = {"compute_target": cluster, "runconfig": runconfig, "allow_reuse": False}
        return CommandStep(command, name, source_directory=str(tmp_path / "code"), **{**settings, **more})

    return make


def logs(run) -> dict[str, str]:
    return {name: step.logs() for name, step in RunWrapper(run).steps.items()}


def test_a_command_runs_a_script_of_its_folder_with_its_arguments(command_step, complete):
    run = complete([command_step("python show.py one --two 3", "call")])
    assert "got ['one', '--two', '3']" in logs(run)["call"]


def test_commands_pass_folders_on_and_use_the_shell(command_step, complete):
    made = OutputFileDatasetConfig("made")
    write = command_step(
        ["echo", "hello > $AZUREML_DATAREFERENCE_made/a.txt && echo written"], "write", outputs=[made]
    )
    read = command_step(
        ["cat", "$AZUREML_DATAREFERENCE_read/a.txt"], "read", inputs=[made.as_input("read").as_mount()]
    )
    shown = logs(complete([write, read]))
    assert shown["write"].endswith("written\n")
    assert shown["read"].endswith("hello\n")


@pytest.mark.slow
def test_data_are_arguments_of_a_command(command_step, complete):
    made = OutputFileDatasetConfig("made")
    write = command_step(["cp show.py", made], "write")
    read = command_step(["ls", made.as_input("read").as_mount()], "read")
    assert logs(complete([write, read]))["read"].endswith("show.py\n")


def test_parameters_of_the_pipeline_reach_a_command(command_step, submit):
    run = submit([command_step(["echo", PipelineParameter("lr", 0.1)], "say")], pipeline_parameters={"lr": 0.5})
    run.wait_for_completion(show_output=False, timeout_seconds=60)
    assert logs(run)["say"].endswith("0.5\n")


@pytest.mark.slow
def test_an_equal_command_is_reused_and_another_one_is_not(command_step, complete):
    def steps(word: str) -> list[CommandStep]:
        return [command_step(f"echo {word} {word}", "say", allow_reuse=True)]

    first, again, other = (complete(steps(word)) for word in ("one", "one", "two"))
    assert [RunWrapper(run).steps["say"].reused_from for run in (again, other)] == [
        RunWrapper(first).steps["say"].id,
        None,
    ]


def test_the_exit_code_of_a_command_is_the_steps(command_step, submit):
    run = submit([command_step("exit 3", "stop")])
    assert run.wait_for_completion(show_output=False, raise_on_error=False, timeout_seconds=60) == "Failed"
    step = next(iter(run.get_steps()))
    assert isinstance(step, StepRun)
    assert "status code 3" in step.get_details()["error"]["error"]["message"]
