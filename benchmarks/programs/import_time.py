"""How long an import takes in a fresh interpreter, in seconds: that of azureml_wrapper, or of a given module."""

import importlib
import json
import sys
import time

name = sys.argv[1] if len(sys.argv) > 1 else "azureml_wrapper"
start = time.perf_counter()
importlib.import_module(name)
print(json.dumps({"seconds": time.perf_counter() - start}))
