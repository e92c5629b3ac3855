"""What a script's argparse takes, read from its source."""

from __future__ import annotations

import textwrap

import pytest

from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.pipelines.checks import check_arguments, read
from azureml_wrapper.pipelines.definition import PARALLEL, Argument, Output, Step, Word

PLAIN = """
import argparse

def main():
    parser = argparse.ArgumentParser(description="x")
    data = parser.add_argument_group("data")
    data.add_argument("-i", "--input-folder", required=True)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    args = parser.parse_args()

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def script(tmp_path):
    def write(text):
        (tmp_path / "a.py").write_text(textwrap.dedent(text))
        return tmp_path / "a.py"

    return write


def step(folder, *names, **more):
    arguments = tuple(Argument(name, (Word("x"),)) for name in names)
    return Step(name="train", script="a.py", directory=folder, arguments=arguments, **more)


def test_options_and_required_ones_are_read(script):
    found = read(script(PLAIN))
    assert found.options == ("-h", "--help", "-i", "--input-folder", "--learning-rate")
    assert found.required == (("-i", "--input-folder"),)


def test_what_the_script_takes_is_passed(script, tmp_path):
    script(PLAIN)
    check_arguments(step(tmp_path, "--learn", "positional", reads={"--input-folder": "before"}))


def test_what_it_does_not_take_is_refused_before_anything_is_uploaded(script, tmp_path):
    script(PLAIN)
    with pytest.raises(
        BadPipeline, match=r"passes --learning_rate, but a\.py does not take it\. Did you mean '--lear"
    ):
        check_arguments(step(tmp_path, "--input-folder", "--learning_rate"))
    with pytest.raises(BadPipeline, match=r"passes --output-folder, but a\.py"):
        check_arguments(step(tmp_path, "--input-folder", output=Output()))


def test_what_it_requires_and_does_not_get_is_refused(script, tmp_path):
    script(PLAIN)
    with pytest.raises(BadPipeline, match=r"a\.py requires --input-folder, but step 'train' does not pass it"):
        check_arguments(step(tmp_path))


def test_the_script_of_a_parallel_step_shares_its_command_line_and_is_not_checked(script, tmp_path):
    script(PLAIN)
    check_arguments(step(tmp_path, "--other", kind=PARALLEL))


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "def broken(:",
        PLAIN.replace("parse_args", "parse_known_args"),
        PLAIN.replace("parse_args()", "parse_args(['--x'])"),
        PLAIN.replace('description="x"', "parents=[other]"),
        PLAIN.replace('"--learning-rate"', "NAME"),
        PLAIN.replace("data = ", "add_more(parser); data = "),
        PLAIN + "\nimport sys\nsys.argv.pop()\n",
        PLAIN + "\nparser = argparse.ArgumentParser()\n",
        PLAIN.replace("    args = ", "    if more:\n        parser.add_argument('--more')\n    args = "),
        PLAIN.replace("    args = parser.parse_args()", "    args = parser.parse_args() if more else None"),
        PLAIN.replace("    args = ", "    for name in names:\n        parser.add_argument(name)\n    args = "),
    ],
)
def test_a_script_that_may_take_more_is_not_checked(script, text):
    assert read(script(text)) is None
