"""What `--help` shows."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from azureml_wrapper.cli.main import aml

GROUPS = ["", *(name for name, command in aml.commands.items() if isinstance(command, click.Group))]


def help_of(command: str) -> str:
    return CliRunner().invoke(aml, [*command.split(), "--help"], terminal_width=80).output


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_is_described_in_a_whole_sentence(group):
    listed = help_of(group).partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert listed
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("command", ["run", "runs", "publish", "trigger", "submit", "execute", "export"])
def test_the_experiment_is_named_by_the_same_option_everywhere(command):
    shown = help_of(command)
    assert "-e, --experiment TEXT" in shown
    assert not any(name in shown for name in ("exp_name", "exp-name", "experiment-name", "experiment_name"))


@pytest.mark.parametrize(
    ("command", "former"), [("submit", "--exp_name"), ("submit", "--exp-name"), ("execute", "--experiment-name")]
)
def test_former_names_of_the_experiment_are_still_taken(command, former):
    context = aml.commands[command].make_context(command, [former, "mine", "--script-path", "a.py"])
    assert context.params["experiment"] == "mine"
