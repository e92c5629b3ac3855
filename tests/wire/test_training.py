"""Pipeline configuration files on the local Azure ML: TrainPipeline and PipelineWrapper.from_config."""

from __future__ import annotations

import base64
import json
import textwrap
from pathlib import Path

import pytest
from azureml.core import Datastore, Experiment
from azureml.core.compute import ComputeTarget
from azureml.core.conda_dependencies import CondaDependencies
from azureml.pipeline.core import Pipeline
from click.testing import CliRunner

from azureml_wrapper import BasePipeline, PipelineWrapper, RunWrapper, TrainPipeline
from azureml_wrapper.cli.main import aml
from azureml_wrapper.errors import BadPipeline, MissingKey, RunFailed
from azureml_wrapper.pipeline_files.variables import set_up_datastore
from tests.programs import need_mpirun

pytestmark = pytest.mark.local_only

# The configuration of the documentation of these files, to the letter.
TRAIN = """\
{
    "step1":
    {
        "type": "MpiStep",
        "name": "train step",
        "script": "train.py",
        "input_datareference_path": "normalized_data/",
        "input_datareference_name": "normalized_data_conditioned",
        "input_dataset_name": "normalizeddataconditioned",
        "source_directory": "train/",
        "arguments": ["--splits", "splits",
        "--train_data_paths", "normalized_data/file.npy",
        "--label_paths", "label.npy"],
        "requirements": "train/requirements.txt",
        "node_count": 1,
        "processes_per_node": 1,
        "base_image": "pytorch/pytorch"
    }
}
"""
# The other one is a template; this is the template filled in, with every key, and a second step.
FILLED = """\
{
    "step1":
    {
        "type": "PythonScriptStep",
        "name": "prepare step",
        "script": "train.py",
        "output": "prepared",
        "input_datareference_path": "normalized_data/",
        "input_datareference_name": "normalized_data_conditioned",
        "input_dataset_name": "normalizeddataconditioned",
        "source_directory": "train/",
        "arguments": "--splits splits",
        "requirements": "train/requirements.txt",
        "node_count": "1",
        "processes_per_node": "1",
        "base_image": "pytorch/pytorch"
    },

    "step2":
    {
        "type": "PythonScriptStep",
        "name": "evaluate step",
        "script": "train.py",
        "source_directory": "train/"
    }
}
"""
SCRIPT = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument('--input_data', type=str, help='path to preprocessed data')
parser.add_argument('--output', type=str, help='output from training')
given, others = parser.parse_known_args()
names = sorted(os.listdir(given.input_data)) if given.input_data else None
if given.output:
    pathlib.Path(given.output).mkdir(parents=True, exist_ok=True)
    pathlib.Path(given.output, "model.txt").write_text("model")
print("SAID", json.dumps({"absolute": os.path.isabs(given.input_data or ""), "names": names, "others": others}))
"""
SCORE = """
import os
def init():
    pass
def run(mini_batch):
    return [f"{os.path.basename(file)} of {len(mini_batch)}" for file in mini_batch]
"""


@pytest.fixture
def project(tmp_path, monkeypatch, unique):
    """The files that the examples name, and the variables that go with them."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train.py").write_text(SCRIPT)
    (tmp_path / "train" / "score.py").write_text(SCORE)
    (tmp_path / "train" / "requirements.txt").write_text("# none but what is there\n")
    key = base64.b64encode(unique("key").encode() * 5).decode()
    lines = (f"BLOB_ACCOUNT_NAME={unique('acc')}", "BLOB_CONTAINER_NAME=raw-data", f"BLOB_ACCOUNT_KEY={key}")
    cluster = (f"AML_COMPUTE_CLUSTER_NAME={unique('c')}", "BLOB_SUB_ID=local")
    (tmp_path / ".env").write_text("\n".join(lines + cluster))
    return tmp_path


