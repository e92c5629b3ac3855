"""MpiStep and ParallelRunStep in a PipelineWrapper's config."""

from __future__ import annotations

import textwrap

import pandas as pd
import pytest

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper
from tests.programs import need_mpirun

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

WRITE = """
from pathlib import Path
from azureml_wrapper import ScriptWrapper
folder = Path(ScriptWrapper().args.output_folder)
for number in range(3):
    (folder / f"{number}.txt").write_text(str(number))
"""
SCORE = """
import argparse, json, os
def init():
    global config
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=json.loads)
    parser.add_argument("--factor", type=int)
    config = vars(parser.parse_known_args()[0])
def run(mini_batch):
    factor = config["factor"] * config["config"]["factor"]
    return [f"{os.path.basename(file)}={factor * int(open(file).read())} of {len(mini_batch)}" for file in mini_batch]
"""
SHOW = """
from pathlib import Path
from azureml_wrapper import ScriptWrapper
for file in Path(ScriptWrapper().args.input_folder).iterdir():
    print("FOUND", file.name, sorted(file.read_text().split("\\n")))
"""
ROWS = """
def init():
    pass
def run(mini_batch):
    return mini_batch.assign(double=mini_batch["number"] * 2)
"""
RANK = """
import os, sys
print("RANK", os.environ["OMPI_COMM_WORLD_RANK"], "of", os.environ["OMPI_COMM_WORLD_SIZE"], *sys.argv[1:3])
"""


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("types_env", [])
    wrapper.register_compute("types-cpu", compute_max_nodes=2)
    return wrapper


@pytest.fixture
def pipeline(workspace, tmp_path):
    scope = workspace.scope
    names = {"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id}

    def make(*steps, **more):
        for script, text in (("write", WRITE), ("score", SCORE), ("show", SHOW), ("rows", ROWS), ("rank", RANK)):
            (tmp_path / f"{script}.py").write_text(textwrap.dedent(text))
        common = {"script_directory": str(tmp_path)}
        listed = [{"step_name": each["script_name"], **common, **each} for each in steps]
        return PipelineWrapper.from_config(
            {**names, "env_name": "types_env", "compute_name": "types-cpu", "steps": listed, **more}
        )

    return make


def test_a_parallel_step_divides_the_folder_of_the_step_before(pipeline, unique):
    score = {
        "script_name": "score",
        "type": "ParallelRunStep",
        "step_config": {"factor": "${{parameters.factor}}"},
        "arguments": {"--factor": "${{parameters.other}}"},
        "mini_batch_size": 2,
        "processes_per_node": 2,
        "append_row_file_name": "scores.txt",
    }
    made = pipeline(
        {"script_name": "write"}, score, {"script_name": "show"}, pipeline_parameters={"factor": 2, "other": 5}
    )
    assert "FOUND scores.txt ['', '0.txt=0 of 2', '1.txt=10 of 2', '2.txt=20 of 1']" in (
        made.run(unique("exp")).logs("show")
    )
    changed = made.run(unique("exp"), parameters={"factor": 3}).logs("show")
    assert "FOUND scores.txt ['', '0.txt=0 of 2', '1.txt=15 of 2', '2.txt=30 of 1']" in changed


def test_a_parallel_step_divides_a_registered_table(workspace, pipeline, unique, tmp_path):
    name = unique("numbers")
    pd.DataFrame({"number": [1, 2]}).to_csv(tmp_path / "numbers.csv", index=False)
    store = workspace.ws.get_default_datastore()
    store.upload_files([str(tmp_path / "numbers.csv")], target_path=name, show_progress=False)
    from azureml.core import Dataset

    Dataset.Tabular.from_delimited_files((store, f"{name}/numbers.csv")).register(workspace.ws, name)
    rows = {"script_name": "rows", "type": "ParallelRunStep", "input_datasets": {"--numbers": name}}
    made = pipeline({**rows, "mini_batch_size": "1KB"}, {"script_name": "show"})
    assert "FOUND parallel_run_step.txt ['', '1 2', '2 4']" in made.run(unique("exp")).logs("show")


def test_a_parallel_step_divides_files_of_a_datastore(workspace, pipeline, unique, tmp_path):
    name = unique("files")
    (tmp_path / "7.txt").write_text("7")
    store = workspace.ws.get_default_datastore()
    store.upload_files([str(tmp_path / "7.txt")], target_path=name, show_progress=False)
    score = {
        "script_name": "score",
        "type": "ParallelRunStep",
        "step_config": {"factor": 1},
        "arguments": {"--factor": 1},
        "input_paths": {"--files": {"datastore": "workspaceblobstore", "path": name}},
        "warm": False,
    }
    made = pipeline(score, {"script_name": "show"})
    assert "FOUND parallel_run_step.txt ['', '7.txt=7 of 1']" in made.run(unique("exp")).logs("show")


def test_an_mpi_step_runs_as_many_processes_as_it_says(pipeline, unique):
    need_mpirun()
    rank = {"script_name": "rank", "type": "MpiStep", "node_count": 2, "arguments": {"--lr": "${{parameters.lr}}"}}
    made = pipeline(rank, pipeline_parameters={"lr": 0.5})
    run = made.run(unique("exp"), parameters={"lr": 0.25})
    ranks = sorted(line for line in run.logs().splitlines() if line.startswith("RANK"))
    assert ranks == ["RANK 0 of 2 --lr 0.25", "RANK 1 of 2 --lr 0.25"]
