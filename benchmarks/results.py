"""What came out, as JSON: one file for each scenario, written after every measurement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.statistic import Summary

FOLDER = Path(__file__).parent / "results"


@dataclass(kw_only=True)
class Line:
    """All rounds of one entry. `reason` says why there are none, or no more."""

    name: str
    group: str = ""
    size: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    reason: str = ""

    def add(self, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.values.setdefault(key, []).append(round(value, 6))

    def summary(self, key: str) -> Summary | None:
        return Summary.of(self.values[key]) if self.values.get(key) else None


@dataclass(kw_only=True)
class Result:
    """A scenario's lines. `campaign` is when the run of the whole suite began, so that it can be taken up again.

    `budget` is in seconds: an entry that has used it up got no further round.
    """

    scenario: str
    campaign: str
    rounds: int
    budget: float
    quick: bool
    machine: dict[str, str]
    versions: dict[str, str]
    complete: bool = False
    lines: list[Line] = field(default_factory=list)

    def line(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)

    def groups(self) -> dict[str, list[Line]]:
        """The lines with sizes, by group."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            if line.size:
                found.setdefault(line.group, []).append(line)
        return found

    def medians(self, group: str, key: str) -> dict[int, float]:
        """Size -> median, of the sizes that were measured."""
        summaries = {line.size: line.summary(key) for line in self.groups().get(group, [])}
        return {size: summary.median for size, summary in summaries.items() if summary}


def save(result: Result, folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.scenario}.json"
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(file)


def load(name: str, folder: Path = FOLDER) -> Result | None:
    """The result of a scenario; None if it has not been measured."""
    file = folder / f"{name}.json"
    if not file.exists():
        return None
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Result(**{**data, "lines": [Line(**line) for line in data["lines"]]})