@pytest.fixture
def datastore(unique):
    """A name that no other test has: the tests of a process share a workspace."""
    return unique("normalizeddataconditioned")


@pytest.fixture
def write(project, datastore, ws):
    """Writes a config, and the data that it reads into the datastore that the variables name."""

    def make(text, name="pipeline.json"):
        (project / name).write_text(text.replace('"normalizeddataconditioned"', f'"{datastore}"'))
        made = TrainPipeline(name, workspace=ws)
        store = made.set_up_datastore(datastore)
        (project / "file.npy").write_text("1")
        store.upload_files([str(project / "file.npy")], target_path="normalized_data", show_progress=False)
        return made

    return make


def said(run, step):
    (line,) = [line for line in run.logs(step).splitlines() if line.startswith("SAID ")]
    return json.loads(line.removeprefix("SAID "))


@pytest.mark.slow
def test_the_documented_example_runs_as_it_stands(write, ws, unique, reported, datastore):
    pipeline = write(TRAIN)
    pipeline.construct_pipeline()
    experiment = unique("DEV-train-pipeline")
    run = pipeline.run_pipeline(experiment_name=experiment, tags={"kind": "dev"})
    told = reported()
    run.wait()
    assert said(run, "train step") == {
        "absolute": True,
        "names": ["file.npy"],
        "others": json.loads(TRAIN)["step1"]["arguments"],
    }
    assert run.raw.experiment.name == experiment
    assert run.raw.tags["kind"] == "dev"
    # Both ids, for whoever wants to cancel.
    assert f"Run {run.id}\n" in told
    assert f"Step 'train step': {run.steps['train step'].id}\n" in told
    assert f"aml cancel {run.id}" in told
    assert Datastore.get(ws, datastore).container_name == "raw-data"


def by_from_config(ws, experiment):
    PipelineWrapper.from_config("pipeline.json", workspace=ws).run(experiment)


def by_train_pipeline(ws, experiment):
    TrainPipeline("pipeline.json", workspace=ws).run_pipeline(experiment).wait()


