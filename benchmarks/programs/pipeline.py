"""Runs the pipeline of a config to its end: `pipeline.py CONFIG`; prints the seconds from submit to completed."""

import importlib
import json
import sys
import time

from azureml_wrapper import PipelineWrapper

pipeline = PipelineWrapper.from_config(sys.argv[1])
connected = pipeline.workspace.ws
for name in ("azureml.pipeline.core", "azureml.pipeline.steps"):
    importlib.import_module(name)
start = time.perf_counter()
run = pipeline.run("bench")
took = time.perf_counter() - start
assert run.status == "Completed", run.status
print(json.dumps({"inner": took}))
