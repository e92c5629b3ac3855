"""Upload eight traces to the container that .env names."""

import json
import math
import tempfile
from pathlib import Path

from dotenv import dotenv_values

from azureml_wrapper import WorkspaceWrapper

variables = dotenv_values(".env")
names = ("BLOB_CONTAINER_NAME", "BLOB_ACCOUNT_NAME", "BLOB_ACCOUNT_KEY")
workspace = WorkspaceWrapper.from_config()
workspace.register_blob_datastore("surveys", *(variables[name] for name in names))
with tempfile.TemporaryDirectory() as folder:
    for number in range(8):
        trace = [math.exp(-((place - 10 * number) ** 2) / 20) for place in range(100)]
        Path(folder, f"trace-{number}.json").write_text(json.dumps(trace))
    print(workspace.sync_folder(folder, "surveys", target="raw"))
