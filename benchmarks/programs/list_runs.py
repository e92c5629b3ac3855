"""`list_runs.py COUNT`: lists all runs of an experiment with the SDK, and prints how long that took in seconds."""

import json
import sys
import time

from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.target import Scope

ws = connect(Scope("local", "bench", "bench"))
from azureml.core import Experiment  # noqa: E402

experiment = Experiment(ws, "many")
start = time.perf_counter()
found = sum(1 for _ in experiment.get_runs(include_children=True))
took = time.perf_counter() - start
assert found > int(sys.argv[1]), found
print(json.dumps({"seconds": took}))
