"""How long `import azureml_wrapper` takes in a fresh interpreter, in seconds."""

import json
import time

start = time.perf_counter()
import azureml_wrapper  # noqa: E402, F401

print(json.dumps({"seconds": time.perf_counter() - start}))
