"""Parameters of a pipeline: from the config to a script that knows nothing of them."""

from __future__ import annotations

import pytest

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.errors import BadParameter

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

# As the original project's scripts read their config.
SCRIPT = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config")
parser.add_argument("--tag")
parser.add_argument("--epochs", type=int)
args = parser.parse_args()
print("got", json.dumps(args.config, sort_keys=True), args.tag, args.epochs)
"""
CONFIG = {
    "lr": "${{parameters.lr}}",
    "name": "${{ parameters.name }}",
    "shuffle": "${{parameters.shuffle}}",
    "path": "runs/${{parameters.name}}_${{parameters.epochs}}x/$HOME",
    "fixed": [1, "a", None, {"lr": "${{parameters.lr}}"}],
}
DEFAULTS = {"lr": 2e-5, "name": "it's élan", "shuffle": True, "epochs": 10}


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("parameters_env", [])
    wrapper.register_compute("parameters-cpu")
    return wrapper


@pytest.fixture
def pipeline(workspace, tmp_path):
    (tmp_path / "show.py").write_text(SCRIPT)
    step = {
        "step_name": "show",
        "script_name": "show.py",
        "script_directory": str(tmp_path),
        "step_config": CONFIG,
        "arguments": {"--tag": "v-${{parameters.name}}", "--epochs": "${{parameters.epochs}}"},
    }
    scope = workspace.scope
    return PipelineWrapper.from_config(
        {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "env_name": "parameters_env",
            "compute_name": "parameters-cpu",
            "pipeline_parameters": DEFAULTS,
            "steps": [step],
        }
    )


def got(run):
    return next(line for line in run.logs().splitlines() if line.startswith("got "))


def test_a_script_gets_the_defaults_as_plain_json(pipeline, unique):
    assert got(pipeline.run(unique("exp"))) == (
        'got {"fixed": [1, "a", null, {"lr": 2e-05}], "lr": 2e-05, "name": "it\'s \\u00e9lan", '
        '"path": "runs/it\'s \\u00e9lan_10x/$HOME", "shuffle": true} v-it\'s élan 10'
    )


def test_a_run_has_its_own_values(pipeline, unique):
    given = {"lr": 1, "name": "b", "shuffle": False, "epochs": "3"}
    assert got(pipeline.run(unique("exp"), parameters=given)) == (
        'got {"fixed": [1, "a", null, {"lr": 1.0}], "lr": 1.0, "name": "b", "path": "runs/b_3x/$HOME", '
        '"shuffle": false} v-b 3'
    )


def test_a_value_that_cannot_be_is_refused_before_anything_is_sent(pipeline, unique):
    with pytest.raises(BadParameter, match="no parameter 'rate'"):
        pipeline.run(unique("exp"), parameters={"rate": 1})
    with pytest.raises(BadParameter, match="cannot contain"):
        pipeline.run(unique("exp"), parameters={"name": 'a"b'})