def by_aml_run(ws, experiment):
    Path(".azureml").mkdir()
    ws.write_config(str(Path.cwd()))
    done = CliRunner().invoke(aml, ["run", "pipeline.json", "-e", experiment], catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("run", [by_from_config, by_train_pipeline, by_aml_run])
@pytest.mark.parametrize("text", [TRAIN, FILLED], ids=["documented", "template"])
def test_both_examples_run_whichever_way_they_are_read(write, ws, unique, text, run):
    write(text)
    experiment = unique("exp")
    run(ws, experiment)
    (submitted,) = Experiment(ws, experiment).get_runs()
    names = [step["name"] for step in json.loads(text).values()]
    steps = RunWrapper(submitted).steps
    assert {name: step.status for name, step in steps.items()} == dict.fromkeys(names, "Completed")


@pytest.mark.slow
def test_the_template_filled_in_runs_its_steps_one_after_the_other(write, unique, ws):
    write(FILLED)
    pipeline = PipelineWrapper.from_config("pipeline.json", workspace=ws)
    run = pipeline.run(unique("exp"))
    assert said(run, "prepare step")["names"] == ["file.npy"]
    assert said(run, "prepare step")["others"] == ["--splits", "splits"]
    # What the step before has written as its output; no --output, for the config names none.
    assert said(run, "evaluate step") == {"absolute": True, "names": ["model.txt"], "others": []}
    again = pipeline.run(unique("exp"))
    assert [step.reused_from for step in again.steps.values()] == [step.id for step in run.steps.values()]


@pytest.mark.slow
def test_steps_that_share_no_data_run_one_after_the_other_too(project, ws, unique):
    """The second one fails unless the first has ended."""
    mark = project / "mark"
    (project / "train" / "first.py").write_text(f"import time; time.sleep(1); open({str(mark)!r}, 'w').close()")
    (project / "train" / "second.py").write_text(f"open({str(mark)!r})")
    steps = {
        name: {"type": "PythonScriptStep", "name": name, "script": f"{name}.py", "source_directory": "train"}
        for name in ("first", "second")
    }
    PipelineWrapper.from_config(steps, workspace=ws).run(unique("exp"))
    assert mark.exists()


def test_steps_that_name_no_reference_read_their_own_places(project, ws):
    def step(name, **where):
        return {"type": "PythonScriptStep", "name": name, "script": "train.py", "source_directory": "train", **where}

    steps = {
        "a": step("a", input_datareference_path="raw"),
        "b": step("b", input_datareference_path="clean"),
        "c": step("c", input_datareference_path="raw"),
        "d": step("d", input_datareference_path="labels", input_datareference_name="input_data_2"),
    }
    found = [made._inputs[0] for made in TrainPipeline(steps, workspace=ws).build_steps()]
    assert [each.path_on_datastore for each in found] == ["raw", "clean", "raw", "labels"]
    assert [each.data_reference_name for each in found] == [
        "input_data",
        "input_data_3",
        "input_data",
        "input_data_2",
    ]


@pytest.mark.slow
def test_an_mpi_step_runs_as_many_processes_as_it_says(project, ws, unique):
    need_mpirun()
    (project / "train" / "rank.py").write_text(
        "import os; print('RANK', os.environ['OMPI_COMM_WORLD_RANK'], 'of', os.environ['OMPI_COMM_WORLD_SIZE'])"
    )
    step = {"type": "MpiStep", "name": "ranks", "script": "rank.py", "source_directory": "train"}
    steps = {"step1": {**step, "node_count": 2, "processes_per_node": 2}}
    run = PipelineWrapper.from_config(steps, workspace=ws).run(unique("exp"))
    ranks = sorted(line for line in run.logs().splitlines() if line.startswith("RANK"))
    assert ranks == [f"RANK {rank} of 4" for rank in range(4)]


@pytest.mark.slow
def test_a_parallel_run_step_hands_files_to_run(write, ws, unique, tmp_path, datastore):
    step = {
        "type": "ParallelRunStep",
        "name": "score",
        "script": "score.py",
        "source_directory": "train",
        "input_dataset_name": "normalizeddataconditioned",
        "input_datareference_path": "normalized_data/",
        "output": "scores",
        "mini_batch_size": 1,
        "processes_per_node": 2,
        "append_row_file_name": "scores.txt",
    }
    show = "import argparse, pathlib\np = argparse.ArgumentParser()\np.add_argument('--input_data')\n"
    show += "print('SAID', pathlib.Path(p.parse_args().input_data, 'scores.txt').read_text().split('\\n'))"
    (tmp_path / "train" / "show.py").write_text(show)
    after = {"type": "PythonScriptStep", "name": "show", "script": "show.py", "source_directory": "train"}
    write(json.dumps({"step1": step, "step2": after}))
    run = PipelineWrapper.from_config("pipeline.json", workspace=ws).run(unique("exp"))
    assert "SAID ['file.npy of 1', '']" in run.logs("show")


@pytest.mark.slow
def test_a_parallel_run_step_reads_what_the_step_before_has_written(project, ws, unique):
    """As rows of a file of the default name."""
    first = {"type": "PythonScriptStep", "name": "write", "script": "train.py", "source_directory": "train"}
    score = {"type": "ParallelRunStep", "name": "score", "script": "score.py", "source_directory": "train"}
    steps = {"step1": {**first, "output": "files"}, "step2": {**score, "output": "rows", "mini_batch_size": "5"}}
    run = PipelineWrapper.from_config(steps, workspace=ws).run(unique("exp"))
    place = f"dataset/{run.steps['score'].id}/rows/parallel_run_step.txt"
    ws.get_default_datastore().download("here", place, show_progress=False)
    assert Path("here", place).read_text() == "model.txt of 1\n"


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "fails"), [(0, True), (1, False)])
def test_a_parallel_run_step_fails_with_more_failed_files_than_its_threshold(write, ws, unique, threshold, fails):
    step = {
        "type": "ParallelRunStep",
        "name": "score",
        "script": "fail.py",
        "source_directory": "train",
        "input_dataset_name": "normalizeddataconditioned",
        "input_datareference_path": "normalized_data/file.npy",
        "output_action": "summary_only",
        "error_threshold": threshold,
        "run_max_try": 1,
        "processes_per_node": 1,
        "arguments": ["--reason", "the soup is too hot"],
    }
    Path("train", "fail.py").write_text(
        "import sys\ndef init():\n    pass\n"
        "def run(mini_batch):\n    raise ValueError(sys.argv[sys.argv.index('--reason') + 1])\n"
    )
    write(json.dumps({"step1": step}))
    pipeline = PipelineWrapper.from_config("pipeline.json", workspace=ws)
    if fails:
        with pytest.raises(RunFailed, match="the soup is too hot"):
            pipeline.run(unique("exp"))
    else:
        assert pipeline.run(unique("exp")).status == "Completed"


