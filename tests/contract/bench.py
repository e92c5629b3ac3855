"""A bench for executors: real stores without a server, and shorthands. Without the SDK.

A second implementation joins the suites by another entry of `STARTERS`.
"""

from __future__ import annotations

import atexit
import functools
import sys
from dataclasses import replace
from pathlib import Path

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.jobs import Command, Job, Script
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.executor.local import LocalExecutor
from azureml_wrapper.local.executor.process import ColdStarter
from azureml_wrapper.local.executor.warm import WarmStarter
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.services.environment_definitions import read_environment
from azureml_wrapper.local.services.runconfig import distribution
from tests.waiting import SECONDS, until

READY_SECONDS = 60.0


class SharedStarter(WarmStarter):
    """One for all tests of a process, because it takes seconds to get ready.

    Each bench has a home, and so an AZURE_CONFIG_DIR, of its own; jobs here do without it. Another bench's end does
    not close it.
    """

    def explain(self, command, *, folder, variables):
        return super().explain(command, folder=folder, variables=_shared(variables))

    def start(self, command, *, folder, variables, log):
        return super().start(command, folder=folder, variables=_shared(variables), log=log)

    def preload(self, interpreter, variables):
        super().preload(interpreter, _shared(variables))

    def close(self):
        pass


def _shared(variables):
    return {name: value for name, value in variables.items() if name != "AZURE_CONFIG_DIR"}


@functools.cache
def warm_starter() -> SharedStarter:
    starter = SharedStarter()
    atexit.register(WarmStarter.close, starter)
    return starter


STARTERS = {"cold": ColdStarter, "warm": warm_starter}


class Bench:
    """A service's stores and an executor over them, with shorthands."""

    def __init__(self, home: Home, starter, cores: int = 2) -> None:
        self.context = build_context(home, 1)
        self.home, self.make_starter = home, starter
        self.workspace = self.context.workspaces.get("local", "local", "local")
        self.experiment = self.context.experiments.ensure(self.workspace.workspace_id, "e")
        self.shared = self.context.executor._context
        self.executor = LocalExecutor(self.shared, starter=starter(), cores=cores)
        self.executor.preload()
        if starter is warm_starter:
            (kind,) = [kind for kind in starter()._preloaded if kind[0] == sys.executable][:1]
            assert starter().await_ready(kind[0], dict(kind[1]), READY_SECONDS)
        self.seen: dict[str, list[str]] = {}
        self.context.runs.listen(lambda run: self.seen.setdefault(run.run_id, []).append(run.status.value))
        self.add_compute("cpu", 4)

    def add_compute(self, name: str, nodes: int) -> None:
        now = self.context.clock.now()
        compute = Compute(name=name, created=now, modified=now, vm_size="STANDARD_D2_V2", max_nodes=nodes)
        self.context.computes.put(self.workspace.workspace_id, compute)

    def snapshot(self, files: dict[str, str | bytes]) -> str:
        folder = self.home.incoming / self.context.ids.guid()
        root = self._folder_tree("")
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            place = root
            for part in Path(name).parent.parts:
                place = place["children"].setdefault(part, self._folder_tree(part))
            place["children"][path.name] = {"type": "File", "hash": self.context.ids.guid(), "children": {}}
        tree = read_tree(root)
        uploads = {name: folder / name for name in files}
        snapshot_id = self.context.ids.guid()
        self.context.snapshots.add(self.workspace.workspace_id, snapshot_id, tree, uploads)
        return snapshot_id

    def _folder_tree(self, name: str) -> dict:
        return {"name": name, "type": "Directory", "hash": self.context.ids.guid(), "children": {}}

    def add_run(self) -> str:
        run = Run(
            workspace_id=self.workspace.workspace_id,
            run_id=f"e_{self.context.ids.short()}",
            experiment="e",
            experiment_id=self.experiment.experiment_id,
            created=self.context.clock.now(),
            run_type="azureml.scriptrun",
        )
        self.context.runs.add(run)
        return run.run_id

    def submit(self, source: str | bytes = "", run_id: str | None = None, **fields) -> str:
        run_id = run_id or self.add_run()
        defaults = {"target": "cpu", "script": None if fields.get("command") else "main.py"}
        job = Job(
            workspace_id=self.workspace.workspace_id,
            run_id=run_id,
            **_read({**defaults, "snapshot_id": self.snapshot({"main.py": source}), **fields}),
        )
        self.executor.submit(job)
        return run_id

    def run(self, source: str | bytes = "", **fields) -> Run:
        return self.wait(self.submit(source, **fields))

    def wait(self, run_id: str, *statuses: str, seconds: float = SECONDS) -> Run:
        """The run, once it has one of the statuses (default: an end)."""

        def reached() -> Run | None:
            run = self.get(run_id)
            has_it = run.status.value in statuses or (not statuses and run.status.is_terminal)
            return run if has_it else None

        def tell() -> str:
            return f"{run_id} is {self.get(run_id).status.value}:\n{self.log(run_id)}"

        return until(reached, seconds=seconds, tell=tell)

    def get(self, run_id: str) -> Run:
        return self.context.runs.get(self.workspace.workspace_id, run_id)

    def file(self, run_id: str, path: str) -> Path:
        folder = self.home.blobs / self.workspace.storage_account / "azureml" / "ExperimentRun" / f"dcid.{run_id}"
        return folder / path

    def log(self, run_id: str, path: str = "user_logs/std_log.txt") -> str:
        file = self.file(run_id, path)
        return file.read_bytes().decode(errors="replace") if file.exists() else "(no log)"

    def printed(self, run_id: str) -> list[str]:
        """The lines of the script itself."""
        return [line for line in self.log(run_id).splitlines() if not line.startswith("[local] ")]

    def await_text(self, run_id: str, text: str) -> str:
        until(lambda: text in self.log(run_id), tell=lambda: self.log(run_id))
        return self.log(run_id)

    def store_folder(self, path: str) -> Path:
        return self.shared.datastore_folder(self.workspace.workspace_id, "workspaceblobstore", path)

    def dataset(self, path: str) -> str:
        return self.context.datasets.save_folder(self.workspace.workspace_id, "workspaceblobstore", path).saved_id


def _read(fields: dict) -> dict:
    """The fields of a job, of which task, environment and processes are in the words of run configurations."""
    script, command, arguments = (fields.pop(name, None) for name in ("script", "command", "arguments"))
    task = Command(line=command) if command else Script(path=script)
    nodes, communicator = fields.get("node_count", 1), fields.pop("communicator", None)
    per_node = fields.pop("processes_per_node", 1)
    return {
        **fields,
        "task": replace(task, arguments=tuple(arguments or ())),
        "environment": read_environment(fields.get("environment") or {}),
        "distribution": distribution(communicator, nodes, per_node),
    }


def message(run: Run) -> str:
    return run.error["error"]["message"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
