"""Run once: create the cluster, and upload the data to the datastore of .azureml/datastore.json."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from azureml_wrapper import WorkspaceWrapper

HERE = Path(__file__).resolve().parent


def main() -> None:
    workspace = WorkspaceWrapper.from_config(HERE / ".azureml" / "config.json")
    workspace.register_compute("cpu-cluster")
    store = json.loads((HERE / ".azureml" / "datastore.json").read_text())
    key = os.environ["STORAGE_KEY"]
    workspace.register_blob_datastore(store["datastore_name"], store["container_name"], store["account_name"], key)
    data = HERE / "data"
    data.mkdir(exist_ok=True)
    shutil.copy(HERE.parent / "quickstart" / "data" / "penguins.csv", data)
    print(workspace.sync_folder(data, store["datastore_name"], target="tables"))


if __name__ == "__main__":
    main()
