"""All scenarios, in the order of docs/performance.md."""

from __future__ import annotations

from benchmarks.scenario import Scenario
from benchmarks.scenarios import chain, growth

SCENARIOS: tuple[Scenario, ...] = (
    chain.TRIVIAL,
    chain.WITH_SDK,
    growth.CHAINS,
    growth.FANS,
)
