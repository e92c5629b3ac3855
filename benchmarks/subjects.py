"""Ours and the peers as entries: how a pipeline of each is made ready, and measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks import ours
from benchmarks.ours import Place
from benchmarks.peers.peer import Peer
from benchmarks.pipelines import Pipeline
from benchmarks.processes import Failed, run
from benchmarks.scenario import Values

WARM_UP_SECONDS = 120.0


class PeerRun:
    """A pipeline of a peer, written and prepared before it is measured first."""

    def __init__(
        self, peer: Peer, pipeline: Pipeline, limit: float, *, rerun: bool = False, memory: bool = False
    ) -> None:
        self.peer, self.pipeline, self._limit = peer, pipeline, limit
        self._rerun, self._memory = rerun and peer.reuses, memory
        self._prepared = False

    def measure(self) -> Values:
        if not self._prepared:
            self._prepare()
        values = self._once(reuse=False)
        if self._rerun:
            values["rerun"] = self._again()["seconds"]
        return values

    def _prepare(self) -> None:
        self._warm_up()
        self.pipeline.folder.mkdir(parents=True)
        self.peer.write(self.pipeline)
        for command in self.peer.prepare(self.pipeline):
            self._run(command, reuse=False)
        if self._rerun:
            self._once(reuse=True)
        self._prepared = True

    def _warm_up(self) -> None:
        """A pipeline that is not measured, once for each tool: many make their databases at the first run."""
        folder = self.pipeline.folder.parent / "warm-up"
        if self.pipeline.folder != folder and not folder.exists():
            PeerRun(self.peer, Pipeline(folder=folder, steps=2), WARM_UP_SECONDS).measure()

    def _once(self, *, reuse: bool) -> dict[str, float]:
        values = self._run(self.peer.command(self.pipeline, reuse=reuse), reuse=reuse)
        self._check(reuse)
        return values

    def _again(self) -> dict[str, float]:
        try:
            return self._once(reuse=True)
        except Failed:
            # ZenML looks for the newest inputs only, which come from the run without its cache; now they are known.
            return self._once(reuse=True)

    def _check(self, reuse: bool) -> None:
        """A time counts only if every step ran, or with reuse, none."""
        tally, steps = self.pipeline.tally, len(self.pipeline.sources())
        ran = tally.stat().st_size if tally.exists() else 0
        tally.unlink(missing_ok=True)
        # What fills the cache may find something there already, of another pipeline.
        if (self._prepared or not reuse) and ran != (0 if reuse else steps):
            raise Failed(f"ran {ran} of {steps} steps{' again' if reuse else ''}")

    def _run(self, command: list[str], *, reuse: bool) -> dict[str, float]:
        done = run(
            command,
            folder=self.pipeline.folder,
            variables=self.peer.variables(self.pipeline, reuse=reuse),
            limit=self._limit,
            with_memory_of=[] if self._memory else None,
        )
        return {"seconds": done.seconds, **({"mib": done.peak / 2**20} if self._memory else {})}


class OurRun:
    """A pipeline of azureml_wrapper with the service up, changed before each run."""

    def __init__(self, place: Place, pipeline: Pipeline, limit: float, *, memory: bool = False) -> None:
        self.place, self.pipeline, self._limit, self._memory = place, pipeline, limit, memory
        ours.write(pipeline)

    def measure(self) -> Values:
        """`seconds` of the fresh process, `inner` ones from submit to completed; with memory, `mib`."""
        ours.renew(self.pipeline)
        return self._once()

    def again(self) -> Values:
        """What `measure` gives, of a pipeline that has run before and has not been changed."""
        return self._once()

    def cold(self) -> Values:
        """From a fresh process that has to start the service."""
        self.place.stop()
        ours.renew(self.pipeline)
        seconds = self._once()["seconds"]
        self.place.stop()
        return {"seconds": seconds}

    def process(self) -> Values:
        """The fresh process, and again with nothing changed."""
        return {"seconds": self.measure()["seconds"], "rerun": self._once()["seconds"]}

    def imported(self) -> Values:
        """From submit to completed in a process that has the SDK, and again with nothing changed."""
        return {"seconds": self.measure()["inner"], "rerun": self._once()["inner"]}

    def _once(self) -> dict[str, float]:
        return ours.run_pipeline(self.place, self.pipeline, limit=self._limit, with_memory=self._memory)


def folder_name(name: str) -> Path:
    """A peer's name as that of a folder."""
    return Path("".join(letter if letter.isalnum() else "-" for letter in name.lower()))
