"""Runs the pipeline of a config to its end: `pipeline.py CONFIG`.

Prints the seconds from submit to completed, and those of the run by itself, from its start to its end by the
service's clock: without what the client's SDK does to build and to submit the steps.
"""

import importlib
import json
import sys
import time

from dateutil.parser import isoparse

from azureml_wrapper import PipelineWrapper

pipeline = PipelineWrapper.from_config(sys.argv[1])
connected = pipeline.workspace.ws
for name in ("azureml.pipeline.core", "azureml.pipeline.steps"):
    importlib.import_module(name)
start = time.perf_counter()
run = pipeline.run("bench")
took = time.perf_counter() - start
assert run.status == "Completed", run.status
details = run.raw.get_details()
begun, ended = (isoparse(details[key]) for key in ("startTimeUtc", "endTimeUtc"))
print(json.dumps({"inner": took, "served": (ended - begun).total_seconds()}))
