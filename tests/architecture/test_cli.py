"""Where the work of each command of `aml` is: in the file and in the function of the same name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import click
import pytest

from azureml_wrapper.cli.main import aml
from tests.architecture.source import PACKAGE

CLI = PACKAGE / "cli"
WORK = {file.stem for file in (CLI / "work").glob("*.py")} - {"__init__"}
# What several commands share, what generates files of the package, and a part of `aml local exec`.
SHARED = {"output", "watching", "json_schemas", "programs"}
# The parts of the command line itself.
FRAME = {"__init__", "main", "options"}


def commands(group: click.Group, name: str = "aml") -> Iterator[tuple[str, click.Command]]:
    for part, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{name} {part}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")


COMMANDS = dict(commands(aml))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_work_of_a_command_is_in_the_function_of_its_name_in_its_file_s_twin(name):
    function = inspect.unwrap(COMMANDS[name].callback)
    package, _, noun = function.__module__.rpartition(".")
    assert package == "azureml_wrapper.cli"
    assert set(function.__name__.strip("_").split("_")) <= set(name.split())
    tree = ast.parse(inspect.getsource(function))
    used = {
        ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "work" in node.module
    }
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if noun in WORK:
        assert used == {f"from azureml_wrapper.cli.work import {noun} as work"}
        assert f"work.{function.__name__}" in called
    else:
        assert used <= {f"from azureml_wrapper.cli.work.{shared} import show_json" for shared in SHARED}


def test_each_file_of_commands_is_known_by_its_name():
    nouns = {file.stem for file in CLI.glob("*.py")} - FRAME
    assert nouns == {inspect.unwrap(command.callback).__module__.rpartition(".")[2] for command in COMMANDS.values()}
    assert nouns | SHARED >= WORK
