"""Breaks the package in one place at a time, and runs the tests that must notice it: `make mutants`.

The places are those of mutations.py. Each is changed in a copy of the repository in a temporary folder; a test that
passes there does not test what it says.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "azureml_wrapper"
# What tests read; nothing of it is written to.
COPIED = (PACKAGE, "tests", "docs", "examples", "pyproject.toml", "setup.py", "README.md", "README.fr.md")
PASSED, FAILED = 0, 1
# For all tests of the list on a busy machine; they take 20 s of a processor.
LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Mutation:
    """A defect that somebody could write, and the tests that fail with it.

    Attributes:
        name: What a user would suffer.
        file: The module, below the package.
        before: Text that occurs there once.
        after: The text in its place.
        tests: Paths of tests, as for pytest; each must fail, of a parametrized one at least one case.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """The module with the defect."""
        found = source.count(self.before)
        if found != 1:
            raise ValueError(f"{self.name}: {self.before!r} occurs {found} times in {self.file}; expected once.")
        return source.replace(self.before, self.after)


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the repository that is first on the path of every Python that is started in it."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, folder)
        yield Path(folder)


@contextmanager
def broken(folder: Path, mutation: Mutation) -> Iterator[None]:
    """The copy with the defect."""
    file = folder / PACKAGE / mutation.file
    source = file.read_text(encoding="utf-8")
    try:
        _write(file, mutation.applied(source))
        yield
    finally:
        _write(file, source)


def _write(file: Path, source: str) -> None:
    file.write_text(source, encoding="utf-8")
    # It is up to date for a file that was changed within the same second, and is as long.
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def run_tests(folder: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *tests]
    variables = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )


def attempt(folder: Path, mutation: Mutation) -> str:
    """What became of a mutation: "killed" if each of its tests has failed."""
    with broken(folder, mutation):
        done = run_tests(folder, mutation.tests)
    if done.returncode not in (PASSED, FAILED):
        return f"ERROR\n{done.stdout}{done.stderr}"
    failed = [line.removeprefix("FAILED ") for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    lived = [test for test in mutation.tests if not any(name.startswith(test) for name in failed)]
    return f"LIVED in {', '.join(lived)}\n{done.stdout}" if lived else "killed"


def main(arguments: Sequence[str] | None = None) -> int:
    from tests.faults.mutations import MUTATIONS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Only the mutations whose names contain one of these.")
    names = parser.parse_args(arguments).names
    chosen = [each for each in MUTATIONS if not names or any(name in each.name for name in names)]
    with copy() as folder:
        done = run_tests(folder, sorted({test for each in chosen for test in each.tests}))
        if done.returncode != PASSED:
            print(f"Without any mutation:\n{done.stdout}{done.stderr}")
            return 1
        print(f"without a mutation: {done.stdout.strip().splitlines()[-1]}", flush=True)
        lived = 0
        for mutation in chosen:
            started = time.monotonic()
            outcome = attempt(folder, mutation)
            lived += outcome != "killed"
            print(f"{time.monotonic() - started:4.0f} s  {mutation.name}: {outcome}", flush=True)
    print(f"{len(chosen) - lived} of {len(chosen)} killed")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
