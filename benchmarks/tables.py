"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.results import Line, Result
from benchmarks.scenario import Quantity, Scenario
from benchmarks.statistic import Summary, fit_power, slope

RATHER_WHOLE = 100


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column stands left, the others right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= RATHER_WHOLE else f"{value:.3g}"


def cell(summary: Summary | None, rounds: int | None = None) -> str:
    """The median, with the least and the most; the number of rounds if it differs from `rounds`."""
    if summary is None:
        return ""
    if summary.rounds == 1:
        spread = "1 round"
    else:
        spread = f"{number(summary.least)}…{number(summary.most)}"
        spread += f"; {summary.rounds} rounds" if rounds and summary.rounds != rounds else ""
    return f"{number(summary.median)} ({spread})"


def of(scenario: Scenario, result: Result) -> str:
    """All tables of a scenario."""
    if result.groups():
        first = scenario.quantities[0]
        return "\n\n".join(_growth(result, each, with_reasons=each is first) for each in scenario.quantities)
    headings = ["", *(f"{each.heading} [{each.unit}]" for each in scenario.quantities)]
    return table(headings, [_row(scenario, result, line) for line in result.lines])


def _row(scenario: Scenario, result: Result, line: Line) -> list[str]:
    cells = [cell(line.summary(quantity.key), result.rounds) for quantity in scenario.quantities]
    if line.reason:
        cells[0] = f"{cells[0]} {line.reason}".strip()
    return [line.name, *cells]


def _growth(result: Result, quantity: Quantity, *, with_reasons: bool) -> str:
    """One line for each subject, one column for each size; if there are several, what one more costs on average
    between the smallest and the largest, and the exponent."""
    sizes = sorted({line.size for line in result.lines})
    headings = [f"{quantity.heading} [{quantity.unit}]", *(f"{size:,}" for size in sizes)]
    fitted = len(sizes) > 1
    rows = []
    for group, lines in result.groups().items():
        by_size = {line.size: line for line in lines}
        cells = [_sized(by_size.get(size), quantity, result.rounds, with_reasons) for size in sizes]
        rows.append([group, *cells, *(_fit(result.medians(group, quantity.key)) if fitted else [])])
    return table([*headings, *(["one more", "exponent"] if fitted else [])], rows)


def _fit(medians: Mapping[int, float]) -> list[str]:
    more, power = slope(medians), fit_power(medians)
    return [number(more) if more is not None else "", f"{power.exponent:.2f}" if power else ""]


def _sized(line: Line | None, quantity: Quantity, rounds: int, with_reason: bool) -> str:
    if line is None:
        return ""
    return f"{cell(line.summary(quantity.key), rounds)} {line.reason if with_reason else ''}".strip()
