"""`warm: false`: a step that is to run in a new process, and what its log says."""

from __future__ import annotations

import pytest
from azureml.core import Experiment, ScriptRunConfig

from azureml_wrapper import PipelineStep, PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import BadArgument, ConfigError

pytestmark = pytest.mark.local_only
ASKED = "[local] Cold start: a new process, because its variable AZUREML_WRAPPER_WARM is 'false'."


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("warm_env", [])
    wrapper.register_compute("warm-cpu", compute_max_nodes=2)
    return wrapper


@pytest.fixture
def config(workspace, tmp_path):
    """Of a pipeline with three steps that do not wait for each other."""
    (tmp_path / "quiet.py").write_text("")
    scope = workspace.scope
    common = {"script_name": "quiet", "script_directory": str(tmp_path), "input_steps": {}, "allow_reuse": False}
    return {
        "ws_name": scope.name,
        "resource_group": scope.resource_group,
        "subscription_id": scope.subscription_id,
        "env_name": "warm_env",
        "compute_name": "warm-cpu",
        "steps": [{**common, "step_name": name} for name in ("plain", "cold", "warm")],
    }


def asked_for_cold(run: RunWrapper) -> set[str]:
    """The steps whose log says in its first line that they were to start cold."""
    return {name for name in run.steps if run.logs(name).splitlines()[0] == ASKED}


def test_a_step_starts_cold_where_it_says_so_itself(config, unique):
    config["steps"][1]["warm"] = False
    config["steps"][2]["warm"] = True
    assert asked_for_cold(PipelineWrapper.from_config(config).run(unique("exp"))) == {"cold"}


def test_a_pipeline_says_it_for_the_steps_that_do_not(config, unique):
    config["steps"][2]["warm"] = True
    run = PipelineWrapper.from_config({**config, "warm": False}).run(unique("exp"))
    assert asked_for_cold(run) == {"plain", "cold"}


def test_a_script_run_of_the_sdk_alone_says_it_by_a_variable(ws, workspace, tmp_path, unique):
    (tmp_path / "main.py").write_text("")
    script = ScriptRunConfig(str(tmp_path), script="main.py", compute_target="warm-cpu")
    script.run_config.environment_variables = {"AZUREML_WRAPPER_WARM": "false"}
    run = RunWrapper(Experiment(ws, unique("exp")).submit(script)).wait()
    assert run.logs().splitlines()[0] == ASKED


def test_other_values_are_refused(config, workspace):
    with pytest.raises(ConfigError, match="warm"):
        PipelineWrapper.from_config({**config, "warm": "sometimes"})
    scope = (workspace.scope.name, workspace.scope.resource_group, workspace.scope.subscription_id)
    with pytest.raises(BadArgument, match="warm must be True or False, got 'no'"):
        PipelineWrapper(*scope, "e", "c", [PipelineStep(*scope, "a", "a.py")], warm="no")
