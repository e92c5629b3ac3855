"""`log_metrics.py COUNT HOW`: calls `run.log` COUNT times; prints when it began and ended (Unix time).

HOW is `run` (a run of the workspace; its id is printed, too) or `offline` (the SDK without a workspace).
"""

import json
import sys
import time

from azureml_wrapper.connection.connections import connect
from azureml_wrapper.connection.target import Scope


def begin(how):
    if how == "offline":
        from azureml.core import Run

        return Run.get_context()
    from azureml.core import Experiment

    return Experiment(connect(Scope("local", "bench", "bench")), "metrics").start_logging(snapshot_directory=None)


def main():
    count, how = int(sys.argv[1]), sys.argv[2]
    run = begin(how)
    start = time.time()
    for number in range(count):
        run.log("loss", number / count)
    run.complete()
    print(json.dumps({"start": start, "end": time.time(), "run": run.id}))


if __name__ == "__main__":
    main()
