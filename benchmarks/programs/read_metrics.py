"""`read_metrics.py RUN COUNT`: reads the metrics of a run, and prints how long that took in seconds."""

import json
import sys
import time

from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.target import Scope

ws = connect(Scope("local", "bench", "bench"))
run = ws.get_run(sys.argv[1])
start = time.perf_counter()
found = run.get_metrics()["loss"]
took = time.perf_counter() - start
assert len(found) == int(sys.argv[2]), len(found)
print(json.dumps({"seconds": took}))
