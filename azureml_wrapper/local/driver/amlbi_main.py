"""The program of a ParallelRunStep, started by launcher.py with the SDK's arguments (_parallel_run_step_base.py)."""

import importlib
import sys

if __name__ == "__main__":
    # The launcher saves what was logged to the run; each worker has to do that, too.
    launcher = sys.modules.get("launcher") or sys.modules["__launcher__"]
    sys.exit(importlib.import_module("azureml_user.parallel_run.master").main(sys.argv[1:], launcher.flush))
