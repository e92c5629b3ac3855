"""Definitions: what configs of both kinds become, and the types of steps in a PipelineWrapper's config."""

from __future__ import annotations

import dataclasses
import json

import pytest

from azureml_wrapper import PipelineStep, PipelineWrapper
from azureml_wrapper.config import parsing
from azureml_wrapper.errors import BadPipeline, BadValue
from azureml_wrapper.pipelines.definition import Argument, JsonConfig, Output, Template, Word
from azureml_wrapper.pipelines.loading import load_pipeline

SCOPE = {"ws_name": "w", "resource_group": "g", "subscription_id": "local"}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("import pandas\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AML_COMPUTE_CLUSTER_NAME", "cpu")
    return tmp_path


def step(name="a", **more):
    return {"step_name": name, "script_name": "a", "script_directory": "src", **more}


def config(*steps, **more):
    return {**SCOPE, "env_name": "env", "compute_name": "cpu", "steps": list(steps), **more}


def file(*steps):
    common = {"type": "PythonScriptStep", "script": "a.py", "source_directory": "src"}
    return {f"step{number}": {**common, **each} for number, each in enumerate(steps)}


class TestLoading:
    def test_a_pipeline_s_config_becomes_steps_with_typed_arguments(self, project):
        given = step(step_config={"lr": 1}, arguments={"--tag": "x"}, retries=2)
        first, second = load_pipeline(config(given, step("b"))).definition.steps
        assert first.arguments == (
            Argument("--config", (JsonConfig({"lr": 1}),)),
            Argument("--tag", (Template("x"),)),
        )
        assert (first.script, first.directory, first.retries) == ("a.py", project / "src", 2)
        assert first.output == Output("--output-folder", "output_folder")
        assert (dict(second.reads), second.output) == ({"--input-folder": "a"}, None)

    def test_a_pipeline_configuration_file_becomes_the_same_kind_of_steps(self):
        given = file({"name": "a", "output": "made", "arguments": "x --files 1 2 --last"}, {"name": "b"})
        definition = load_pipeline(given).definition
        first, second = definition.steps
        assert first.arguments == (
            Argument("x"),
            Argument("--files", (Word("1"), Word("2"))),
            Argument("--last"),
        )
        assert first.output == Output("--output", "made")
        assert second.reads == {"--input_data": "a"}
        assert definition.in_sequence
        assert definition.variables.cluster_name == "cpu"

    def test_a_definition_does_not_change(self):
        definition = load_pipeline(config(step())).definition
        with pytest.raises(dataclasses.FrozenInstanceError):
            definition.warm = False

    def test_both_kinds_are_whole_pipelines_with_whole_steps(self):
        for given in (config(step(retries=1)), file({"name": "a", "retries": 1, "warm": False})):
            pipeline = PipelineWrapper.from_config(given, target="local")
            (made,) = pipeline.steps
            assert isinstance(made, PipelineStep)
            assert (made.name, made.script_name, made.retries, made.input_datasets) == ("a", "a.py", 1, {})
            assert pipeline.compute_name == "cpu"
            assert pipeline.retries == {"a": 1}
        assert (pipeline.env_name, made.env_name, made.warm) == (None, "a_environment", False)

    def test_steps_keep_what_their_config_says(self):
        pipeline = PipelineWrapper.from_config(config(step("a"), step("b"), step("c", input_steps={"--x": "a"})))
        assert [each.input_steps for each in pipeline.steps] == [None, None, {"--x": "a"}]


