"""DVC: each stage a command; here the step script of Azure ML."""

from __future__ import annotations

from benchmarks.peers.peer import Peer
from benchmarks.pipelines import Pipeline, script


class Dvc(Peer):
    name = "DVC"
    environment = "dvc"
    reuses = True

    def write(self, pipeline: Pipeline) -> None:
        (pipeline.folder / "step.py").write_text(script(pipeline))
        lines = ["stages:"]
        for number, source in enumerate(pipeline.sources()):
            lines += self._stage(number, source)
        (pipeline.folder / "dvc.yaml").write_text("\n".join(lines) + "\n")

    def prepare(self, pipeline: Pipeline) -> list[list[str]]:
        dvc = str(self.programs / "dvc")
        return [[dvc, "init", "--no-scm", "--quiet"], [dvc, "config", "core.analytics", "false"]]

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "dvc"), "repro", "--quiet", *([] if reuse else ["--force"])]

    def _stage(self, number: int, source: int | None) -> list[str]:
        folder, given = f"out{number}", "" if source is None else f" --input-folder out{source}"
        command = f"mkdir -p {folder} && {self.programs / 'python'} step.py{given} --output-folder {folder}"
        reads = [] if source is None else [f"    - out{source}"]
        return [
            f"  step{number}:",
            f"    cmd: {command}",
            "    deps:",
            "    - step.py",
            *reads,
            "    outs:",
            f"    - {folder}",
        ]