def test_a_parallel_run_step_needs_data(project, ws):
    step = {"type": "ParallelRunStep", "name": "score", "script": "score.py", "source_directory": "train"}
    pipeline = TrainPipeline({"step1": {**step, "output": "scores"}}, workspace=ws)
    with pytest.raises(BadPipeline, match="'score' is a ParallelRunStep and has no input"):
        pipeline.construct_pipeline()


class TestSteps:
    """What becomes of the keys, before anything runs."""

    def test_each_step_has_an_environment_of_its_own(self, project, ws):
        (project / "train" / "requirements.txt").write_text("numpy==1.26.4  # pinned\n\n# none\nscipy\n")
        steps = {
            "step1": {"requirements": "train/requirements.txt", "base_image": "pytorch/pytorch", "name": "first one"},
            "step2": {"name": "second"},
        }
        common = {"type": "MpiStep", "script": "train.py", "source_directory": "train"}
        pipeline = TrainPipeline({key: {**common, **step} for key, step in steps.items()}, workspace=ws)
        own = [step.environment for step in pipeline.definition.steps]
        first, second = (each.packages.define(each.name) for each in own)
        assert first.name == "first_one_environment"
        assert first.docker.base_image == "pytorch/pytorch"
        # Some releases of the SDK pin what they add to every environment (azureml-defaults).
        added = list(CondaDependencies.create().pip_packages)
        assert [package.partition("~=")[0] for package in added] == ["azureml-defaults"]
        assert list(first.python.conda_dependencies.pip_packages) == ["numpy==1.26.4", "scipy", *added]
        assert list(second.python.conda_dependencies.pip_packages) == added


@pytest.mark.slow
def test_the_pipeline_of_a_file_is_published_and_scheduled_as_any_other(project, ws, unique):
    step = {"type": "PythonScriptStep", "name": "a", "script": "train.py", "source_directory": "train"}
    made = PipelineWrapper.from_config({"step1": step}, workspace=ws).register(unique("p"), "", "Day", 1)
    try:
        run = made.trigger().wait()
        assert said(run, "a") == {"absolute": False, "names": None, "others": []}
    finally:
        made.disable()


