"""How the steps of a run are shown."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest
from rich.console import Console

from azureml_wrapper.cli.work.watching import Lines, Table


@dataclass
class Step:
    """As much of a RunWrapper as is shown."""

    status: str
    reused_from: str | None = None


@pytest.fixture
def output():
    return io.StringIO()


def test_a_line_is_printed_when_a_status_changes_and_only_then(output):
    with Lines(Console(file=output)) as lines:
        for first, second in [("Running", "NotStarted"), ("Running", "NotStarted"), ("Completed", "Running")]:
            lines.show({"first": Step(first), "second": Step(second)})
    shown = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in output.getvalue().splitlines()]
    assert shown == ["first Running", "second NotStarted", "first Completed", "second Running"]


def test_names_are_not_taken_for_markup(output):
    with Lines(Console(file=output)) as lines:
        lines.show({"[red]step[/red]": Step("Running")})
    assert "[red]step[/red] Running" in output.getvalue()


def test_a_step_that_did_not_have_to_run_is_shown_as_reused(output):
    steps = {"first": Step("Completed", "run-1"), "second": Step("Completed")}
    with Lines(Console(file=output)) as lines:
        lines.show(steps)
    assert [line.split(" ", 1)[1] for line in output.getvalue().splitlines()] == ["first reused", "second Completed"]
    output.truncate(0)
    with Table(Console(file=output, force_terminal=True, width=80, color_system=None)) as table:
        table.show(steps)
    assert re.search(r"first +reused", output.getvalue())


def test_the_table_on_a_terminal_has_the_last_state_of_every_step(output):
    console = Console(file=output, force_terminal=True, width=80, color_system=None)
    with Table(console) as table:
        table.show({"first [a]": Step("Running")})
        table.show({"first [a]": Step("Completed"), "second": Step("Running")})
    last = output.getvalue().rpartition("step")[2]
    assert re.search(r"first \[a\] +Completed", last)
    assert re.search(r"second +Running", last)
