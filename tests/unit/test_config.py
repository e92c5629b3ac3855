"""Configs: what loads, and how everything that is wrong is told at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from azureml_wrapper.config.loader import check, load
from azureml_wrapper.config.models import PipelineConfig, StepConfig, WorkspaceConfig
from azureml_wrapper.errors import (
    BadValue,
    ConfigError,
    ConfigNotFound,
    ConfigSyntax,
    MissingKey,
    SeveralProblems,
    WrongType,
)

# The README of the project that this one takes up: its examples 3 and 5, word for word.
EXAMPLE_3 = {
    "ws_name": "nom du ws",
    "resource_group": "nom du resource group",
    "subscription_id": "id d'utilisateur",
    "step_name": "step name",
    "script_name": "step_script.py",
    "step_config": {"lr": 2e-5, "epochs": 10, "batch_size": 16},
    "input_datasets": {"--test-data": "dataset_name_in_ws"},
}
EXAMPLE_5 = {
    "ws_name": "nom du ws",
    "resource_group": "nom du resource group",
    "subscription_id": "id d'utilisateur",
    "env_name": "nom de l'environnement",
    "compute_name": "nom du compute",
    "steps": {
        "step1": {
            "step_name": "step name",
            "script_name": "step_script.py",
            "step_config": {"lr": 2e-5, "epochs": 10, "batch_size": 16},
            "input_datasets": {"--test-data": "dataset_name_in_ws"},
        }
    },
}
WORKSPACE = {key: EXAMPLE_3[key] for key in ("ws_name", "resource_group", "subscription_id")}


def pipeline(*steps, **others):
    return {**EXAMPLE_5, "steps": list(steps), **others}


def step(name="a", **others):
    return {"step_name": name, "script_name": "a.py", **others}


def problems(model, config) -> str:
    with pytest.raises(ConfigError) as caught:
        load(model, config)
    return str(caught.value)


def test_the_line_by_which_editors_find_the_schema_is_no_key():
    assert load(WorkspaceConfig, {**WORKSPACE, "$schema": "x"})[0] == load(WorkspaceConfig, WORKSPACE)[0]


def test_the_original_examples_load_as_they_are():
    found, _ = load(StepConfig, EXAMPLE_3)
    assert found.step_config == {"lr": 2e-5, "epochs": 10, "batch_size": 16}
    assert found.input_datasets == {"--test-data": "dataset_name_in_ws"}
    whole, _ = load(PipelineConfig, EXAMPLE_5)
    assert [each.step_name for each in whole.named_steps()] == ["step name"]
    assert whole.compute_name == "nom du compute"


def test_the_users_dict_is_left_as_it_was():
    before = json.dumps(EXAMPLE_5)
    load(PipelineConfig, EXAMPLE_5)
    given = {"workspace_name": "w", "resource_group": "r", "subscription_id": "s"}
    load(WorkspaceConfig, given)
    assert json.dumps(EXAMPLE_5) == before
    assert "workspace_name" in given


def test_steps_may_be_a_list():
    found, _ = load(PipelineConfig, pipeline(step("a"), step("b")))
    assert [each.step_name for each in found.named_steps()] == ["a", "b"]


def test_workspace_name_is_ws_name():
    found, _ = load(WorkspaceConfig, {"workspace_name": "w", "resource_group": "r", "subscription_id": "s"})
    assert found.ws_name == "w"
    assert "workspace_name and ws_name differ" in problems(WorkspaceConfig, {**WORKSPACE, "workspace_name": "other"})


def test_the_file_that_the_sdk_writes_loads():
    scope = "/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
    found, _ = load(WorkspaceConfig, {"Id": None, "Scope": scope})
    assert (found.ws_name, found.resource_group, found.subscription_id) == ("w", "r", "s")
    assert "Scope is not a key" in problems(WorkspaceConfig, {"Id": None, "Scope": "/subscriptions/s"})


@pytest.mark.parametrize("config", [EXAMPLE_3, EXAMPLE_5])
def test_the_config_of_a_step_or_pipeline_names_its_workspace(config):
    assert load(WorkspaceConfig, config)[0].ws_name == "nom du ws"


@pytest.mark.parametrize("key", ["ws_name", "resource_group", "subscription_id", "env_name", "compute_name", "steps"])
def test_a_missing_key_is_a_key_error_that_names_it(key):
    config = {name: value for name, value in EXAMPLE_5.items() if name != key}
    with pytest.raises(MissingKey, match=f"{key} is missing") as caught:
        load(PipelineConfig, config)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("ws_name", 3, "ws_name must be a string, got int"),
        ("ws_name", None, "ws_name must be a string, got nothing"),
        ("steps", "a", "steps must be a mapping, got str"),
        ("steps", {"a": 1}, "steps.a must be a mapping, got int"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_type_error(key, value, told):
    with pytest.raises(WrongType, match=told):
        load(PipelineConfig, {**EXAMPLE_5, key: value})


@pytest.mark.parametrize("config", [4, [], ["a"], 2.5])
def test_a_config_that_is_no_mapping_is_a_type_error(config):
    with pytest.raises(TypeError, match="a config must be a mapping"):
        load(PipelineConfig, config)


@pytest.mark.parametrize("steps", [{}, []])
def test_a_pipeline_without_steps_is_refused(steps):
    with pytest.raises(BadValue, match="steps is empty"):
        load(PipelineConfig, {**EXAMPLE_5, "steps": steps})


def test_a_cycle_of_steps_is_found_with_the_config_at_its_line(tmp_path):
    steps = [
        step("a", input_steps={"--x": "b"}),
        step("b", input_steps={"--x": "c"}),
        step("c"),
        step("d", input_steps={"--x": "c"}),
    ]
    told = problems(PipelineConfig, pipeline(*steps, zzzz=1))
    assert "steps[1].input_steps['--x']: steps 'b', 'c' wait for each other in a cycle" in told
    file = tmp_path / "a.json"
    file.write_text(json.dumps(pipeline(step("a", input_steps={"--x": "a"})), indent=1))
    assert re.search(
        r"a.json: line \d+: steps\[0\].input_steps\['--x'\]: step 'a' waits for itself",
        problems(PipelineConfig, file),
    )


def test_an_unknown_key_is_an_error_with_what_was_meant():
    with pytest.raises(BadValue, match="'compute_name'"):
        load(PipelineConfig, {**EXAMPLE_5, "computename": "cpu"})
    assert "Did you mean 'step_config'" in problems(PipelineConfig, pipeline(step(step_conf={})))


def test_a_file_has_no_unknown_keys(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**EXAMPLE_5, "zzz": 1}))
    assert "Known keys" in problems(PipelineConfig, file)


class TestOneDictForAllClasses:
    """Programs pass one dict, which has values of their own, to every class."""

    OWN = {"container": "c", "storage_acc_name": "a", "storage_key": "k"}

    @pytest.mark.parametrize(("model", "config"), [(WorkspaceConfig, WORKSPACE), (PipelineConfig, EXAMPLE_5)])
    def test_unknown_keys_are_one_warning_that_names_them(self, model, config):
        with pytest.warns(UserWarning, match="keys of the config: container, storage_acc_name, storage_key") as told:
            found, _ = load(model, {**config, **self.OWN})
        assert found == load(model, config)[0]
        assert (len(told), told[0].filename) == (1, __file__)

    def test_so_are_those_of_a_step(self):
        with pytest.warns(UserWarning, match=re.escape("Ignored unknown key of the config: steps[0].owner.")):
            load(PipelineConfig, pipeline(step("a", owner="me")))

    def test_a_typo_is_an_error_and_names_the_others_too(self):
        told = problems(PipelineConfig, {**EXAMPLE_5, **self.OWN, "computename": "x"})
        assert "computename is not a key of a pipeline's config. Did you mean 'compute_name'?" in told
        assert "container is not a key" in told

    def test_keys_of_another_class_are_no_reason_to_warn(self):
        found, _ = load(StepConfig, {**EXAMPLE_5, "step_name": "s", "script_name": "s.py"})
        assert found.step_name == "s"

    def test_what_is_wrong_besides_is_found(self):
        assert "ws_name is empty" in problems(WorkspaceConfig, {**WORKSPACE, **self.OWN, "ws_name": ""})
        steps = [step("a", node_count=2, owner="me")]
        assert "node_count is 2" in problems(PipelineConfig, pipeline(*steps))

    def test_below_a_step_unknown_keys_stay_errors(self):
        path = {"datastore": "d", "path": "p", "owner": "me"}
        assert "owner is not a key" in problems(PipelineConfig, pipeline(step("a", input_paths={"--p": path})))


def test_a_pipelines_config_for_a_step_says_what_to_call():
    assert "PipelineWrapper.from_config" in problems(StepConfig, EXAMPLE_5)


def test_all_problems_are_told_at_once():
    config = pipeline(
        step("a", script_name=3, input_datasets={"test": "x"}),
        step("b", input_steps={"--f": "nowhere"}, allow_reuse="maybe"),
        wsname="w",
    )
    del config["resource_group"]
    with pytest.raises(SeveralProblems) as caught:
        load(PipelineConfig, config)
    told = str(caught.value)
    for part in (
        "has 6 problems",
        "resource_group is missing",
        "wsname is not a key",
        "steps[0].script_name must be a string",
        "steps[0].input_datasets.test: 'test' is not an argument",
        "steps[1].input_steps['--f'] is 'nowhere', which is not a step of this pipeline",
        "steps[1].allow_reuse must be true or false",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (pipeline(step("a"), step("a")), "steps[1].step_name is 'a', which is the name of another step"),
        (pipeline(step("a", ws_name="other")), "steps[0].ws_name differs from the pipeline's"),
        (pipeline(step("a", input_datasets={"--config": "x"})), "--config is passed to every step"),
        (pipeline(step("a", input_steps={"--output-folder": "a"})), "--output-folder is used for something else"),
        (pipeline(step("a", script_name="../a.py")), "'../a.py' must be inside the folder that is uploaded"),
        (pipeline(step("a", script_name="/a.py")), "'/a.py' must be inside the folder that is uploaded"),
        (pipeline(step("a", script_name="..\\a.py")), "must be inside the folder that is uploaded"),
        (pipeline(step("a", script_name="C:\\a.py")), "must be inside the folder that is uploaded"),
        (pipeline(step("a", script_name="\\a.py")), "must be inside the folder that is uploaded"),
        (pipeline(step("")), "steps[0].step_name is empty"),
        (pipeline(step("prep"), step("b", input_steps={"--f": "perp"})), "Did you mean 'prep'?"),
    ],
)
def test_what_makes_no_pipeline_is_refused(config, told):
    assert told in problems(PipelineConfig, config)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": {1, 2}}, "['a'] is a set"),
        ({1: "a"}, "[1] is a key that is not a string"),
        ({"a": [object()]}, "['a'][0] is"),
    ],
)
def test_a_step_config_that_json_cannot_hold_is_a_type_error(value, told):
    with pytest.raises(WrongType) as caught:
        load(StepConfig, {**EXAMPLE_3, "step_config": value})
    assert told in str(caught.value)


def test_a_constructor_is_checked_as_a_config_is():
    with pytest.raises(SeveralProblems, match="step_name is empty"):
        check(StepConfig, {**EXAMPLE_3, "step_name": "", "step_config": []})


def test_input_steps_go_by_name_or_by_key():
    config = {
        **EXAMPLE_5,
        "steps": {
            "first": step("a"),
            "second": step("b", input_steps={"--x": "first"}),
            "third": step("c", input_steps={"--x": "b"}),
        },
    }
    found, _ = load(PipelineConfig, config)
    assert [each.input_steps for each in found.named_steps()] == [None, {"--x": "a"}, {"--x": "b"}]


def test_variables_are_filled_in(monkeypatch):
    monkeypatch.setenv("AML_TEST_NAME", "mine")
    config = {**EXAMPLE_3, "ws_name": "ws-${AML_TEST_NAME}", "step_config": {"a": ["${AML_TEST_NAME}"], "b": "$${X}"}}
    found, _ = load(StepConfig, config)
    assert found.ws_name == "ws-mine"
    assert found.step_config == {"a": ["mine"], "b": "${X}"}


def test_a_variable_that_is_not_set_is_named_with_the_key():
    told = problems(StepConfig, {**EXAMPLE_3, "step_config": {"key": "${AML_TEST_UNSET}"}})
    assert "step_config.key uses the environment variable AML_TEST_UNSET, which is not set" in told


def test_the_value_of_a_variable_is_not_told(monkeypatch):
    monkeypatch.setenv("AML_TEST_SECRET", "hunter2")
    assert "hunter2" not in problems(
        StepConfig, {**EXAMPLE_3, "step_config": "${AML_TEST_SECRET}", "x": "${AML_TEST_SECRET}"}
    )


class TestFiles:
    """The same from files."""

    def write(self, folder: Path, name: str, text: str) -> Path:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def test_json_and_yaml_mean_the_same(self, tmp_path):
        json_file = self.write(tmp_path, "a.json", json.dumps(EXAMPLE_5))
        yaml_file = self.write(
            tmp_path,
            "a.yml",
            """
            ws_name: nom du ws
            resource_group: nom du resource group
            subscription_id: id d'utilisateur
            env_name: nom de l'environnement
            compute_name: nom du compute
            steps:
              step1:
                step_name: step name
                script_name: step_script.py
                step_config: {lr: 2e-5, epochs: 10, batch_size: 16}
                input_datasets: {--test-data: dataset_name_in_ws}
            """,
        )
        assert load(PipelineConfig, json_file)[0] == load(PipelineConfig, str(yaml_file))[0]

    def test_yaml_has_json_s_types(self, tmp_path):
        text = "lr: 2e-5\ncountry: no\ntime: 12:30\nday: 2024-01-01\nnone:\nn: 017\nt: true\nf: -.5\n"
        from azureml_wrapper.config.parsing import read

        assert read(self.write(tmp_path, "b.yaml", text)).data == {
            "lr": 2e-5, "country": "no", "time": "12:30", "day": "2024-01-01", "none": None,
            "n": 17, "t": True, "f": -0.5
        }  # fmt: skip

    def test_each_problem_has_its_line(self, tmp_path):
        file = self.write(tmp_path, "a.json", '{\n"ws_name": "w",\n"resource_group": 3,\n\t"subscripton_id": "s"\n}')
        told = problems(WorkspaceConfig, file)
        assert str(file) in told
        assert "line 3: resource_group must be a string" in told
        assert "line 4: subscripton_id is not a key of a workspace's config. Did you mean 'subscription_id'?" in told
        assert "\n  subscription_id is missing." in told

    def test_a_missing_key_has_the_line_of_what_lacks_it(self, tmp_path):
        names = "ws_name: w\nresource_group: r\nsubscription_id: s\nenv_name: e\ncompute_name: c\n"
        text = f"{names}steps:\n  one:\n    step_name: a\n"
        with pytest.raises(MissingKey, match=r"line 7: steps.one.script_name is missing"):
            load(PipelineConfig, self.write(tmp_path, "a.yml", text))

    @pytest.mark.parametrize(
        ("name", "text"), [("a.json", '{"ws_name": "a",\n"ws_name": "b"}'), ("a.yml", "x: 1\nx: 2")]
    )
    def test_a_key_that_is_there_twice_is_told(self, tmp_path, name, text):
        assert "line 2: " in problems(WorkspaceConfig, self.write(tmp_path, name, text))
        assert " appears twice" in problems(WorkspaceConfig, self.write(tmp_path, name, text))

    @pytest.mark.parametrize(("name", "text"), [("a.json", '{\n"a": }'), ("a.yml", "a: 1\nb: ]"), ("b.json", "")])
    def test_a_file_that_cannot_be_read_names_the_line(self, tmp_path, name, text):
        with pytest.raises(ConfigSyntax, match=r"line \d+, column \d+"):
            load(WorkspaceConfig, self.write(tmp_path, name, text))

    def test_a_byte_order_mark_does_no_harm(self, tmp_path):
        file = tmp_path / "a.json"
        file.write_text(json.dumps(WORKSPACE), encoding="utf-8-sig")
        assert load(WorkspaceConfig, file)[0].ws_name == "nom du ws"

    def test_what_is_not_utf8_is_an_error(self, tmp_path):
        file = tmp_path / "a.json"
        file.write_bytes(b'{"a": "\xe9"}')
        with pytest.raises(ConfigSyntax, match="not UTF-8"):
            load(WorkspaceConfig, file)

    def test_an_empty_yaml_is_no_mapping(self, tmp_path):
        with pytest.raises(WrongType, match="a config must be a mapping, got NoneType"):
            load(WorkspaceConfig, self.write(tmp_path, "a.yml", ""))

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nope\.json"):
            load(WorkspaceConfig, tmp_path / "nope.json")

    def test_another_ending_is_refused_with_those_that_are_taken(self, tmp_path):
        with pytest.raises(BadValue, match=r"\.json, \.yml, \.yaml"):
            load(WorkspaceConfig, self.write(tmp_path, "a.toml", ""))

    def test_dot_env_beside_the_file_gives_variables(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AML_TEST_BOTH", "environment")
        monkeypatch.delenv("AML_TEST_FILE", raising=False)
        self.write(tmp_path, ".env", "AML_TEST_FILE=file\nAML_TEST_BOTH=file\n")
        config = {**WORKSPACE, "ws_name": "${AML_TEST_FILE}", "resource_group": "${AML_TEST_BOTH}"}
        found, _ = load(WorkspaceConfig, self.write(tmp_path, "a.json", json.dumps(config)))
        assert (found.ws_name, found.resource_group) == ("file", "environment")

    def test_without_a_source_the_nearest_config_upwards_is_taken(self, tmp_path, monkeypatch):
        self.write(
            tmp_path,
            ".azureml/config.json",
            json.dumps({"workspace_name": "far", **dict(list(WORKSPACE.items())[1:])}),
        )
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        monkeypatch.chdir(deep)
        assert load(WorkspaceConfig, None)[0].ws_name == "far"

    def test_the_nearest_config_may_be_yaml_and_json_goes_before_it(self, tmp_path, monkeypatch):
        others = "resource_group: b\nsubscription_id: c\n"
        self.write(tmp_path, ".azureml/config.yml", f"workspace_name: yaml\n{others}")
        monkeypatch.chdir(tmp_path)
        assert load(WorkspaceConfig, None)[0].ws_name == "yaml"
        self.write(tmp_path, ".azureml/config.json", json.dumps({**WORKSPACE, "ws_name": "json"}))
        assert load(WorkspaceConfig, None)[0].ws_name == "json"

    def test_where_there_is_none_upwards_it_says_what_to_do(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigNotFound, match=r"Download config\.json"):
            load(WorkspaceConfig, None)

    def test_a_nest_of_aliases_does_not_blow_up(self, tmp_path):
        text = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 25))
        from azureml_wrapper.config.parsing import read

        assert len(read(self.write(tmp_path, "a.yml", text)).lines) < 200


def test_a_script_that_is_named_as_in_windows_is_named_as_in_azure(tmp_path):
    from pydantic import TypeAdapter

    from azureml_wrapper import PipelineStep
    from azureml_wrapper.config.job_models import JobConfig

    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "a.py").touch()
    named = {"script_name": "scripts\\a.py", "script_directory": tmp_path}
    step = PipelineStep("ws", "group", "local", "a", **named, env_name="e", compute_name="c")
    assert step.script_name == "scripts/a.py"
    config_file = TypeAdapter(JobConfig.model_fields["config_file"].annotation)
    assert config_file.validate_python("conf\\a.json") == "conf/a.json"


def test_a_script_directory_may_be_in_the_users_home(tmp_path, monkeypatch):
    from azureml_wrapper import PipelineStep
    from azureml_wrapper.pipelines.loading import load_pipeline

    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    named = {"script_name": "a.py", "script_directory": "~/scripts", "env_name": "e", "compute_name": "c"}
    assert PipelineStep("ws", "group", "local", "a", **named).script_directory == tmp_path / "user" / "scripts"
    file = tmp_path / "config.json"
    file.write_text(json.dumps(pipeline(step(script_directory="~/scripts"), step("b", script_directory="beside"))))
    first, second = load_pipeline(file).steps
    assert first.directory == tmp_path / "user" / "scripts"
    assert second.directory == tmp_path / "beside"


def test_the_config_of_a_pipeline_needs_no_models_of_jobs():
    """pydantic takes as long to make them as those of a pipeline, and `aml run` would wait for both."""
    program = (
        "import sys\n"
        "from azureml_wrapper.config.loader import load\n"
        "from azureml_wrapper.config.models import PipelineConfig\n"
        "names = dict.fromkeys(('ws_name', 'resource_group', 'subscription_id', 'env_name', 'compute_name'), 'x')\n"
        "load(PipelineConfig, {**names, 'steps': [{'step_name': 's', 'script_name': 'm'}]})\n"
        "assert 'azureml_wrapper.config.job_models' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
