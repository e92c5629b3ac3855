"""`snapshot.py CONFIG`: submits a pipeline of one step; prints the seconds to submit, and to its end."""

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
run = pipeline.run("snapshot", wait=False, regenerate_outputs=True)
submitted = time.perf_counter() - start
run.wait()
print(json.dumps({"seconds": submitted, "completed": time.perf_counter() - start}))
