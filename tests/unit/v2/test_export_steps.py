"""Pipeline configuration files as SDK v2's YAML."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from azureml_wrapper import PipelineWrapper
from azureml_wrapper.config import parsing
from azureml_wrapper.errors import BadArgument, BadPipeline, MissingKey

WORKSPACE = {
    "subscription_id": "11111111-2222-3333-4444-555555555555",
    "resource_group": "g",
    "workspace_name": "w",
}
RAW = {
    "input_datareference_path": "raw/",
    "input_datareference_name": "raw_data",
    "input_dataset_name": "surveys",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("from azureml.core import Run\n")
    (tmp_path / "src" / "requirements.txt").write_text("torch==2.4\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_NAME", "cpu")
    return tmp_path


def step(name, kind="PythonScriptStep", **more):
    return {"type": kind, "name": name, "script": "a.py", "source_directory": "src", **more}


def pipeline(project, *steps):
    (project / "pipeline.json").write_text(json.dumps({f"step{n}": each for n, each in enumerate(steps, 1)}))
    return PipelineWrapper.from_config("pipeline.json", ws_config=WORKSPACE)


def exported(project, *steps, **choices):
    pipeline(project, *steps).to_v2(project / "v2", **choices)
    return parsing.read(project / "v2" / "pipeline.yml").data


def test_a_step_reads_its_place_of_a_datastore_and_the_next_one_its_output(project):
    found = exported(project, step("a", **RAW, output="made", arguments=["--n", 3, "it's $HOME"]), step("b"))
    assert found["settings"]["default_compute"] == "azureml:cpu"
    first, second = found["jobs"]["a"], found["jobs"]["b"]
    assert first["inputs"]["raw_data"] == {
        "type": "uri_folder",
        "path": "azureml://datastores/surveys/paths/raw/",
        "mode": "ro_mount",
    }
    assert first["command"] == (
        """python a.py --n 3 'it'"'"'s $HOME' --input_data ${{inputs.raw_data}} --output ${{outputs.made}}"""
    )
    assert second["inputs"] == {"input_data": "${{parent.jobs.a.outputs.made}}"}
    assert second["command"] == "python a.py --input_data ${{inputs.input_data}}"
    assert first["code"] == second["code"] == "../src"


def test_a_place_without_datastore_is_that_of_the_step_before_else_the_workspaces_own(project):
    place = {"input_datareference_path": "more/table.csv"}
    found = exported(project, step("a", **place), step("b", **RAW), step("c", **place))
    own = found["jobs"]["a"]["inputs"]["input_data"]
    assert own["path"] == "azureml://datastores/workspaceblobstore/paths/more/table.csv"
    assert own["type"] == "uri_file"
    assert "datastores/surveys/" in found["jobs"]["c"]["inputs"]["input_data"]["path"]


def test_an_order_without_data_becomes_an_input_that_no_script_gets(project):
    made = pipeline(project, step("a"), step("b", **RAW, output="made"), step("c", **RAW), step("d")).to_v2("v2")
    jobs = parsing.read(project / "v2" / "pipeline.yml").data["jobs"]
    assert jobs["a"]["outputs"] == {"finished": {"type": "uri_folder", "mode": "rw_mount"}}
    after = {"type": "uri_folder", "path": "${{parent.jobs.a.outputs.finished}}", "mode": "direct"}
    assert jobs["b"]["inputs"]["after_a"] == after
    # What is there anyway does as well as an output made for this alone.
    assert jobs["c"]["inputs"]["after_b"]["path"] == "${{parent.jobs.b.outputs.made}}"
    # It reads what b has made, and waits for c.
    assert jobs["d"]["inputs"]["input_data"] == "${{parent.jobs.b.outputs.made}}"
    assert jobs["d"]["inputs"]["after_c"]["path"] == "${{parent.jobs.c.outputs.finished}}"
    assert "outputs" not in jobs["d"]
    assert "after" not in "".join(job["command"] for job in jobs.values())
    assert any(note.what == "steps one after the other" for note in made.taken)
    assert "| its place in the order, without data | an input bound to `a`, which nothing reads |" in (
        (project / "v2" / "REPORT.md").read_text()
    )


def test_an_mpi_step_has_its_nodes_and_processes(project):
    node = exported(project, step("t", "MpiStep", node_count=3, processes_per_node=2))["jobs"]["t"]
    assert node["distribution"] == {"type": "mpi", "process_count_per_instance": 2}
    assert node["resources"] == {"instance_count": 3}
    compute = parsing.read(project / "v2" / "compute.yml").data
    assert (compute["size"], compute["min_instances"], compute["max_instances"]) == ("Standard_NC6", 0, 3)


def test_an_environment_is_what_requirements_and_base_image_say(project):
    jobs = exported(
        project,
        step("a", requirements="src/requirements.txt"),
        step("b", base_image="pytorch/pytorch"),
        step("c", base_image="pytorch/pytorch", requirements="src/requirements.txt"),
        environment={"python_version": "3.11"},
    )["jobs"]
    conda = {
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11", "pip", {"pip": ["torch==2.4", "azureml-defaults"]}],
    }
    assert jobs["a"]["environment"]["conda_file"] == conda
    assert jobs["b"]["environment"] == {"image": "pytorch/pytorch"}
    assert jobs["c"]["environment"] == {"image": "pytorch/pytorch", "conda_file": conda}


def test_a_parallel_run_step_becomes_a_parallel_job(project):
    parallel = step(
        "score",
        "ParallelRunStep",
        **RAW,
        output="rows",
        mini_batch_size=5,
        error_threshold=2,
        node_count=2,
        processes_per_node=4,
        run_max_try=2,
        append_row_file_name="rows.txt",
        arguments=["--word", "two words"],
    )
    made = pipeline(project, parallel, step("next")).to_v2("v2")
    jobs = parsing.read(project / "v2" / "pipeline.yml").data["jobs"]
    node = jobs["score"]
    assert (node["mini_batch_size"], node["error_threshold"], node["max_concurrency_per_instance"]) == ("5", 2, 4)
    assert node["resources"] == {"instance_count": 2}
    assert node["retry_settings"] == {"max_retries": 1, "timeout": 60}
    assert node["input_data"] == "${{inputs.raw_data}}"
    assert node["task"]["entry_script"] == "a.py"
    assert node["task"]["program_arguments"] == "--word 'two words'"
    assert node["task"]["append_row_to"] == "${{outputs.rows}}"
    assert node["outputs"]["rows"]["type"] == "uri_file"
    assert jobs["next"]["inputs"] == {"input_data": "${{parent.jobs.score.outputs.rows}}"}
    assert any("the folder of that file, rows.txt" in note.text for note in made.by_hand)
    assert any(note.what == "step score: append_row_file_name" for note in made.taken)


def test_a_step_that_is_not_reused_is_a_component_that_is_not_deterministic(project):
    jobs = exported(project, step("a", output="made", allow_reuse=False), step("b", allow_reuse=False))["jobs"]
    assert jobs["a"]["component"]["is_deterministic"] is False
    assert jobs["a"]["component"]["outputs"] == {"made": {"type": "uri_folder"}}
    assert jobs["b"]["component"]["inputs"] == {"input_data": {"type": "uri_folder"}}
    assert jobs["b"]["inputs"] == {"input_data": "${{parent.jobs.a.outputs.made}}"}


def test_the_cluster_is_that_of_the_variables_and_the_choices(project, monkeypatch):
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_SKU", "STANDARD_D2")
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_MAX_NODES", "7")
    exported(project, step("a"), compute={"compute_min_nodes": 1})
    compute = parsing.read(project / "v2" / "compute.yml").data
    assert (compute["size"], compute["min_instances"], compute["max_instances"]) == ("STANDARD_D2", 1, 7)


def test_a_size_that_azure_has_retired_needs_a_hand_unless_another_is_given(project):
    made = pipeline(project, step("a"))
    assert [note.what for note in made.to_v2("v2").by_hand] == ["compute.yml: size"]
    assert made.to_v2("v2", compute={"compute_size": "STANDARD_D2"}).by_hand == ()


def test_without_a_clusters_name_nothing_is_written(project, monkeypatch):
    monkeypatch.delenv("AML_COMPUTE_CLUSTER_NAME")
    with pytest.raises(MissingKey, match="AML_COMPUTE_CLUSTER_NAME is not set"):
        exported(project, step("a"))
    assert not (project / "v2").exists()


def test_writing_again_changes_nothing(project):
    made = pipeline(project, step("a", **RAW, output="made"), step("b"))
    made.to_v2("v2", schedule={"schedule": "Day", "interval": 1}, experiment_name="e")
    changes = made.to_v2("v2", schedule={"schedule": "Day", "interval": 1}, experiment_name="e").changes
    assert changes.written == changes.removed == ()
    assert set(changes.unchanged) == {"pipeline.yml", "compute.yml", "schedule.yml", "config.json", "REPORT.md"}
    assert parsing.read(project / "v2" / "config.json").data == WORKSPACE


@pytest.mark.parametrize("words", [["--password", "hunter2"], ["--password=hunter2"]])
def test_a_key_is_never_written(project, words):
    with pytest.raises(BadPipeline, match=r"Step 'a', arguments\.--password looks like a password") as told:
        exported(project, step("a", arguments=words))
    assert "hunter2" not in str(told.value)
    assert not (project / "v2").exists()


def test_what_sdk_v2_cannot_have_is_refused_by_name(project):
    with pytest.raises(BadPipeline, match=r"Step 'a', arguments: '\$\{\{inputs.x\}\}'"):
        exported(project, step("a", arguments=["--x", "${{inputs.x}}"]))
    sized = step("p", "ParallelRunStep", **RAW, output_action="summary_only", mini_batch_size="1MB")
    with pytest.raises(BadPipeline, match="mini_batch_size is '1MB'"):
        exported(project, sized)


def test_choices_that_such_files_make_themselves_are_refused(project):
    made = pipeline(project, step("a"))
    with pytest.raises(BadArgument, match="change requirements or base_image"):
        made.to_v2("v2", environment={"dependencies": ["numpy"], "python_version": "3.11"})
    with pytest.raises(BadArgument, match="no registered datasets"):
        made.to_v2("v2", file_datasets=["cats"])
    with pytest.raises(BadArgument, match="no registered datasets"):
        made.to_v2("v2", shim=False)


def test_the_report_names_what_scripts_use_of_sdk_v1(project):
    exported(project, step("a"))
    assert "| 1 | `from azureml.core import Run` |" in (project / "v2" / "REPORT.md").read_text()


def test_exporting_imports_no_sdk(project):
    pipeline(project, step("a", **RAW, output="made", requirements="src/requirements.txt"), step("b"))
    program = (
        "import sys\n"
        "from azureml_wrapper import PipelineWrapper\n"
        f"PipelineWrapper.from_config('pipeline.json', ws_config={WORKSPACE!r}).to_v2('v2')\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('azureml', 'azure')])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
