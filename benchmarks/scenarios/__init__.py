"""All scenarios, in the order of docs/performance.md."""

from __future__ import annotations

from benchmarks.scenario import Scenario
from benchmarks.scenarios import (
    chain,
    growth,
    lists,
    metrics,
    overhead,
    runs,
    schedules,
    snapshot,
    start,
    status,
    sync,
    transfer,
)

SCENARIOS: tuple[Scenario, ...] = (
    chain.TRIVIAL,
    chain.WITH_SDK,
    growth.CHAINS,
    growth.FANS,
    lists.SCENARIO,
    overhead.SCENARIO,
    metrics.SCENARIO,
    runs.SCENARIO,
    snapshot.SCENARIO,
    transfer.TABLE,
    transfer.BLOB,
    sync.SCENARIO,
    status.SCENARIO,
    schedules.SCENARIO,
    start.SCENARIO,
)
