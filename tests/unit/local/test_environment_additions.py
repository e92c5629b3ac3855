"""What a built environment has beside the packages that it names."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.executor.additions import attempts, core_floors, missing_tools, with_conda_tools


@pytest.mark.parametrize(
    ("lines", "release"),
    [
        (["azureml-defaults", "pandas==2.0.3"], 61),
        (["pandas==1.5.3"], 61),  # a package may require the SDK
        (["azureml_core>=1.50"], 61),
        (["azureml-defaults~=1.60"], 61),
        (["azureml-core<1.61"], 60),
        (["azureml-defaults==1.62.0"], 61),
        (["azureml-defaults==1.48.0"], 48),
        (["azureml-defaults==1.48.0.post1", "azureml-sdk"], 48),
        (["azureml-core==1.48.*"], 48),
        (["azureml-defaults", "azureml-mlflow==1.42.0"], 61),  # its releases are independent
        (["azureml-defaults", "azureml-dataprep[pandas]==4.0.1"], 61),
        (["git+https://example.com/x.git"], 61),
    ],
)
def test_the_sdk_is_the_newest_that_the_requirements_allow(lines, release):
    assert core_floors(lines)[0] == f'azureml-core>=1.{release}; python_version >= "3.8"'


def test_python_3_7_has_an_older_newest_sdk():
    assert core_floors(["azureml-defaults"])[1] == 'azureml-core>=1.55; python_version == "3.7"'
    assert core_floors(["azureml-defaults==1.48"])[1] == 'azureml-core>=1.48; python_version == "3.7"'


@pytest.mark.parametrize("line", ["azureml-core @ https://example.com/core.whl", "azureml-core==0.1.80"])
def test_an_sdk_of_unknown_release_has_no_floor(line):
    assert core_floors([line]) == ()


@pytest.mark.parametrize(
    ("lines", "tools"),
    [
        (["pandas"], ("pip", "setuptools<81", "wheel")),
        (["setuptools==65.5.0", "PIP"], ("wheel",)),
        (["setuptools-scm"], ("pip", "setuptools<81", "wheel")),
    ],
)
def test_tools_are_added_unless_they_are_named(lines, tools):
    assert missing_tools(lines) == tools


def test_what_contradicts_the_additions_is_tried_without_them():
    first, older, alone = attempts(["azureml-defaults"], ())
    assert first.requirements == older.requirements == ("azureml-defaults", "pip", "setuptools<81", "wheel")
    assert first.constraints
    assert not older.constraints
    assert "contradict azureml-core>=1.61: an older SDK is allowed" in older.note
    assert alone.requirements == ("azureml-defaults",)
    assert "setuptools<81" in alone.note


def test_without_an_index_nothing_else_is_asked_for():
    assert {attempt.requirements for attempt in attempts(["tiny"], ("--no-index",))} == {("tiny",)}


def test_conda_environments_have_them_too():
    file = {"channels": ["c"], "dependencies": ["python=3.12", {"pip": ["six"]}]}
    assert with_conda_tools(file) == {**file, "dependencies": ["pip", "setuptools<81", *file["dependencies"]]}
    named = {"dependencies": ["conda-forge::setuptools=65", "pip=24", {"pip": ["six"]}]}
    assert with_conda_tools(named) == named
    assert with_conda_tools({"dependencies": ["pip", {"pip": ["setuptools<70"]}]})["dependencies"][0] == "pip"
