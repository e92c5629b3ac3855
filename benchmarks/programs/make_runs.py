"""`make_runs.py COUNT`: a run with COUNT children, made by the SDK in batches; prints the id of one of them."""

import json
import sys

from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.target import Scope

ws = connect(Scope("local", "bench", "bench"))
from azureml.core import Experiment  # noqa: E402

# The most that the SDK makes at once.
BATCH = 100

parent = Experiment(ws, "many").start_logging(snapshot_directory=None)
for start in range(0, int(sys.argv[1]), BATCH):
    children = parent.create_children(count=min(BATCH, int(sys.argv[1]) - start))
parent.complete()
print(json.dumps({"run": children[0].id}))