class TestTypes:
    """MpiStep and ParallelRunStep in a PipelineWrapper's config."""

    def test_an_mpi_step_has_nodes_and_processes(self):
        (found,) = load_pipeline(config(step(type="MpiStep", node_count=2, processes_per_node=4))).definition.steps
        assert (found.kind, found.nodes, found.processes) == ("MpiStep", 2, 4)

    def test_a_parallel_step_has_the_defaults_of_pipeline_configuration_files(self):
        ours = load_pipeline(config(step(type="ParallelRunStep"))).definition.steps[0]
        theirs = load_pipeline(file({"name": "a", "type": "ParallelRunStep", "output": "o"})).definition.steps[0]
        assert ours.parallel == theirs.parallel

    def test_a_parallel_step_that_gathers_rows_has_an_output_even_if_it_is_the_last(self):
        for action, expected in ((None, Output()), ("summary_only", None)):
            given = step("b", type="ParallelRunStep", **({"output_action": action} if action else {}))
            assert load_pipeline(config(step(), given)).definition.steps[1].output == expected

    def test_a_step_takes_the_same_arguments(self):
        made = PipelineStep(*SCOPE.values(), "a", "a.py", type="ParallelRunStep", mini_batch_size=5, node_count=2)
        (found,) = load_pipeline(
            config(step(type="ParallelRunStep", mini_batch_size=5, node_count=2))
        ).definition.steps
        assert made.type == "ParallelRunStep"
        assert (made._step.parallel, made._step.nodes) == (found.parallel, found.nodes)

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"type": "MPIStep"}, "steps[0].type: Input should be 'PythonScriptStep', 'MpiStep' or"),
            ({"node_count": 2}, "steps[0].node_count is 2, but a PythonScriptStep is one process; use MpiStep"),
            ({"mini_batch_size": 5}, "steps[0].mini_batch_size requires type ParallelRunStep"),
            ({"type": "MpiStep", "run_max_try": 5}, "steps[0].run_max_try requires type ParallelRunStep"),
            ({"type": "ParallelRunStep", "mini_batch_size": 0}, "steps[0].mini_batch_size must be a number of files"),
            ({"type": "ParallelRunStep", "mini_batch_size": True}, "steps[0].mini_batch_size must be a number of"),
            (
                {"type": "ParallelRunStep", "arguments": {"--output": "x"}},
                "steps[0].arguments: --output is reserved by ParallelRunStep",
            ),
            (
                {"type": "ParallelRunStep", "output_action": "summary_only", "append_row_file_name": "a"},
                "steps[0].append_row_file_name requires output_action 'append_row'",
            ),
            (
                {
                    "type": "ParallelRunStep",
                    "input_paths": {"--x": {"datastore": "d", "path": "p", "parameter": "q"}},
                },
                "steps[0].input_paths: --x has a parameter, but the paths of a ParallelRunStep are fixed",
            ),
        ],
    )
    def test_what_a_type_does_not_take_is_refused_with_its_key(self, given, told):
        with pytest.raises(BadValue) as caught:
            load_pipeline(config(step(**given)))
        assert told in str(caught.value)


class TestExport:
    """Types of a PipelineWrapper's config as SDK v2's YAML."""

    def exported(self, project, *steps, **more):
        choices = more.pop("choices", {})
        (project / "config.json").write_text(json.dumps(config(*steps, **more)))
        PipelineWrapper.from_config("config.json").to_v2("v2", **choices)
        return parsing.read(project / "v2" / "pipeline.yml").data["jobs"]

    def test_an_mpi_step(self, project):
        node = self.exported(project, step(type="MpiStep", node_count=2, arguments={"--n": 1}))["a"]
        assert node["command"] == "python a.py --n 1"
        assert node["distribution"] == {"type": "mpi", "process_count_per_instance": 1}
        assert node["resources"] == {"instance_count": 2}
        assert node["environment"] == "azureml:env@latest"

    def test_a_parallel_step(self, project):
        score = step("score", type="ParallelRunStep", mini_batch_size=3, step_config={"k": "${{parameters.k}}"})
        jobs = self.exported(project, step(), score, step("c"), pipeline_parameters={"k": 5})
        assert jobs["score"]["input_data"] == "${{inputs.input_folder}}"
        assert jobs["score"]["inputs"] == {
            "k": "${{parent.inputs.k}}",
            "input_folder": "${{parent.jobs.a.outputs.output_folder}}",
        }
        assert jobs["score"]["task"]["program_arguments"] == """--config '{"k": '"${{inputs.k}}"'}'"""
        assert jobs["score"]["task"]["append_row_to"] == "${{outputs.output_folder}}"
        assert jobs["score"]["outputs"] == {"output_folder": {"type": "uri_file", "mode": "rw_mount"}}
        assert jobs["c"]["inputs"] == {"input_folder": "${{parent.jobs.score.outputs.output_folder}}"}

    def test_a_table_may_be_divided_by_size_and_files_may_not(self, project):
        table = {"type": "ParallelRunStep", "mini_batch_size": "1MB", "input_datasets": {"--t": "sales"}}
        node = self.exported(project, step(**table))["a"]
        assert node["input_data"] == "${{inputs.sales}}"
        with pytest.raises(BadPipeline, match="mini_batch_size is '1MB'"):
            self.exported(project, step(**table), choices={"file_datasets": ["sales"], "force": True})

    def test_a_parallel_job_of_sdk_v2_has_one_input(self, project):
        two = {"type": "ParallelRunStep", "input_datasets": {"--a": "x", "--b": "y"}}
        with pytest.raises(BadPipeline, match="divides 2 inputs"):
            self.exported(project, step(**two))
