"""What azure-ai-ml lets pass in files of `az ml`: found, with file and line."""

from __future__ import annotations

import re

import pytest

from azureml_wrapper.v2.lint import kind_of, lint

PIPELINE = """\
type: pipeline
inputs:
  data: {type: uri_folder, path: azureml:data@latest}
jobs:
  first:
    command: python a.py ${{inputs.data}} ${{outputs.made}}
    inputs:
      data: ${{parent.inputs.data}}
    outputs:
      made: {type: uri_folder}
  second:
    command: python b.py --folder ${{inputs.folder}}
    inputs:
      folder: ${{parent.jobs.first.outputs.made}}
"""
COMPUTE = "name: cpu\ntype: amlcompute\nsize: STANDARD_DS3_V2\nmin_instances: 0\nmax_instances: 4\n"
SCHEDULE = "name: s\ntrigger:\n  type: recurrence\n  start_time: '2030-01-01T00:00:00'\ncreate_job: ./job.yml\n"
SWEEP = """\
type: sweep
search_space:
  lr: {type: choice, values: [1]}
trial:
  command: python a.py --lr ${{search_space.lr}} --data ${{inputs.data}}
inputs:
  data: {type: uri_file, path: a.csv}
"""


def found(folder, text):
    file = folder / "file.yml"
    file.write_text(text)
    error = lint(file)
    return None if error is None else str(error).removeprefix(str(file))


@pytest.mark.parametrize("text", [PIPELINE, COMPUTE, SCHEDULE, SWEEP, "name: e\nimage: ubuntu\n"])
def test_nothing_is_found_in_what_is_right(tmp_path, text):
    (tmp_path / "job.yml").write_text(PIPELINE)
    assert found(tmp_path, text) is None


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("--folder ${{inputs.folder}}", "${{inputs.foldr}}", "line 12: .*an unknown input. Did you mean 'folder'"),
        ("${{outputs.made}}", "${{outputs.mode}}", "line 6: .*an unknown output"),
        ("a.py ${{inputs.data}}", "a.py ${{parent.inputs.data}}", "line 6: .*a command can only use"),
        (
            "data: ${{parent.inputs.data}}",
            "data: ${{parent.inputs.date}}",
            "line 8: .*an unknown input of the pipeline",
        ),
        ("data: ${{parent.inputs.data}}", "data: ${{inputs.data}}", "line 8: .*is bound to"),
        ("parent.jobs.first.", "parent.jobs.frist.", "line 14: .*no job 'frist'. Did you mean 'first'"),
        ("first.outputs.made", "first.outputs.other", "line 14: .*an unknown output of first. There are: made"),
        ("${{parent.inputs.data}}", "${{parent.jobs.second.outputs.x}}", "wait for each other in a cycle"),
        ("  second:", "  Second-Step:", "line 11: Invalid job name 'Second-Step'"),
        ("  second:", "  first:", "line 11: Duplicate key first"),
    ],
)
def test_a_pipeline_s_mistake_is_found_on_its_line(tmp_path, right, wrong, message):
    assert right in PIPELINE
    assert re.search(message, found(tmp_path, PIPELINE.replace(right, wrong, 1)))


def test_a_cycle_does_not_blame_the_jobs_that_only_wait_for_it(tmp_path):
    waits = "\n  {}:\n    command: echo ${{{{inputs.x}}}}\n    inputs:\n      x: ${{{{parent.jobs.{}.outputs.y}}}}"
    jobs = "".join(waits.format(*pair) for pair in (("a", "b"), ("b", "c"), ("c", "b"), ("d", "c")))
    outputs = jobs.replace("    inputs:", "    outputs:\n      y: {type: uri_folder}\n    inputs:")
    told = found(tmp_path, f"type: pipeline\njobs:{outputs}\n")
    assert "line 9: The jobs b, c wait for each other in a cycle." in told


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("size: STANDARD_DS3_V2\n", "", "size is missing"),
        ("min_instances: 0", "min_instances: 9", "line 4: min_instances is 9, more than max_instances, 4"),
    ],
)
def test_a_cluster_s_mistake_is_found(tmp_path, right, wrong, message):
    assert re.search(message, found(tmp_path, COMPUTE.replace(right, wrong)))


def test_an_offset_that_would_be_dropped_and_a_job_that_is_not_there_are_found(tmp_path):
    told = found(tmp_path, SCHEDULE.replace("T00:00:00", "T00:00:00+01:00"))
    assert "line 4: trigger.start_time" in told
    assert "line 5: create_job is './job.yml'" in told


def test_an_unknown_input_of_a_trial_is_found(tmp_path):
    assert "line 5" in found(tmp_path, SWEEP.replace("${{search_space.lr}}", "${{search_space.rl}}"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"type": "amlcompute"}, "compute"),
        ({"type": "azure_blob"}, "datastore"),
        ({"image": "x"}, "environment"),
        ({"command": "x"}, "job"),
        ({"command": "x", "image": "y"}, "job"),
        ({"trigger": {}}, "schedule"),
    ],
)
def test_a_file_s_noun_follows_from_its_keys(data, kind):
    assert kind_of(data) == kind


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Not a file of `az ml`: must be a mapping of keys."),
        ("- command: python a.py\n", "Not a file of `az ml`: must be a mapping of keys."),
        (
            "step1: {type: MpiStep, name: a}\n",
            "Not a file of `az ml`: has none of the keys $schema, command, component, name, type.",
        ),
        (PIPELINE.replace("      made: {type: uri_folder}\n", "      - made\n"), "an unknown output of first"),
    ],
)
def test_what_is_no_file_of_az_ml_does_not_pass_for_a_right_one(tmp_path, text, told):
    assert told in (found(tmp_path, text) or "")
