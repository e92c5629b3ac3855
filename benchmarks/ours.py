"""azureml_wrapper as it is measured: a throw-away home, a service in it, and programs in fresh processes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import HOME_VARIABLE, Home, ServiceInfo
from benchmarks.peers.peer import CLEAN
from benchmarks.pipelines import Pipeline, script
from benchmarks.processes import Failed, Finished, run

NAMES = {"ws_name": "bench", "resource_group": "bench", "subscription_id": "local"}
ENVIRONMENT, COMPUTE = "bench", "bench"
PROGRAMS = Path(__file__).parent / "programs"
PYTHON = Path(sys.executable)
SET_UP_SECONDS = 120.0


class Place:
    """The home of a user, and of the service that the user's programs find."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "service")
        (folder / "user" / ".azureml").mkdir(parents=True)

    @property
    def variables(self) -> dict[str, str]:
        own = {"HOME": str(self.folder / "user"), HOME_VARIABLE: str(self.home.path)}
        return {**CLEAN, **own, "PATH": f"{PYTHON.parent}:/usr/local/bin:/usr/bin:/bin"}

    def start(self) -> ServiceInfo:
        """The running service. It is a child of this user's `aml`, so that it has this user's variables."""
        found = service_process.find(self.home)
        if found:
            return found
        self.aml("local", "up")
        return service_process.start(self.home)

    def stop(self) -> None:
        service_process.stop(self.home)

    def aml(self, *words: str, limit: float = SET_UP_SECONDS) -> Finished:
        return run([PYTHON.with_name("aml"), *words], folder=self.folder, variables=self.variables, limit=limit)

    def program(
        self,
        name: str,
        *words: object,
        limit: float = SET_UP_SECONDS,
        with_memory: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run programs/<name>.py in a fresh process; its memory is that of the service, too."""
        command: Sequence[str | Path] = [PYTHON, PROGRAMS / f"{name}.py", *map(str, words)]
        service = service_process.find(self.home) if with_memory else None
        return run(
            command,
            folder=self.folder,
            variables={**self.variables, **(variables or {})},
            limit=limit,
            with_memory_of=[service.pid] if service else None,
        )

    def set_up(self) -> None:
        """Register environment and compute, and run steps until they start warm."""
        self.start()
        self.program("set_up")
        first = Pipeline(folder=self.folder / "first", steps=3)
        write(first)
        for _ in range(2):
            renew(first)
            self.program("pipeline", first.folder / "config.json")


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A place with a service, which is stopped at the end; nothing is left."""
    folder.mkdir(parents=True)
    made = Place(folder)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def write(pipeline: Pipeline) -> None:
    """The config and the script of a pipeline."""
    (pipeline.folder / "scripts").mkdir(parents=True, exist_ok=True)
    (pipeline.folder / "config.json").write_text(json.dumps(config(pipeline)))
    renew(pipeline)


def renew(pipeline: Pipeline) -> None:
    """Change the script, so that nothing of earlier runs is reused."""
    (pipeline.folder / "scripts" / "step.py").write_text(script(pipeline, time.time_ns()))


def config(pipeline: Pipeline) -> dict[str, Any]:
    steps = []
    for number, source in enumerate(pipeline.sources()):
        reads = {} if source is None else {"input_steps": {"--input-folder": f"step{source}"}}
        own = {"script_name": "step.py", "script_directory": "scripts"}
        steps.append({"step_name": f"step{number}", **own, **reads})
    return {**NAMES, "env_name": ENVIRONMENT, "compute_name": COMPUTE, "steps": steps}


def run_pipeline(place: Place, pipeline: Pipeline, *, limit: float, with_memory: bool = False) -> dict[str, float]:
    """Run a pipeline from a fresh process: `seconds` of the process, `inner` ones from submit to completed."""
    done = place.program("pipeline", pipeline.folder / "config.json", limit=limit, with_memory=with_memory)
    values = done.json()
    if not isinstance(values, dict):
        raise Failed("printed no times", done.output)
    return {"seconds": done.seconds, **values, **({"mib": done.peak / 2**20} if with_memory else {})}
