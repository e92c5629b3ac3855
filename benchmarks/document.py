"""docs/performance.md: the parts between its markers are generated from the results; the rest is left alone."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import environments, results, tables
from benchmarks.figures import FIGURES
from benchmarks.results import Result
from benchmarks.scenario import Scenario

DOCS = Path(__file__).parents[1] / "docs"
FILE = DOCS / "performance.md"
PLOTS = DOCS / "performance"
PROGRAM = Path(__file__).parent / "programs" / "plot.py"
WIDTH = 120
# Which plot belongs to which scenario.
PICTURES = {"chain": "chain.svg", "chain-sdk": "chain-sdk.svg", "growth": "growth.svg"}


def write(scenarios: Sequence[Scenario]) -> None:
    """Put tables and plots of all results into the document."""
    found = {each.name: result for each in scenarios if (result := results.load(each.name))}
    plot(found)
    FILE.write_text(fill(FILE.read_text(encoding="utf-8"), parts(scenarios, found)), encoding="utf-8")


def parts(scenarios: Sequence[Scenario], found: Mapping[str, Result]) -> dict[str, str]:
    """The text for each pair of markers."""
    return {"figures": figures(found), "machine": machine(found), "results": measurements(scenarios, found)}


def fill(text: str, new: Mapping[str, str]) -> str:
    """The document with what is between `<!-- benchmarks:NAME -->` and `<!-- /benchmarks:NAME -->` replaced."""
    for name, content in new.items():
        begin, end = f"<!-- benchmarks:{name} -->\n", f"<!-- /benchmarks:{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"The document lacks the markers {begin.strip()} … {end}.")
        text = f"{before}{begin}{content}\n{end}{after}"
    return text


def figures(found: Mapping[str, Result]) -> str:
    return tables.table(["figure", "limit", "measured", "met"], [figure.row(found) for figure in FIGURES])


def machine(found: Mapping[str, Result]) -> str:
    """The machines and versions of the results, each combination once."""
    seen: dict[str, list[str]] = {}
    for name, result in found.items():
        seen.setdefault(_conditions(result), []).append(name)
    alone = len(seen) == 1
    return "\n".join(f"- {text}" + ("" if alone else f" ({', '.join(names)})") for text, names in seen.items())


def _conditions(result: Result) -> str:
    on, of = result.machine, result.versions
    versions = ", ".join(f"{name} {version}" for name, version in of.items() if name != "commit")
    return (
        f"{on['processor']}, {on['cores']} cores, {on['memory']}, {on['system']}, Python {on['python']}; {versions}; "
        f"started {result.campaign}"
    )


def measurements(scenarios: Sequence[Scenario], found: Mapping[str, Result]) -> str:
    return "\n\n".join(_part(each, found.get(each.name)) for each in scenarios)


def _part(scenario: Scenario, result: Result | None) -> str:
    text = f"{scenario.about} {_bounds(scenario, result)}"
    about = textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    head = f"### {scenario.title}\n\n`make bench ARGS={scenario.name}`\n\n{about}"
    if result is None:
        return f"{head}\n\nNot measured yet."
    picture = PICTURES.get(scenario.name)
    shown = f"\n\n![{scenario.title}](performance/{picture})" if picture else ""
    unfinished = "" if result.complete else "\n\nThe measurement was interrupted: rounds are missing."
    return f"{head}\n\n{tables.of(scenario, result)}{unfinished}{shown}"


def _bounds(scenario: Scenario, result: Result | None) -> str:
    budget = result.budget if result else scenario.budget
    return (
        f"A measurement is stopped after {scenario.limit:.0f} s; a line that has used {budget:.0f} s "
        "gets no further round."
    )


def plot(found: Mapping[str, Result]) -> None:
    """Draw the pictures, in a separate environment: nothing else needs matplotlib."""
    PLOTS.mkdir(exist_ok=True)
    for name in PICTURES.keys() & found.keys():
        python = environments.ensure("plot") / "python"
        source, target = results.FOLDER / f"{name}.json", PLOTS / PICTURES[name]
        subprocess.run([python, PROGRAM, source, target], check=True)
