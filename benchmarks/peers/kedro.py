"""Kedro: a project with one pipeline, run by `kedro run`. Its telemetry is a plugin that is not installed."""

from __future__ import annotations

from benchmarks.peers.peer import FLOWS, Peer
from benchmarks.pipelines import Pipeline

PROJECT = """[tool.kedro]
package_name = "bench"
project_name = "bench"
kedro_init_version = "1.7.0"
source_dir = "src"
"""


class Kedro(Peer):
    name = "Kedro"
    environment = "kedro"
    steps_are = "one process"

    def write(self, pipeline: Pipeline) -> None:
        source = pipeline.folder / "src" / "bench"
        registry = (FLOWS / "kedro_registry.py").read_text()
        files = {
            pipeline.folder / "pyproject.toml": PROJECT,
            pipeline.folder / "conf" / "base" / "catalog.yml": "{}\n",
            pipeline.folder / "conf" / "local" / "catalog.yml": "{}\n",
            source / "__init__.py": "",
            source / "settings.py": "",
            source / "pipeline_registry.py": registry,
        }
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def command(self, pipeline: Pipeline, *, reuse: bool = False) -> list[str]:
        return [str(self.programs / "kedro"), "run"]
