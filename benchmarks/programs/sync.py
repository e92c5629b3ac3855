"""Moves folders: `sync.py WHAT FOLDER TARGET`; prints how long that took in seconds, once the SDK was there.

up, down: by WorkspaceWrapper.sync_folder; sdk-up, sdk-down: by the SDK's datastore.
"""

import contextlib
import io
import json
import shutil
import sys
import time
from pathlib import Path

from azureml_wrapper import WorkspaceWrapper

DATASTORE = "workspaceblobstore"


def move(workspace, what, folder, target):
    """A function that moves once."""
    store = workspace.ws.get_default_datastore()
    downloaded = Path("downloaded")
    shutil.rmtree(downloaded, ignore_errors=True)
    ways = {
        "up": lambda: workspace.sync_folder(folder, DATASTORE, target=target, show_progress=False),
        "down": lambda: workspace.sync_folder(
            downloaded / target, DATASTORE, target=target, direction="down", show_progress=False
        ),
        "sdk-up": lambda: store.upload(str(folder), target_path=target, overwrite=True, show_progress=False),
        "sdk-down": lambda: store.download(str(downloaded), prefix=target, show_progress=False),
    }
    return ways[what]


def main():
    what, folder, target = sys.argv[1:]
    workspace = WorkspaceWrapper("bench", "bench", "local")
    with contextlib.redirect_stdout(io.StringIO()):
        do = move(workspace, what, Path(folder), target)
        start = time.perf_counter()
        do()
        took = time.perf_counter() - start
    if what.endswith("down"):
        assert count(Path("downloaded", target)) == count(Path(folder))
    print(json.dumps({"seconds": took}))


def count(folder):
    return sum(1 for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
