"""No tool at all: `python step.py`, one after the other; of a fan, two at a time."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers.peer import Peer
from benchmarks.pipelines import Pipeline, script

LOOP = """import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def run(number, source):
    folder = Path(f"out{number}")
    folder.mkdir(exist_ok=True)
    given = [] if source is None else ["--input-folder", f"out{source}"]
    subprocess.run([sys.executable, "step.py", *given, "--output-folder", str(folder)], check=True)


if __name__ == "__main__":
    sources = SOURCES
    run(0, None)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(1, len(sources)), sources[1:]))
"""


class Loop(Peer):
    """In the interpreter of the suite, which has the SDK."""

    name = "python step.py in a loop"

    @property
    def programs(self) -> Path:
        return Path(sys.executable).parent

    def write(self, pipeline: Pipeline) -> None:
        (pipeline.folder / "step.py").write_text(script(pipeline))
        workers = "1" if pipeline.shape == "chain" else "2"
        text = LOOP.replace("SOURCES", repr(pipeline.sources())).replace("WORKERS", workers)
        (pipeline.folder / "loop.py").write_text(text)

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [sys.executable, "loop.py"]
