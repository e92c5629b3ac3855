"""`many_steps.py HOW COUNT`: builds and submits a pipeline of COUNT new steps, by the wrapper or by the SDK alone.

Prints the seconds and the requests for each step, in a connected process; the run is canceled.
"""

import contextlib
import importlib
import io
import json
import os
import sys
import time
from pathlib import Path

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper

how, count = sys.argv[1], int(sys.argv[2])
ws = WorkspaceWrapper("bench", "bench", "local").ws
for name in ("azureml.pipeline.core", "azureml.pipeline.steps"):
    importlib.import_module(name)
from azureml.core import ComputeTarget, Environment, Experiment, RunConfiguration  # noqa: E402
from azureml.pipeline.core import Pipeline  # noqa: E402
from azureml.pipeline.steps import PythonScriptStep  # noqa: E402

Path("many").mkdir(exist_ok=True)
Path("many", "main.py").write_text(f"print({time.time_ns()})\n")


def by_wrapper():
    step = {"script_name": "main", "script_directory": "many"}
    names = {"ws_name": "bench", "resource_group": "bench", "subscription_id": "local"}
    steps = [{"step_name": f"step{number}", **step} for number in range(count)]
    config = {**names, "env_name": "bench", "compute_name": "bench", "steps": steps}
    return PipelineWrapper.from_config(config).run("many", wait=False)


def by_sdk():
    configuration = RunConfiguration()
    configuration.environment = Environment.get(ws, "bench")
    common = {"compute_target": ComputeTarget(ws, "bench"), "runconfig": configuration, "source_directory": "many"}
    steps = [PythonScriptStep("main.py", f"step{number}", **common) for number in range(count)]
    return Experiment(ws, "many").submit(Pipeline(ws, steps))


def requests():
    return len(Path(os.environ["REQUESTS"]).read_text().splitlines())


before, start = requests(), time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    run = by_wrapper() if how == "wrapper" else by_sdk()
seconds, needed = time.perf_counter() - start, requests() - before
run.cancel()
print(json.dumps({"seconds": seconds / count, "requests": needed / count}))
