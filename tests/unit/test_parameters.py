"""`${{parameters.x}}`: what is sent to Azure ML, and which values a run may give."""

from __future__ import annotations

import json
import os.path

import pytest

from azureml_wrapper import PipelineStep, PipelineWrapper
from azureml_wrapper.config.loader import load
from azureml_wrapper.config.models import PipelineConfig
from azureml_wrapper.config.parameters import (
    assign,
    in_json,
    render_argument,
    render_json,
    to_text,
    used,
    used_as_keys,
)
from azureml_wrapper.errors import BadParameter, BadValue

SCOPE = ("w", "g", "local")
DEFAULTS = {"lr": 2e-5, "epochs": 10, "name": "it's élan $HOME", "shuffle": True}


def expand(text, values, monkeypatch):
    """As Azure's job does."""
    for name, value in values.items():
        monkeypatch.setenv(f"AML_PARAMETER_{name}", to_text(value))
    return os.path.expandvars(text)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"a": "${{parameters.lr}}"}, {"a": 2e-5}),
        ({"a": ["${{ parameters.epochs }}", {"b": "${{parameters.shuffle}}"}]}, {"a": [10, {"b": True}]}),
        ({"a": "${{parameters.name}}"}, {"a": DEFAULTS["name"]}),
        ({"a": "x${{parameters.epochs}}y${{parameters.lr}}_1"}, {"a": "x10y2e-05_1"}),
        ({"a": "${{parameters.epochs}}é\n${{parameters.epochs}}"}, {"a": "10é\n10"}),
        ({"a": "\\u0024{{parameters.lr}} $HOME ${HOME} ${{other}}"}, None),
        ({"a$HOME": None, "é": 1.5, "t": (1, 2)}, {"a$HOME": None, "é": 1.5, "t": [1, 2]}),
        ({}, {}),
    ],
)
def test_a_config_becomes_json_with_the_values_in_their_places(config, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/not/wanted")
    text = render_json(config, DEFAULTS)
    assert text.isascii()
    assert json.loads(expand(text, DEFAULTS, monkeypatch)) == (config if expected is None else expected)


def test_an_argument_becomes_a_text(monkeypatch):
    text = render_argument("v${{parameters.epochs}}-${{parameters.name}}")
    assert text == "v$AML_PARAMETER_epochs-$AML_PARAMETER_name"
    assert expand(text, DEFAULTS, monkeypatch) == "v10-it's élan $HOME"
    assert [render_argument(value) for value in (3, 0.5, True, "as it is")] == ["3", "0.5", "true", "as it is"]


def test_an_argument_that_goes_on_behind_a_place_is_refused():
    with pytest.raises(BadParameter, match="lr is followed by 'x'"):
        render_argument("${{parameters.lr}}x")


def test_the_parameters_in_use_are_found_at_any_depth():
    value = {"a": ["${{parameters.x}} ${{parameters.y}}"], "${{parameters.z}}": {"${{parameters.k}}": 1}, "n": 1}
    assert used(value) == {"x", "y"}
    assert used_as_keys(value) == {"z", "k"}


def test_values_have_the_type_of_their_defaults():
    given = {"lr": "1", "epochs": 3.0, "name": "7", "shuffle": "false"}
    values = assign(DEFAULTS, given, set())
    assert values == {"lr": 1.0, "epochs": 3, "name": "7", "shuffle": False}
    assert [type(value) for value in values.values()] == [float, int, str, bool]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 1}, r"no parameter 'rate'\. Its parameters: lr, epochs, name, shuffle"),
        ({"epoch": 1}, "Did you mean 'epochs'"),
        ({"lr": "fast"}, "lr must be a number, like its default 2e-05; got 'fast'"),
        ({"lr": True}, "lr must be a number"),
        ({"lr": None}, "lr must be a number"),
        ({"lr": float("nan")}, "which JSON does not have"),
        ({"lr": "Infinity"}, "which JSON does not have"),
        ({"epochs": 1.5}, "epochs must be an integer, like its default 10; got 1.5"),
        ({"name": 5}, "name must be a string"),
        ({"shuffle": 1}, "shuffle must be true or false, like its default true; got 1"),
        ({"name": 'a"b'}, "cannot contain '\"'"),
        ({"name": "a\nb"}, "cannot contain"),
    ],
)
def test_other_values_are_refused_with_what_is_allowed(given, message):
    with pytest.raises(BadParameter, match=message):
        assign(DEFAULTS, given, {"name"})


