"""Environments: what becomes of the lines of a requirements file, and run configurations to put them in."""

from __future__ import annotations

import pytest

from azureml_wrapper.assets.environments import _read_requirements, new_run_configuration
from azureml_wrapper.errors import BadValue


@pytest.mark.parametrize(
    "line",
    ["-r base.txt", "-rbase.txt", "--constraint=c.txt", "-e .", "--editable ./src", "./wheel.whl", "../a", "."],
)
def test_a_line_that_names_a_file_of_this_machine_is_refused_with_its_number(tmp_path, line):
    file = tmp_path / "requirements.txt"
    file.write_text(f"# packages\nnumpy\n{line}\n")
    with pytest.raises(BadValue, match=r"requirements\.txt, line 3: .* List the packages instead"):
        _read_requirements(file)


def test_packages_and_what_pip_fetches_elsewhere_are_kept(tmp_path):
    file = tmp_path / "requirements.txt"
    lines = ["numpy==2.0", "-e git+https://example.org/a.git#egg=a", "--extra-index-url https://example.org/simple"]
    file.write_text("\n".join(["# first", "", *lines]) + "  # last\n", encoding="utf-8-sig")
    assert _read_requirements(file) == lines


def test_each_run_configuration_is_as_the_sdk_makes_it_and_nobody_elses():
    from azureml.core import RunConfiguration
    from azureml.core._serialization_utils import _serialize_to_dict

    expected = _serialize_to_dict(RunConfiguration())
    first = new_run_configuration()
    assert _serialize_to_dict(first) == expected
    first.environment.python.conda_dependencies.add_pip_package("more")
    first.environment_variables["MORE"] = "1"
    assert _serialize_to_dict(first) != expected
    assert _serialize_to_dict(new_run_configuration()) == expected
