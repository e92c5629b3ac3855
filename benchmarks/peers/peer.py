"""What another tool has to be told, so that it runs the same pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks import environments
from benchmarks.pipelines import Pipeline

FLOWS = Path(__file__).parent / "flows"
# Of no user, and without telemetry: https://consoledonottrack.com, and the SDK's own switch.
CLEAN = {"LANG": "C.UTF-8", "DO_NOT_TRACK": "1", "HBI_WORKSPACE_JOB": "true"}


class Peer:
    """A tool. `steps_are` says what a step of it is: processes cost more, and keep steps from each other."""

    name: ClassVar[str]
    environment: ClassVar[str]
    steps_are: ClassVar[str] = "processes"
    reuses: ClassVar[bool] = False

    @property
    def programs(self) -> Path:
        """The folder of the tool's programs; `NotInstalled` where there is none."""
        return environments.ensure(self.environment)

    def state(self, pipeline: Pipeline) -> Path:
        """Where the tool keeps what lasts, its user's home included: beside its pipelines, one for all of them."""
        return pipeline.folder.parent / "state"

    def write(self, pipeline: Pipeline) -> None:
        """Write the pipeline's files into its folder."""

    def prepare(self, pipeline: Pipeline) -> list[list[str]]:
        """Commands that come before the first run of each pipeline, and are not measured."""
        return []

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        """Runs the pipeline: with `reuse` what has not changed is taken over, else every step runs."""
        raise NotImplementedError

    def settings(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        """The tool's own variables."""
        return {}

    def variables(self, pipeline: Pipeline, *, reuse: bool = False) -> dict[str, str]:
        """All variables of its processes."""
        home = self.state(pipeline) / "home"
        (home / ".azureml").mkdir(parents=True, exist_ok=True)
        path = f"{self.programs}:/usr/local/bin:/usr/bin:/bin"
        own = self.settings(pipeline, reuse=reuse)
        return {**CLEAN, "HOME": str(home), "PATH": path, **pipeline.variables, **own}
