"""Files to measure with: the same bytes every time, made once and kept in benchmarks/.work/data."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.scenario import Values

SEED = 20260101
BLOCK_ROWS = 10_000
MARK = 20
KINDS = ("Adelie", "Chinstrap", "Gentoo")


def csv(cache: Path, size: int) -> Path:
    """A table of at least `size` bytes: numbers, texts and times. Its rows repeat."""
    return _kept(
        cache / f"table-{size}.csv", lambda file: _repeat(file, size, _rows().encode(), b"id,kind,mass,length,time\n")
    )


def noise(cache: Path, size: int) -> Path:
    """A file of at least `size` random bytes, which repeat every 4 MiB, alone in its folder."""
    block = random.Random(SEED).randbytes(2**22)
    return _kept(cache / f"noise-{size}" / "noise.bin", lambda file: _repeat(file, size, block, b""))


def change(file: Path) -> None:
    """Another content of the same size: in a table, the first row gets another id."""
    with file.open("r+b") as table:
        table.readline()
        table.write(b"%0*d" % (MARK, time.time_ns()))


def folder(where: Path, files: int, size: int, mark: object) -> Path:
    """A folder of small files, a hundred to a subfolder, all with another content for another `mark`."""
    filler = random.Random(SEED).randbytes(size).hex()[:size]
    for number in range(files):
        file = where / f"part{number // 100:03}" / f"file{number:05}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{mark} {number}\n{filler}")
    return where


def copy(source: Path, target: Path) -> Values:
    """Seconds of `cp`, the yardstick; the copy is removed."""
    start = time.perf_counter()
    subprocess.run(["cp", "-r", source, target], check=True)
    took = time.perf_counter() - start
    subprocess.run(["rm", "-r", target], check=True)
    return {"seconds": took}


def _kept(file: Path, make: Callable[[Path], None]) -> Path:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        make(temporary)
        temporary.replace(file)
    return file


def _repeat(file: Path, size: int, block: bytes, head: bytes) -> None:
    with file.open("wb") as out:
        written = out.write(head)
        while written < size:
            written += out.write(block)


def _rows() -> str:
    return "".join(_row(random.Random(SEED + number)) for number in range(BLOCK_ROWS))


def _row(dice: random.Random) -> str:
    values = (dice.choice(KINDS), dice.randint(2500, 6500), round(dice.gauss(200, 14), 6))
    day = f"2026-{dice.randint(1, 12):02}-{dice.randint(1, 28):02} {dice.randint(0, 23):02}:00:00"
    return ",".join(map(str, (f"{dice.getrandbits(60):0{MARK}d}", *values, day))) + "\n"