class TestResources:
    STEP = {"type": "MpiStep", "name": "a", "script": "train.py", "source_directory": "train", "node_count": 3}

    def test_the_cluster_is_made_with_the_documented_defaults(self, project, ws, reported):
        pipeline = TrainPipeline({"step1": self.STEP}, workspace=ws)
        pipeline.construct_pipeline()
        cluster = ComputeTarget(ws, pipeline.variables.cluster().name)
        assert cluster.vm_size.upper() == "STANDARD_NC6"
        scale = cluster.scale_settings
        assert (scale.minimum_node_count, scale.maximum_node_count) == (0, 3)
        assert "Standard_NC6, 0 to 3 nodes" in reported()

    def test_a_cluster_that_is_there_is_used_and_differences_are_told(self, project, ws, reported, monkeypatch):
        TrainPipeline({"step1": self.STEP}, workspace=ws).construct_pipeline()
        monkeypatch.setenv("AML_COMPUTE_CLUSTER_MAX_NODES", "5")
        TrainPipeline({"step1": self.STEP}, workspace=ws).construct_pipeline()
        assert "is not changed: 3, not 5 (MAX_NODES)" in reported()

    def test_more_nodes_than_the_cluster_has(self, project, ws, monkeypatch):
        monkeypatch.setenv("AML_COMPUTE_CLUSTER_MAX_NODES", "2")
        with pytest.raises(BadPipeline, match=r"node_count 3, but cluster .* may have 2 nodes"):
            TrainPipeline({"step1": self.STEP}, workspace=ws).construct_pipeline()

    def test_a_datastore_that_nothing_describes(self, project, ws, unique):
        (project / ".env").write_text(f"AML_COMPUTE_CLUSTER_NAME={unique('c')}")
        step = {**self.STEP, "input_dataset_name": unique("nowhere")}
        with pytest.raises(MissingKey, match="BLOB_ACCOUNT_NAME, BLOB_CONTAINER_NAME, BLOB_ACCOUNT_KEY are not set"):
            TrainPipeline({"step1": step}, workspace=ws).construct_pipeline()

    def test_a_datastore_that_is_there_is_used_and_differences_are_told(
        self, project, ws, unique, reported, monkeypatch
    ):
        name = unique("data")
        variables = TrainPipeline({"step1": self.STEP}, workspace=ws).variables
        set_up_datastore(ws, name, variables)
        assert set_up_datastore(ws, name, variables).container_name == "raw-data"
        assert "another" not in reported()
        monkeypatch.setenv("BLOB_CONTAINER_NAME", "other")
        variables = TrainPipeline({"step1": self.STEP}, workspace=ws).variables
        assert set_up_datastore(ws, name, variables).container_name == "raw-data"
        assert "registered with another container than the BLOB_ variables" in reported()


def test_a_cluster_keeps_as_many_nodes_as_the_variables_say(project, ws, unique, monkeypatch):
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_NAME", unique("c"))
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_MIN_NODES", "3")
    step = {"type": "PythonScriptStep", "name": "one", "script": "train.py", "source_directory": "train"}
    scale = TrainPipeline({"step1": step}, workspace=ws).set_up_compute().scale_settings
    assert (scale.minimum_node_count, scale.maximum_node_count) == (3, 3)


class TestBasePipeline:
    def test_it_wants_a_subclass_that_constructs(self, project, ws):
        with pytest.raises(TypeError, match="construct_pipeline"):
            BasePipeline({}, workspace=ws)

    @pytest.mark.slow
    def test_a_subclass_may_make_of_the_steps_what_it_wants(self, write, ws, unique):
        """Here the first one alone."""

        class Inference(BasePipeline):
            def construct_pipeline(self):
                assert self.set_up_compute().type == "AmlCompute"
                self.pipeline = Pipeline(self.ws, steps=self.build_steps()[:1])

        write(FILLED)
        run = Inference("pipeline.json", workspace=ws).run_pipeline(unique("exp")).wait()
        assert list(run.steps) == ["prepare step"]

    @pytest.mark.slow
    def test_a_failure_is_told_as_of_any_run(self, project, ws, unique):
        (project / "train" / "train.py").write_text(textwrap.dedent("raise ValueError('the soup is too hot')"))
        step = {"type": "PythonScriptStep", "name": "a", "script": "train.py", "source_directory": "train"}
        run = TrainPipeline({"step1": step}, workspace=ws).run_pipeline(unique("exp"))
        with pytest.raises(RunFailed, match="the soup is too hot"):
            run.wait()
