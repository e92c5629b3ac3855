"""A program of the first version's users: one dict for every class, and what they expect of the objects.

The expectations are those of that version's own tests: test/test_azureml_wrapper.py of
VincentCoulombe/azureml_wrapper.
"""

from __future__ import annotations

import json

import pytest

SETTINGS = {
    "ws_name": "first-version",
    "resource_group": "group",
    "subscription_id": "local",
    "test_container": "texts",
    "storage_acc_name": "firstversion",
    "storage_key": "a2V5IG9mIGFuIGFjY291bnQ=",
}

PROGRAM = r"""
import json, warnings
from azureml.core import Workspace
from azureml_wrapper import PipelineStep, PipelineWrapper, WorkspaceWrapper

with open(r"test\workspaceConfig.json") as file:
    settings = json.load(file)

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always", UserWarning)
    opened = WorkspaceWrapper.from_config(settings)
(only,) = [each for each in told if "config" in str(each.message)]
assert all(key in str(only.message) for key in ("test_container", "storage_acc_name", "storage_key"))
assert isinstance(opened.ws, Workspace)
assert (opened.ws.name, opened.ws.resource_group, opened.ws.subscription_id) == ("first-version", "group", "local")

# Datastores come and go, and may be gone already.
storage = (settings["test_container"], settings["storage_acc_name"], settings["storage_key"])
opened.unregister_blob_datastore("texts_store")
opened.register_blob_datastore("texts_store", *storage)
assert "texts_store" in opened.ws.datastores
opened.register_csv("texts_store", "texts", source="texts.csv")
opened.unregister_blob_datastore("texts_store")
assert "texts_store" not in opened.ws.datastores
opened.register_blob_datastore("texts_store", *storage)

# A step is checked when it is made.
lr = {"lr": 2e-05, "batch_size": 16}
config = {**settings, "step_name": "one", "script_name": "one", "step_config": lr}
config["input_datasets"] = {"--new": "texts"}
step = PipelineStep.from_config(config)
assert step.arguments[:3] == ["--config", json.dumps(lr), "--new"]
assert (step.name, step.script_name) == ("one", "one.py")
for error, wrong in (
    (NameError, {**config, "input_datasets": {"--new": "no such table"}}),
    (TypeError, []),
    (KeyError, {key: value for key, value in config.items() if key != "step_name"}),
):
    try:
        PipelineStep.from_config(wrong)
    except error:
        continue
    raise AssertionError(f"no {error.__name__}")

opened.register_compute("first-cpu")
opened.register_env("first-env", ["git+https://github.com/VincentCoulombe/azureml_wrapper.git", "pandas", "argparse"])
steps = {
    "step1": {"step_name": "one", "script_name": "one", "step_config": {"table": "texts"},
              "input_datasets": {"--new": "texts"}},
    "step2": {"step_name": "two", "script_name": "two.py", "step_config": {"table": "texts", "epochs": 1}},
}
pipeline = PipelineWrapper.from_config(
    {**settings, "env_name": "first-env", "compute_name": "first-cpu", "steps": steps}
)
one, two = pipeline.steps
assert [(each.name, each.script_name) for each in (one, two)] == [("one", "one.py"), ("two", "two.py")]
assert "--output-folder" in one.arguments and "--input-folder" not in one.arguments
assert "--input-folder" in two.arguments and "--output-folder" not in two.arguments

assert pipeline.last_run is None
pipeline.run("first_run")
assert pipeline.experiment.name == "first_run"
assert pipeline.experiment.workspace.name == opened.ws.name
assert pipeline._run is pipeline.last_run
assert pipeline._run.experiment.name == "first_run"
print("RESULT", pipeline.last_run.status, pipeline.last_run.steps["two"].metrics)
"""

ONE = """\
from azureml_wrapper import ScriptWrapper

script = ScriptWrapper()
name = script.get_config()["table"]
script.save_csv_in_output_folder(script.get_csv_from_config(name), name)
script.run.complete()
"""

TWO = """\
from azureml_wrapper import ScriptWrapper

script = ScriptWrapper()
table = script.get_csv_from_input_folder(script.get_config()["table"])
script.run.log("rows", len(table))
script.run.complete()
"""


@pytest.mark.slow
def test_a_program_of_the_first_version_runs_unchanged(shared):
    for name, text in (("program.py", PROGRAM), ("one.py", ONE), ("two.py", TWO), ("texts.csv", "text\na\nb\n")):
        (shared.folder / name).write_text(text)
    # The path is Windows' own, as that version's tests write it.
    (shared.folder / "test\\workspaceConfig.json").write_text(json.dumps(SETTINGS))
    assert "RESULT Completed {'rows': 2}" in shared.run("python", "program.py").stdout
