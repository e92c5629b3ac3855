"""`new_files.py HOW COUNT`: submits a script whose folder has COUNT new files, by the SDK alone or as a job.

Prints the seconds until it is submitted, in a connected process.
"""

import contextlib
import io
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from azureml_wrapper import JobWrapper, WorkspaceWrapper

how, count = sys.argv[1], int(sys.argv[2])
workspace = WorkspaceWrapper("bench", "bench", "local")
ws = workspace.ws
from azureml.core import ComputeTarget, Environment, Experiment, ScriptRunConfig  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "main.py").write_text(f"print({time.time_ns()})\n")
    for number in range(count):
        Path(folder, f"{number}.txt").write_text(secrets.token_hex(500))
    if how == "sdk":
        experiment = Experiment(ws, "files")
        config = ScriptRunConfig(
            folder, "main.py", compute_target=ComputeTarget(ws, "bench"), environment=Environment.get(ws, "bench")
        )
    else:
        job = JobWrapper(
            "bench", "bench", "local", "main.py", env_name="bench", compute_name="bench", script_directory=folder
        )
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        run = experiment.submit(config) if how == "sdk" else job.submit("files")
    print(json.dumps({"seconds": time.perf_counter() - start}))
    run.cancel()
