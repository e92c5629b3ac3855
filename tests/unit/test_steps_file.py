"""Pipeline configuration files: what is read, and what is told with file, line and key."""

from __future__ import annotations

import json
import textwrap

import pytest

from azureml_wrapper import PipelineWrapper
from azureml_wrapper.errors import BadArgument, BadValue, ConfigError, ConfigSyntax, MissingKey
from azureml_wrapper.pipeline_files.steps_file import is_steps_file, load_steps

# As the documentation of these files has it: not JSON, because of the dots.
TEMPLATE = """\
{
    "step1":
    {
        "type": "<type of step. Supported types include PythonScriptStep and MpiStep>",
        "name": "<name in AzureML for this step>",
        "script": "<path to script for this step>",
        "output": "<name of the output in AzureML for this step - optional>",
        "input_datareference_path": "<path on the data reference for the input data - optional>",
        "input_datareference_name": "<name of the data reference in AzureML where the input data lives - optional>",
        "input_dataset_name": "<name of the datastore in AzureML - optional>",
        "source_directory": "<source directory containing the files for this step>",
        "arguments": "<arguments to pass to the script - optional>",
        "requirements": "<path to the requirements.txt file for the step - optional>",
        "node_count": "<number of nodes to run the script on - optional>",
        "processes_per_node": "<number of processes to run on each node - optional>",
        "base_image": "<name of an image registered on dockerhub that you want to use as your base image"
    },

    "step2":
    {
        .
        .
        .
    }
}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder `train` with a script and requirements, and we are in the folder above."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train.py").touch()
    (tmp_path / "train" / "requirements.txt").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def step(**changed):
    """A step that is valid, but for what was changed; None takes a key away."""
    whole = {"type": "MpiStep", "name": "train", "script": "train.py", "source_directory": "train/", **changed}
    return {key: value for key, value in whole.items() if value is not None}


def only(**changed):
    (found,) = load_steps({"step1": step(**changed)}).steps
    return found


def error(**changed) -> str:
    with pytest.raises(ConfigError) as caught:
        load_steps({"step1": step(**changed)})
    return str(caught.value)


class TestReading:
    def test_the_files_of_a_step_are_found_from_the_current_folder(self, project):
        found = only(requirements="train/requirements.txt")
        assert found.script_directory == project / "train"
        assert found.requirements == project / "train" / "requirements.txt"

    def test_else_beside_the_config(self, project, monkeypatch):
        (project / "file.json").write_text(json.dumps({"step1": step()}))
        (project / "elsewhere").mkdir()
        monkeypatch.chdir(project / "elsewhere")
        assert load_steps("../file.json").steps[0].script_directory == project / "train"
        (project / "elsewhere" / "train").mkdir()
        (project / "elsewhere" / "train" / "train.py").touch()
        assert load_steps("../file.json").steps[0].script_directory == project / "elsewhere" / "train"

    def test_yaml_says_the_same_as_json(self, project):
        (project / "file.yml").write_text(
            "# comment\n$schema: x\nstep1:\n"
            + textwrap.indent(
                "type: MpiStep\nname: train\nscript: train.py\nsource_directory: train/\narguments: [--lr, 2e-5]\n",
                "  ",
            )
        )
        (project / "file.json").write_text(json.dumps({"step1": step(arguments=["--lr", 2e-5])}))
        assert load_steps("file.yml").entries == load_steps("file.json").entries

    @pytest.mark.parametrize("given", [["--a", "b c", "--n", 3], "--a 'b c' --n 3"])
    def test_arguments_are_a_list_or_one_text(self, given):
        assert only(arguments=given).arguments == ["--a", "b c", "--n", "3"]

    def test_numbers_may_be_written_as_text(self):
        assert only(node_count="2").entry.node_count == 2

    def test_variables_are_filled_in(self, monkeypatch):
        monkeypatch.setenv("NODES", "3")
        assert only(node_count="${NODES}").entry.node_count == 3

    def test_steps_are_in_the_order_of_the_file(self):
        found = load_steps({"z": step(name="first"), "a": step(name="second")})
        assert [each.name for each in found.steps] == ["first", "second"]


class TestTelling:
    """Each message names the key; in a file, its line."""

    def test_every_problem_is_told_with_file_line_and_key(self, project):
        (project / "file.json").write_text(
            json.dumps(
                {
                    "step1": step(script="trian.py", node_count=0, processes_per_nod=2),
                    "step2": step(name="other", type="MPIStep", requirements="none.txt"),
                },
                indent=1,
            )
        )
        with pytest.raises(ConfigError) as caught:
            load_steps("file.json")
        message = str(caught.value)
        assert message.startswith("file.json has 5 problems:\n")
        for line, words in {
            5: "step1.script: no script 'trian.py' in",
            7: "step1.node_count: Input should be greater than or equal to 1",
            8: "step1.processes_per_nod is not a key of a step's config. Did you mean 'processes_per_node'?",
            11: "step2.type is 'MPIStep', which is not a type of step. Did you mean 'MpiStep'",
            15: "step2.requirements: no file 'none.txt' in",
        }.items():
            assert f"line {line}: {words}" in message
        assert "Did you mean 'train.py'?" in message

    @pytest.mark.parametrize("key", ["type", "name", "script", "source_directory"])
    def test_what_a_step_needs(self, key):
        assert f"step1.{key} is missing" in error(**{key: None})

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"source_directory": "trian/"}, "step1.source_directory: no folder 'trian/' in"),
            ({"output": "my model"}, "step1.output: 'my model' may contain only letters, digits and '_'"),
            ({"input_dataset_name": "My-Data"}, "step1.input_dataset_name: 'My-Data' is not a datastore name"),
            ({"input_datareference_path": "/data"}, "step1.input_datareference_path: '/data' is not a path"),
            ({"input_datareference_name": "1st"}, "step1.input_datareference_name: '1st' may contain only letters"),
            ({"arguments": ["--output", "x"]}, "step1.arguments[0]: --output is added from the keys"),
            ({"arguments": [True]}, "step1.arguments[0] must be a string or a number, got bool"),
            ({"arguments": "--a 'b"}, "step1.arguments cannot be split into words"),
            ({"node_count": True}, "step1.node_count must be an integer, got true"),
            ({"node_count": "two"}, "step1.node_count must be an integer, got str"),
            ({"script": "../train.py"}, "step1.script: '../train.py' must be inside"),
        ],
    )
    def test_what_no_step_takes(self, changed, told):
        assert told in error(**changed)

    def test_a_python_script_step_is_one_process(self):
        told = error(type="PythonScriptStep", processes_per_node=4)
        assert "step1.processes_per_node is 4, but a PythonScriptStep is one process; use MpiStep" in told
        assert only(type="PythonScriptStep", node_count=1, processes_per_node=1)

    def test_a_script_outside_is_told_once(self):
        assert error(script="../train.py").count("../train.py") == 1

    def test_two_steps_of_one_name(self):
        with pytest.raises(BadValue, match=r"step2\.name is 'train', which is the name of step1"):
            load_steps({"step1": step(), "step2": step()})

    def test_one_reference_for_two_places(self):
        first = step(input_datareference_name="data", input_datareference_path="a")
        second = step(name="b", input_datareference_name="data", input_datareference_path="b")
        with pytest.raises(BadValue, match=r"step2\.input_datareference_name is 'data', which names another place"):
            load_steps({"step1": first, "step2": second})
        assert load_steps({"step1": first, "step2": {**second, "input_datareference_path": "a"}})

    def test_one_reference_in_the_datastore_of_the_step_before(self):
        first = step(input_datareference_name="data", input_dataset_name="one")
        same = step(name="b", input_datareference_name="data")
        other = step(name="c", input_dataset_name="two")
        assert load_steps({"step1": first, "step2": same})
        with pytest.raises(BadValue, match=r"step3\.input_datareference_name is 'data', which names another place"):
            load_steps({"step1": first, "step2": other, "step3": {**same, "name": "d"}})

    def test_a_step_that_is_no_mapping(self):
        with pytest.raises(TypeError, match=r"step2 must be a mapping \(a step\), got list"):
            load_steps({"step1": step(), "step2": []})

    def test_no_step(self):
        with pytest.raises(MissingKey, match="no steps found"):
            load_steps({})


class TestTheTemplate:
    def test_the_dots_are_told_with_their_line(self, project):
        (project / "template.json").write_text(TEMPLATE)
        with pytest.raises(ConfigSyntax, match=r"template\.json, line 21, column 9"):
            load_steps("template.json")

    def test_each_place_that_is_not_filled_in_is_told(self, project):
        (project / "template.json").write_text(TEMPLATE.split(',\n\n    "step2"')[0] + "\n}")
        with pytest.raises(BadValue) as caught:
            load_steps("template.json")
        lines = str(caught.value).splitlines()
        assert lines[0] == "template.json has 13 problems:"
        assert all("is still the placeholder '<" in line for line in lines[1:])
        assert lines[2].startswith("  line 5: step1.name is still the placeholder '<name in AzureML for this step>'")


class TestParallelRunStep:
    def entry(self, **changed):
        return only(type="ParallelRunStep", **{"output": "scores", **changed}).entry

    def test_defaults(self):
        entry = self.entry()
        assert (entry.mini_batch_size, entry.error_threshold, entry.output_action) == ("10", 0, "append_row")
        assert (entry.run_invocation_timeout, entry.run_max_try, entry.processes_per_node) == (60, 3, None)

    @pytest.mark.parametrize("size", [5, "5", "10KB", "1mb"])
    def test_sizes_of_parts(self, size):
        assert self.entry(mini_batch_size=size).mini_batch_size == str(size)

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"output": None}, "step1.output is missing: append_row writes a file there"),
            ({"mini_batch_size": 0}, "step1.mini_batch_size must be a number of files"),
            ({"mini_batch_size": "10 files"}, "step1.mini_batch_size must be a number of files"),
            ({"error_threshold": -2}, "step1.error_threshold: Input should be greater than or equal to -1"),
            ({"output_action": "append"}, "step1.output_action: Input should be 'append_row' or 'summary_only'"),
            ({"output_action": "summary_only", "append_row_file_name": "a"}, "step1.append_row_file_name requires"),
            ({"append_row_file_name": "a/b"}, "step1.append_row_file_name: 'a/b' is not a valid file name"),
            ({"arguments": ["split"]}, "step1.arguments: 'split' has no name"),
            (
                {"arguments": ["--logging_level=DEBUG"]},
                "step1.arguments: --logging_level is reserved by ParallelRunStep",
            ),
        ],
    )
    def test_what_it_does_not_take(self, changed, told):
        assert told in error(**{"type": "ParallelRunStep", "output": "scores", **changed})

    def test_summary_only_needs_no_output(self):
        assert self.entry(output=None, output_action="summary_only").output is None


class TestShape:
    def test_a_mapping_of_steps_and_nothing_else(self):
        assert is_steps_file({"$schema": "x", "step1": step()})
        assert is_steps_file({"anything": {}})

    def test_what_stands_beside_a_step_is_told(self):
        with pytest.raises(TypeError, match=r"comment must be a mapping \(a step\), got str"):
            PipelineWrapper.from_config({"step1": step(), "comment": "x"}, target="local")

    @pytest.mark.parametrize("data", [{}, [], None, {"steps": {"a": {}}}, {"ws_name": "a"}, {"ws_name": {}}])
    def test_all_else_is_a_config_of_the_other_kind(self, data):
        assert not is_steps_file(data)

    def test_both_are_read_by_from_config(self):
        made = PipelineWrapper.from_config({"step1": step()}, target="local")
        assert [each.name for each in made.steps] == ["train"]
        assert made.workspace.scope.name == "local"

    def test_a_config_that_names_its_workspace_takes_no_other(self):
        with pytest.raises(BadArgument, match="names a workspace itself"):
            PipelineWrapper.from_config({"steps": {}, "ws_name": "a"}, ws_config="x.json")
