"""What a scenario is: some entries that are measured side by side, and what is measured of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

Values = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One column: its key in what an entry's `measure` returns, its heading, its unit."""

    key: str
    heading: str
    unit: str = "s"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: `measure` is called once in each round. Raises `NotMeasured`, with the reason, if it has no number.

    Entries of one `group` differ in `size` only: their times are fitted against it.
    """

    name: str
    measure: Callable[[], Values]
    group: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How much is measured: a `folder` for all that is written, `shared` by all scenarios of a run, or kept in the
    `cache` for later ones; the `limit` of one measurement in seconds; whether only `quick` small cases are wanted, to
    see that everything works, and other tools at all.
    """

    folder: Path
    shared: Path
    cache: Path
    limit: float
    quick: bool = False
    peers: bool = True

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


Open = Callable[[Setting], AbstractContextManager[list[Entry]]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`open` makes ready what the entries need, and clears it away. `about` stands above the table, and says what a
    reader must know to judge the numbers.

    One measurement may take `limit` seconds. An entry that has used up `budget` seconds is not measured again.
    """

    name: str
    title: str
    about: str
    open: Open
    limit: float = 120.0
    budget: float = 20.0
    quantities: tuple[Quantity, ...] = field(default=(Quantity(key="seconds", heading="time"),))
