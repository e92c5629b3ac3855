"""docs/performance.md shows what was measured, and nothing else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from benchmarks import document, results, scenarios, tables
from benchmarks.figures import FIGURES, Figure, median, one_more_step, over_raw, per_step, ratio
from benchmarks.scenario import Quantity, Scenario
from benchmarks.scenarios import SCENARIOS
from tests.unit.benchmarks.builders import a_line, a_result

TEXT = document.FILE.read_text(encoding="utf-8")
PLAIN = Scenario(name="plain", title="Plain", about="About.", open=None)
TWO = (Quantity(key="seconds", heading="time"), Quantity(key="mib", heading="memory", unit="MiB"))
GROWING = Scenario(name="growing", title="Growing", about="About.", open=None, quantities=TWO)


def test_the_document_is_what_the_results_say():
    found = {each.name: result for each in SCENARIOS if (result := results.load(each.name))}
    assert document.fill(TEXT, document.parts(SCENARIOS, found)) == TEXT, "Run: make bench ARGS=--document"


def test_every_scenario_has_its_part_and_the_command_that_measures_it():
    for scenario in SCENARIOS:
        assert f"### {scenario.title}\n\n`make bench ARGS={scenario.name}`" in TEXT


def test_every_file_of_scenarios_is_among_them():
    for file in Path(scenarios.__file__).parent.glob("[a-z]*.py"):
        module = importlib.import_module(f"benchmarks.scenarios.{file.stem}")
        own = [each for each in vars(module).values() if isinstance(each, Scenario)]
        assert own, file
        assert set(map(id, own)) <= set(map(id, SCENARIOS)), file


def test_names_and_titles_are_unique():
    assert len({each.name for each in SCENARIOS}) == len({each.title for each in SCENARIOS}) == len(SCENARIOS)


def test_every_figure_is_found_in_the_results_that_are_kept():
    found = {each.name: result for each in SCENARIOS if (result := results.load(each.name))}
    assert len(found) == len(SCENARIOS)
    assert [figure.what for figure in FIGURES if figure.measured(found) is None] == []


def test_only_what_is_between_the_markers_changes():
    text = "before\n<!-- benchmarks:a -->\nold\n<!-- /benchmarks:a -->\nafter"
    filled = document.fill(text, {"a": "new\nlines"})
    assert filled == "before\n<!-- benchmarks:a -->\nnew\nlines\n<!-- /benchmarks:a -->\nafter"
    assert document.fill(filled, {"a": "old"}) == text


def test_a_document_without_markers_is_refused():
    with pytest.raises(ValueError, match="benchmarks:b"):
        document.fill("<!-- benchmarks:b -->\nno end", {"b": "new"})


def test_a_cell_has_the_median_the_spread_and_the_rounds_where_they_are_fewer():
    line = a_line("x", 1.0, 3.0, 2.0)
    assert tables.cell(line.summary("seconds"), 3) == "2 (1…3)"
    assert tables.cell(line.summary("seconds"), 5) == "2 (1…3; 3 rounds)"
    assert tables.cell(a_line("x", 0.01234).summary("seconds"), 5) == "0.0123 (1 round)"
    assert tables.cell(None, 5) == ""


def test_large_numbers_are_whole():
    assert [tables.number(value) for value in (0.04321, 99.94, 1234.5)] == ["0.0432", "99.9", "1,234"]


def test_what_was_not_measured_stands_in_the_table_with_its_reason():
    result = a_result(
        "plain", a_line("ours", 1.0, 2.0, 3.0), a_line("peer", reason="could not be installed: no | wheel")
    )
    assert tables.of(PLAIN, result).splitlines() == [
        "|  | time [s] |",
        "| --- | ---: |",
        "| ours | 2 (1…3) |",
        "| peer | could not be installed: no / wheel |",
    ]


def test_sizes_become_columns_and_get_an_exponent():
    lines = [
        a_line("o10", 1.0, group="ours", size=10, mib=[5.0]),
        a_line("o100", 10.0, group="ours", size=100, mib=[5.0]),
        a_line("p10", 2.0, group="peer", size=10, mib=[7.0]),
        a_line("p100", group="peer", size=100, reason="cut off at the limit of 9 s"),
    ]
    time, memory = tables.of(GROWING, a_result("growing", *lines, rounds=1)).split("\n\n")
    assert time.splitlines() == [
        "| time [s] | 10 | 100 | one more | exponent |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours | 1 (1 round) | 10 (1 round) | 0.1 | 1.00 |",
        "| peer | 2 (1 round) | cut off at the limit of 9 s |  |  |",
    ]
    assert memory.splitlines()[2:] == [
        "| ours | 5 (1 round) | 5 (1 round) | 0 | 0.00 |",
        "| peer | 7 (1 round) |  |  |  |",
    ]


def test_a_part_says_where_rounds_are_missing_and_where_nothing_was_measured():
    partial = a_result("plain", a_line("ours", 1.0), complete=False)
    assert "rounds are missing" in document.measurements([PLAIN], {"plain": partial})
    assert "that has used 7 s gets no" in document.measurements([PLAIN], {"plain": a_result("plain", budget=7.0)})
    assert "Not measured yet." in document.measurements([PLAIN], {})


def test_results_of_different_versions_say_so():
    first, second = a_result("a"), a_result("b")
    assert document.machine({"a": first, "b": second}).count("\n") == 0
    second.versions["tool"] = "2.0"
    told = document.machine({"a": first, "b": second}).splitlines()
    assert len(told) == 2
    assert re.search(r"tool 2\.0.*\(b\)$", told[1])


@pytest.mark.parametrize(("most", "verdict"), [(2.0, "yes"), (1.99, "no")])
def test_a_figure_is_reached_or_not(most, verdict):
    figure = Figure(what="it", most=most, unit="s", measured=median("plain", "ours"))
    found = {"plain": a_result("plain", a_line("ours", 1.0, 2.0, 3.0))}
    assert figure.row(found) == ("it", f"{most:.3g} s", "2 s", verdict)


def test_a_figure_without_numbers_is_not_reached():
    figure = Figure(what="it", most=1.0, unit="s", measured=median("plain", "ours"))
    assert figure.row({})[3] == "not measured"
    assert figure.row({"plain": a_result("plain", a_line("ours", reason="failed"))})[3] == "not measured"


def test_figures_of_growth_leave_out_the_start_and_one_more_step_the_submit():
    inner, served = {10: 1.0, 100: 5.5, 1000: 120.0}, {10: 0.5, 100: 5.0, 1000: 100.0}
    lines = [
        a_line(f"{size}", 9.0, group="azureml_wrapper", size=size, inner=[inner[size]], served=[served[size]])
        for size in inner
    ]
    found = {"growth": a_result("growth", *lines)}
    assert one_more_step(found) == pytest.approx(50.0)
    assert per_step(found) == pytest.approx(1.2)
    assert (one_more_step({}), per_step({})) == (None, None)


def test_a_ratio_is_of_medians():
    lines = a_line("build, wrapper", 2.0, requests=[6.0]), a_line("build, SDK alone", 1.0, requests=[6.0])
    found = {"overhead": a_result("overhead", *lines)}
    assert over_raw("build", "requests")(found) == 1.0
    assert over_raw("build", "seconds")(found) == 2.0
    assert ratio(median("overhead", "build, wrapper"), median("overhead", "missing"))(found) is None
