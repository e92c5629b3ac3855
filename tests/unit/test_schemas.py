"""The schemas of configs: as the models say, and right about what the loader takes."""

from __future__ import annotations

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from azureml_wrapper.cli.configs import KINDS
from azureml_wrapper.cli.work import configs
from tests.acceptance.conftest import ROOT


def problems(kind, data):
    validator = Draft202012Validator(json.loads(configs.file_of(kind).read_text()))
    return [error.json_path for error in validator.iter_errors(data)]


@pytest.mark.parametrize("kind", configs.kinds())
def test_the_files_are_what_the_models_say(kind):
    assert configs.file_of(kind).read_text() == configs.as_text(kind), (
        "run python -m azureml_wrapper.cli.work.configs"
    )
    Draft202012Validator.check_schema(configs.generate(kind))


def test_there_is_a_file_for_each_kind_and_no_other():
    assert configs.schema_kinds() == configs.kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_init_are_valid_and_name_their_schema(kind):
    files = configs.files(kind)
    (config,) = [content for name, content in files.items() if name.suffix == ".yml"]
    schema = configs.file_of(kind)
    assert schema.is_file()
    assert config.startswith(f"# yaml-language-server: $schema={schema}\n")
    assert problems(kind, yaml.safe_load(config)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_comments_of_an_example_propose_is_valid_too(kind):
    """A line such as `# retries: 2` is to hold once the `#` is taken away."""
    files = configs.files(kind)
    (config,) = [content for name, content in files.items() if name.suffix == ".yml"]
    lines = []
    for line in config.splitlines():
        bare = line.lstrip()
        indent = line[: len(line) - len(bare)]
        key = bare.removeprefix("# ")
        is_key = bare.startswith("# ") and key.strip().partition(":")[0].replace("_", "").replace("-", "").islower()
        wanted = is_key and " " not in key.strip().partition(":")[0] and ":" in key and "$schema" not in key
        lines.append(indent + key if wanted else line)
    data = yaml.safe_load("\n".join(lines))
    if kind == "steps":
        # Keys that are for another type of step.
        for key in ("node_count", "processes_per_node", "mini_batch_size", "error_threshold", "output_action"):
            assert key in data["step2"]
            del data["step2"][key]
    assert problems(kind, data) == []


def test_the_example_of_the_quick_start_is_valid_as_are_steps_in_a_list():
    config = json.loads((ROOT / "examples" / "quickstart" / "config.json").read_text())
    assert problems("pipeline", config) == []
    assert problems("pipeline", {**config, "steps": list(config["steps"].values())}) == []


def test_an_unknown_key_is_seen_by_editors():
    step = {"type": "MpiStep", "name": "a", "script": "a.py", "source_directory": "."}
    assert problems("steps", {"step1": step}) == []
    assert problems("steps", {"$schema": "x", "step1": {**step, "node_count": "${NODES}"}}) == []
    assert problems("steps", {"step1": {**step, "nodes": 2}}) == ["$.step1"]


def test_azures_own_config_is_valid():
    azures = {"workspace_name": "a", "resource_group": "b", "subscription_id": "c"}
    assert problems("workspace", azures) == []
    assert problems("workspace", {"resource_group": "b", "subscription_id": "c"}) == ["$"]