def test_a_parameter_in_json_is_not_mistaken_for_one_whose_name_goes_on():
    argument = '{"a": "$AML_PARAMETER_lr_decay", "b": $AML_PARAMETER_lr2, "c": "$AML_PARAMETER_name"}'
    assert in_json(argument, ["lr", "lr_decay", "lr2", "name"]) == ["lr_decay", "lr2", "name"]
    assert in_json("$AML_PARAMETER_name", ["name"]) == [], "an argument of its own is no JSON"


def test_a_text_that_is_only_an_argument_may_hold_anything():
    assert assign(DEFAULTS, {"name": 'a"b'}, set()) == {"name": 'a"b'}


def config(parameters, **step):
    names = dict(zip(("ws_name", "resource_group", "subscription_id"), SCOPE, strict=True))
    steps = {"a": {"step_name": "a", "script_name": "a.py", **step}}
    return {**names, "env_name": "e", "compute_name": "c", "steps": steps, "pipeline_parameters": parameters}


@pytest.mark.parametrize(
    ("parameters", "step", "message"),
    [
        ({}, {"step_config": {"a": "${{parameters.lr}}"}}, "uses 'lr', which is not a parameter of the pipeline"),
        ({"lr": 1, "rl": 1}, {"step_config": {"a": "${{parameters.lr}}"}}, "rl is not used by any step"),
        ({"lr": 1}, {"step_config": {"a": "${{parameters.lrr}}"}}, "Did you mean 'lr'"),
        ({"lr": 1}, {"step_config": {"${{parameters.lr}}": 1}}, "'lr' in a key"),
        ({"lr": 1}, {"compute_name": "${{parameters.lr}}"}, "step_config and in arguments only"),
        ({"Target": 1}, {"arguments": {"--a": "${{parameters.Target}}"}}, "reserved by Azure ML"),
        ({"a-b": 1}, {"arguments": {"--a": "${{parameters.a-b}}"}}, "only letters, digits and '_'"),
        (
            {"a": [1]},
            {"arguments": {"--a": "${{parameters.a}}"}},
            "must be a string, a number, true or false, got list",
        ),
        ({"a": "x"}, {"arguments": {"--a": "${{parameters.a}}x"}}, "followed by 'x'"),
        ({"a": 'x"'}, {"step_config": {"a": "${{parameters.a}}"}}, "cannot contain"),
        ({}, {"arguments": {"--config": "x"}}, "passed to every step"),
        ({}, {"retries": -1}, "retries"),
    ],
)
def test_a_config_that_cannot_be_is_refused(parameters, step, message):
    with pytest.raises(BadValue, match=message):
        load(PipelineConfig, config(parameters, **step))


def test_a_pipeline_of_steps_is_checked_in_the_same_way():
    step = PipelineStep(*SCOPE, "a", "a.py", {"a": "${{parameters.lr}}"}, arguments={"--n": 1})
    with pytest.raises(BadValue, match="uses 'lr'"):
        PipelineWrapper(*SCOPE, "e", "c", [step])
    pipeline = PipelineWrapper(*SCOPE, "e", "c", [step], pipeline_parameters={"lr": True})
    assert pipeline.pipeline_parameters == {"lr": True}
    assert pipeline._assign({"lr": "false"}) == {"lr": "false"}
