"""Pipelines as SDK v2's YAML: what is written, what is refused, and that nothing changes without cause."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from azureml_wrapper import PipelineWrapper
from azureml_wrapper.config import parsing
from azureml_wrapper.errors import BadArgument, BadPipeline, BadSchedule, FolderTaken
from azureml_wrapper.v2.export.syntax import BREAK, Command, as_node, node_names, quote_argument, to_yaml
from azureml_wrapper.v2.references import Binding

AZURE = {"ws_name": "w", "resource_group": "g", "subscription_id": "11111111-2222-3333-4444-555555555555"}
NASTY = 'it\'s "quoted" $HOME `id` \\ äöü  two spaces'
SHOW = "import sys, json; print(json.dumps(sys.argv[1:]))"
KEY = "q" * 86 + "=="


@pytest.fixture
def project(tmp_path):
    for name in ("prepare", "train"):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / f"{name}.py").write_text("import pandas\nfrom azureml.core import Run\n")
    return tmp_path


def steps(**more):
    return {
        "a": {"step_name": "Pré-pare 1", "script_name": "prepare", "script_directory": "src", **more},
        "b": {"step_name": "train", "script_name": "train", "script_directory": "src"},
    }


def pipeline(project, *, parameters=None, **more):
    config = {**AZURE, "env_name": "env", "compute_name": "cpu", "steps": steps(**more)}
    if parameters:
        config["pipeline_parameters"] = parameters
    (project / "config.json").write_text(json.dumps(config))
    return PipelineWrapper.from_config(project / "config.json")


def job(project, made, **choices):
    made.to_v2(project / "v2", **choices)
    return parsing.read(project / "v2" / "pipeline.yml").data


def words(command, **values):
    """What a shell makes of a command after SDK v2 has put the values in."""
    for name, value in values.items():
        command = command.replace(f"${{{{inputs.{name}}}}}", value)
    return json.loads(shell(command.replace("python ", f"{sys.executable} -c '{SHOW}' ")))


def shell(command):
    line = command.replace("${{outputs.output_folder}}", "/out")
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout


def test_a_script_gets_the_arguments_of_sdk_v1_in_their_order(project):
    made = pipeline(
        project,
        step_config={"text": NASTY, "n": [1, 2.5e-05, None, True]},
        arguments={"--plain": NASTY, "--many": 3},
        input_datasets={"--data": "sales 2024"},
        input_paths={"--raw": {"datastore": "store", "path": "a/b.csv"}},
    )
    command = job(project, made)["jobs"]["pre_pare_1"]["command"]
    found = words(command, sales_2024="/d", raw="/r")
    assert found[:2] == ["prepare.py", "--config"]
    assert json.loads(found[2]) == {"text": NASTY, "n": [1, 2.5e-05, None, True]}
    assert found[3:] == ["--plain", NASTY, "--many", "3", "--data", "/d", "--raw", "/r", "--output-folder", "/out"]


def test_parameters_become_inputs_that_json_is_made_of(project):
    made = pipeline(
        project,
        step_config={"lr": "${{parameters.lr}}", "tag": "run ${{parameters.tag}}s", "flag": "${{parameters.flag}}"},
        arguments={"--tag": "${{parameters.tag}}"},
        parameters={"lr": 2e-5, "tag": "2e-5", "flag": True},
    )
    found = job(project, made)
    assert found["inputs"] == {"lr": 2e-5, "tag": "2e-5", "flag": "true"}
    node = found["jobs"]["pre_pare_1"]
    assert node["inputs"]["lr"] == "${{parent.inputs.lr}}"
    arguments = words(node["command"], lr="0.5", tag="two words", flag="false")
    assert json.loads(arguments[2]) == {"lr": 0.5, "tag": "run two wordss", "flag": False}
    assert arguments[3:5] == ["--tag", "two words"]


def test_what_only_looks_like_a_parameter_is_no_variable_of_the_shell():
    argument = "$AML_PARAMETER_other; ${{parameters.lr}} $AML_PARAMETER_other"
    quoted = quote_argument(argument, {"lr": 0.5}, lambda name: Binding("input", name))
    assert shell(f"AML_PARAMETER_other=x; printf %s {quoted}".replace("${{inputs.lr}}", "0.1")) == (
        "$AML_PARAMETER_other; 0.1 $AML_PARAMETER_other"
    )


def test_texts_that_look_like_numbers_stay_texts_for_yaml_1_1_and_1_2():
    data = {"a": "2e-5", "b": "no", "c": "017", "d": 2e-5, "e": "12:30", "f": "1_000", "g": "0x1f", "h": ""}
    text = to_yaml(data)
    assert yaml.safe_load(text) == data
    assert yaml.load(text, Loader=parsing.CoreLoader) == data  # noqa: S506 - a safe one


@pytest.mark.parametrize(
    "command",
    [
        f"python a.py{BREAK}--config '{{\"a\": 1}}'{BREAK}--x ${{{{inputs.x}}}}",
        f"python a.py{BREAK}--a 'two  spaces'{BREAK}--b 'a: b # c'{BREAK}--c ' lead'",
        f"python a.py{BREAK}--lines 'one\ntwo'{BREAK}--x 1",
        f"python a.py{BREAK}--ü 'é\t\x07'",
    ],
)
def test_a_command_is_the_same_line_after_it_was_broken_into_several(command):
    assert yaml.safe_load(to_yaml({"jobs": {"a": {"command": Command(command)}}}))["jobs"]["a"]["command"] == (
        command.replace(BREAK, " ")
    )


def test_folders_of_other_steps_are_bound_to_their_outputs(project):
    found = job(project, pipeline(project))["jobs"]
    assert list(found) == ["pre_pare_1", "train"]
    assert found["pre_pare_1"]["outputs"] == {"output_folder": {"type": "uri_folder", "mode": "rw_mount"}}
    assert found["train"]["inputs"] == {"input_folder": "${{parent.jobs.pre_pare_1.outputs.output_folder}}"}
    assert "outputs" not in found["train"]
    assert found["train"]["display_name"] == "train"
    assert found["pre_pare_1"]["code"] == "../src"


def test_a_dataset_of_files_is_mounted_and_found_by_run_input_datasets(project):
    made = pipeline(project, input_datasets={"--images": "cats"})
    node = job(project, made, file_datasets=["cats"])["jobs"]["pre_pare_1"]
    assert node["inputs"]["cats"] == {"type": "uri_folder", "path": "${{parent.inputs.cats}}", "mode": "ro_mount"}
    shown = node["command"].replace("python prepare.py", "sh -c 'echo $AZUREML_DATASET_ENVIRONMENT_VARS $cats'")
    assert shell(shown.replace("${{inputs.cats}}", "/mnt/x")) == "cats:mount /mnt/x\n"
    assert job(project, made, file_datasets=["cats"], shim=False)["jobs"]["pre_pare_1"]["command"].startswith(
        "python"
    )


def test_a_table_is_an_mltable_and_needs_a_hand(project):
    made = pipeline(project, input_datasets={"--data": "sales"}).to_v2(project / "v2")
    found = parsing.read(project / "v2" / "pipeline.yml").data
    assert found["inputs"]["sales"] == {"type": "mltable", "path": "azureml:sales@latest"}
    assert found["jobs"]["pre_pare_1"]["inputs"]["sales"]["mode"] == "direct"
    assert any("mltable.load(<value of --data>)" in note.text for note in made.by_hand)


def test_a_step_that_is_not_reused_is_a_component_that_is_not_deterministic(project):
    node = job(project, pipeline(project, allow_reuse=False))["jobs"]["pre_pare_1"]
    assert node["component"]["is_deterministic"] is False
    assert node["component"]["outputs"] == {"output_folder": {"type": "uri_folder"}}
    assert "command" not in node


def test_retries_and_warm_are_told_of(project):
    made = pipeline(project, retries=2, warm=False).to_v2(project / "v2")
    assert any(note.what == "step Pré-pare 1: retries: 2" for note in made.by_hand)
    assert any(note.what == "warm" for note in made.taken)
    assert "retries: 2" in (project / "v2" / "REPORT.md").read_text()


def test_writing_again_changes_nothing(project):
    made = pipeline(project, step_config={"b": 1, "a": 2})
    made.to_v2(project / "v2")
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (project / "v2").iterdir()}
    again = made.to_v2(project / "v2")
    assert again.changes.written == again.changes.removed == ()
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (project / "v2").iterdir()} == before


def test_files_of_others_are_not_overwritten(project):
    made = pipeline(project)
    (project / "v2").mkdir()
    (project / "v2" / "compute.yml").write_text("name: mine\n")
    with pytest.raises(FolderTaken, match=r"compute\.yml.*--force"):
        made.to_v2(project / "v2")
    assert [file.name for file in (project / "v2").iterdir()] == ["compute.yml"]
    made.to_v2(project / "v2", force=True)
    (project / "v2" / "pipeline.yml").write_text("# changed by hand\n")
    with pytest.raises(FolderTaken, match=r"pipeline\.yml"):
        made.to_v2(project / "v2")


def test_a_schedule_that_is_no_longer_asked_for_is_taken_away(project):
    made = pipeline(project)
    made.to_v2(project / "v2", schedule={"schedule": "Day", "interval": 1})
    assert made.to_v2(project / "v2").changes.removed == ("schedule.yml",)
    assert not (project / "v2" / "schedule.yml").exists()


@pytest.mark.parametrize(
    ("wanted", "trigger"),
    [
        (
            {"schedule": "Week", "interval": 2, "hours": [10], "week_days": ["Monday"], "time_zone": "Europe/Paris"},
            {
                "frequency": "week",
                "interval": 2,
                "schedule": {"hours": [10], "minutes": [0], "week_days": ["monday"]},
                "time_zone": "Romance Standard Time",
            },
        ),
        (
            {"schedule": "Hour", "interval": 6, "start_time": "2030-01-02T03:04:05"},
            {"frequency": "hour", "interval": 6, "start_time": "2030-01-02T03:04:05", "time_zone": "UTC"},
        ),
    ],
)
def test_a_recurrence_becomes_a_trigger(project, wanted, trigger):
    pipeline(project).to_v2(project / "v2", schedule=wanted)
    found = parsing.read(project / "v2" / "schedule.yml").data
    assert found["trigger"] == {"type": "recurrence", **trigger}
    assert found["create_job"] == "./pipeline.yml"


def test_a_schedule_for_blobs_needs_a_choice(project):
    made = pipeline(project)
    watch = {"schedule": "On_blob_change", "datastore_name": "raw", "polling_interval": 7}
    with pytest.raises(BadSchedule, match=r"poll .*event-grid"):
        made.to_v2(project / "v2", schedule=watch)
    assert not (project / "v2").exists()
    polled = made.to_v2(project / "v2", schedule=watch, blob_change="poll")
    trigger = parsing.read(project / "v2" / "schedule.yml").data["trigger"]
    assert trigger == {"type": "recurrence", "frequency": "minute", "interval": 7}
    assert any("whether or not a blob has changed" in note.text for note in polled.by_hand)
    grid = made.to_v2(project / "v2", schedule=watch, blob_change="event-grid")
    assert not (project / "v2" / "schedule.yml").exists()
    assert any("Microsoft.Storage.BlobCreated" in note.text for note in grid.by_hand)


@pytest.mark.parametrize(
    "config",
    [
        {"storage": KEY},
        {"deep": [{"url": "https://a.blob.core.windows.net/c?sv=1&sig=abcdefghijk"}]},
        {"c": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdefghijkl"},
        {"db": {"password": "hunter2"}},
    ],
)
def test_a_key_is_never_written(project, config):
    with pytest.raises(BadPipeline, match="Key Vault") as told:
        pipeline(project, step_config=config).to_v2(project / "v2")
    assert not any(secret in str(told.value) for secret in (KEY, "abcdefgh", "hunter2"))
    assert not (project / "v2").exists()


def test_the_value_of_a_variable_that_holds_a_key_is_never_written(project, monkeypatch):
    monkeypatch.setenv("SERVICE_SECRET_KEY", "open sesame")
    with pytest.raises(
        BadPipeline, match=r"step_config\.key looks like the value of the variable SERVICE_SECRET_KEY"
    ):
        pipeline(project, step_config={"key": "say open sesame"}).to_v2(project / "v2")
    assert not (project / "v2").exists()


def test_names_that_only_sound_like_keys_are_no_keys(project):
    pipeline(project, step_config={"tokenizer": "bert", "max_tokens": "12", "key": "column"}).to_v2(project / "v2")


def test_what_sdk_v2_would_put_a_value_for_is_refused(project):
    with pytest.raises(BadPipeline, match=r"step_config: 'x \$\{\{inputs.y\}\}'"):
        pipeline(project, step_config={"a": ["x ${{inputs.y}}"]}).to_v2(project / "v2")


def test_environment_and_compute_are_what_was_given(project):
    pipeline(project).to_v2(
        project / "v2",
        environment={"dependencies": ["scikit-learn==1.5"], "docker_image": "mine:1", "python_version": "3.11"},
        compute={"compute_size": "STANDARD_NC6", "compute_max_nodes": 4, "vm_priority": "lowpriority"},
    )
    environment = parsing.read(project / "v2" / "environment.yml").data
    assert environment["image"] == "mine:1"
    pip = ["scikit-learn==1.5", "azureml-defaults"]
    assert environment["conda_file"]["dependencies"] == ["python=3.11", "pip", {"pip": pip}]
    compute = parsing.read(project / "v2" / "compute.yml").data
    assert (compute["size"], compute["tier"], compute["max_instances"]) == ("STANDARD_NC6", "low_priority", 4)


def test_a_conda_file_gets_the_python_that_was_given(project):
    (project / "conda.yml").write_text("dependencies:\n- python >=3.8\n- python-dateutil\n- pip:\n  - six\n")
    given = {"conda_file": project / "conda.yml", "python_version": "3.11"}
    pipeline(project).to_v2(project / "v2", environment=given)
    environment = parsing.read(project / "v2" / "environment.yml").data
    assert environment["conda_file"]["dependencies"] == ["python=3.11", "python-dateutil", {"pip": ["six"]}]


def test_a_login_in_the_address_of_a_package_is_not_exported(project):
    line = "six @ https://me:pass-3Fz9@example.org/six-1.16.0-py3-none-any.whl"
    with pytest.raises(BadPipeline, match="has a login or a token in its address") as caught:
        pipeline(project).to_v2(project / "v2", environment={"dependencies": [line]})
    assert "pass-3Fz9" not in str(caught.value)


def test_without_packages_those_that_the_scripts_import_are_written_and_told_of(project):
    made = pipeline(project).to_v2(project / "v2")
    dependencies = parsing.read(project / "v2" / "environment.yml").data["conda_file"]["dependencies"]
    assert dependencies[-1] == {"pip": ["azureml-defaults", "pandas"]}
    assert any(note.what == "environment.yml: packages" for note in made.taken)


def test_a_step_with_an_environment_and_a_cluster_of_its_own_gets_files_of_their_own(project):
    found = job(project, pipeline(project, env_name="gpu-env", compute_name="gpu"))
    assert found["jobs"]["pre_pare_1"]["environment"] == "azureml:gpu-env@latest"
    assert found["jobs"]["pre_pare_1"]["compute"] == "azureml:gpu"
    assert parsing.read(project / "v2" / "environment-gpu-env.yml").data["name"] == "gpu-env"
    assert parsing.read(project / "v2" / "compute-gpu.yml").data["name"] == "gpu"


def test_an_unknown_choice_is_told_with_what_there_is(project):
    with pytest.raises(BadArgument, match="compute has no 'vm_size'"):
        pipeline(project).to_v2(project / "v2", compute={"vm_size": "x"})
    with pytest.raises(BadPipeline, match="No step has the dataset 'nope'"):
        pipeline(project).to_v2(project / "v2", file_datasets=["nope"])


def test_datasets_whose_names_differ_only_in_case_have_an_input_each(project):
    config = {
        "ws_name": "w",
        "resource_group": "g",
        "subscription_id": "local",
        "env_name": "e",
        "compute_name": "c",
        "steps": [
            {
                "step_name": "a",
                "script_name": "x",
                "script_directory": str(project),
                "input_datasets": {"--x": "Train", "--y": "train"},
            }
        ],
    }
    (project / "x.py").write_text("import sys\n")
    PipelineWrapper.from_config(config).to_v2(project / "v2", file_datasets=["Train", "train"])
    text = (project / "v2" / "pipeline.yml").read_text()
    assert 'Train="${{inputs.Train}}" train="${{inputs.train_}}"' in text
    assert "${{inputs.train}}" not in text


def test_exporting_imports_no_sdk(project):
    pipeline(project)
    program = (
        "import sys\n"
        "from azureml_wrapper import PipelineWrapper\n"
        f"PipelineWrapper.from_config({str(project / 'config.json')!r}).to_v2({str(project / 'v2')!r})\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('azureml', 'azure')])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("step", "node"),
    [("First", "first"), ("data-prep", "data_prep"), ("1st", "step_1st"), ("é", "e"), ("日", "step")],
)
def test_names_become_those_that_azure_ai_ml_takes(step, node):
    assert as_node(step) == node


def test_two_steps_never_get_one_name():
    assert node_names(["a b", "a-b", "A_B"]) == {"a b": "a_b", "a-b": "a_b_2", "A_B": "a_b_3"}
