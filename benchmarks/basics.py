"""What a user waits for, measured on this machine: start-up times, a chain of ten steps, requests of a pipeline.

`python benchmarks/basics.py [REPETITIONS]` prints a table; each repetition is a process of its own, and everything is
kept in throw-away folders. Times in seconds.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from azureml_wrapper.local import control
from azureml_wrapper.local.home import HOME_VARIABLE, Home

REPETITIONS = 5
STEPS = 10
# A step that leaves nothing behind would make the next one fail, here as in Azure.
SCRIPT = """
import argparse
from pathlib import Path
from azureml.core import Run
run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--input-folder")
parser.add_argument("--output-folder")
arguments = parser.parse_args()
if arguments.output_folder:
    Path(arguments.output_folder, "done.txt").write_text("done")
run.complete()
"""
NAMES = ("bench", "bench", "local")

IMPORT = "import time; start = time.perf_counter(); import azureml_wrapper; print(time.perf_counter() - start)"

SET_UP = f"""
from azureml_wrapper import WorkspaceWrapper
workspace = WorkspaceWrapper(*{NAMES})
workspace.register_env("bench", [])
workspace.register_compute("bench")
"""

CHAIN = """
import sys, time
from azureml_wrapper import PipelineWrapper
start = time.perf_counter()
run = PipelineWrapper.from_config("chain.json").run("chain")
assert run.status == "Completed", run.status
print(time.perf_counter() - start)
"""

# http.client tells audit hooks what it sends; a request begins with its method. rslex's requests are not among them.
COUNT = """
import re, sys
requests = []
def hook(event, arguments):
    if event == "http.client.send":
        found = re.match(rb"(GET|PUT|POST|HEAD|DELETE|PATCH|OPTIONS) ", bytes(arguments[1][:8]))
        requests.extend([found] if found else [])
sys.addaudithook(hook)
"""

WRAPPED = """
from azureml_wrapper import PipelineWrapper
PipelineWrapper.from_config("pair.json").run("pair", wait=False)
print(len(requests))
"""

RAW = f"""
from azureml_wrapper.connection import Scope, connect_local
from azureml.core import Environment, Experiment, RunConfiguration
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep
ws = connect_local(Scope({NAMES[2]!r}, {NAMES[1]!r}, {NAMES[0]!r}))
configuration = RunConfiguration()
configuration.environment = Environment.get(ws, "bench")
common = dict(source_directory="scripts", compute_target="bench", runconfig=configuration, allow_reuse=False)
folder = OutputFileDatasetConfig("folder")
first = PythonScriptStep("step.py", "first", arguments=["--output-folder", folder], **common)
last = PythonScriptStep("step.py", "last", arguments=["--input-folder", folder.as_input()], **common)
Experiment(ws, "pair").submit(Pipeline(ws, [first, last]))
print(len(requests))
"""


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ |= {HOME_VARIABLE: str(folder / "home"), "HOME": str(folder)}
        prepare(folder)
        measures: dict[str, Callable[[], float]] = {
            "start of the service, new home": lambda: start_time(Path(tempfile.mkdtemp(dir=folder))),
            "start of the service, used home": lambda: start_time(folder / "again"),
            "import azureml_wrapper": lambda: number(python(IMPORT, folder)),
            "aml --help": help_time,
            f"chain of {STEPS} steps, config to completed": lambda: number(python(CHAIN, folder)),
            "requests, 2 steps, wrapper": lambda: requests(WRAPPED, folder),
            "requests, 2 steps, SDK alone": lambda: requests(RAW, folder),
        }
        try:
            python(SET_UP, folder)
            report(measures, repetitions)
        finally:
            control.stop()


def prepare(folder: Path) -> None:
    """The script and the configs of a chain and of a pair of steps."""
    (folder / "scripts").mkdir()
    (folder / "scripts" / "step.py").write_text(SCRIPT)
    for name, count in (("chain", STEPS), ("pair", 2)):
        steps = [
            {"step_name": f"step{n}", "script_name": "step", "script_directory": "scripts", "allow_reuse": False}
            for n in range(count)
        ]
        names = dict(zip(("ws_name", "resource_group", "subscription_id"), NAMES, strict=True))
        config = {**names, "env_name": "bench", "compute_name": "bench", "steps": steps}
        (folder / f"{name}.json").write_text(json.dumps(config))


def report(measures: dict[str, Callable[[], float]], repetitions: int) -> None:
    print(f"{'':<42} {'median':>8} {'least':>8} {'most':>8}   ({repetitions} repetitions)")
    for name, measure in measures.items():
        values = sorted(measure() for _ in range(repetitions))
        median, least, most = statistics.median(values), values[0], values[-1]
        print(f"{name:<42} {median:>8.3g} {least:>8.3g} {most:>8.3g}", flush=True)


def start_time(home: Path) -> float:
    start = time.perf_counter()
    control.start(Home(home))
    took = time.perf_counter() - start
    control.stop(Home(home))
    return took


def help_time() -> float:
    start = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("aml"), "--help"], capture_output=True, check=True)
    return time.perf_counter() - start


def python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    return done.stdout


def requests(code: str, folder: Path) -> float:
    """How many requests a program sends whose script is new: what is known is not uploaded again."""
    script = folder / "scripts" / "step.py"
    script.write_text(f"{SCRIPT}# {time.time_ns()}\n")
    return number(python(COUNT + code, folder))


def number(output: str) -> float:
    """The last number that a process printed."""
    return float(re.findall(r"^[\d.e-]+$", output, re.MULTILINE)[-1])


if __name__ == "__main__":
    main()
