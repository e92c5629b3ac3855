"""Moves data: `transfer.py WHAT FILE`; prints how long that took in seconds, once the SDK was there and connected.

register: upload and register a table; read: that table as a data frame; pandas: the same file by pandas alone;
upload, download: a file to and from a datastore.
"""

import contextlib
import io
import json
import shutil
import sys
import time
from pathlib import Path

DATASTORE, TABLE = "workspaceblobstore", "table"


def connect():
    from azureml_wrapper.connection.connections import connect
    from azureml_wrapper.connection.target import Scope

    return connect(Scope("local", "bench", "bench"))


def register(file):
    from azureml_wrapper import WorkspaceWrapper

    workspace = WorkspaceWrapper("bench", "bench", "local", workspace=connect())
    return lambda: workspace.register_csv(DATASTORE, TABLE, source=file)


def read(file):
    from azureml.core import Dataset

    table = Dataset.get_by_name(connect(), TABLE)
    return table.to_pandas_dataframe


def pandas(file):
    from pandas import read_csv

    return lambda: read_csv(file)


def upload(file):
    datastore = connect().get_default_datastore()
    return lambda: datastore.upload_files([str(file)], target_path="bench", overwrite=True, show_progress=False)


def download(file):
    datastore, folder = connect().get_default_datastore(), Path("downloaded")
    shutil.rmtree(folder, ignore_errors=True)
    return lambda: datastore.download(str(folder), prefix=f"bench/{file.name}", show_progress=False)


def main():
    what, file = sys.argv[1], Path(sys.argv[2])
    with contextlib.redirect_stdout(io.StringIO()):
        do = {each.__name__: each for each in (register, read, pandas, upload, download)}[what](file)
        start = time.perf_counter()
        made = do()
        took = time.perf_counter() - start
    if what in ("read", "pandas"):
        assert made.shape[1] == 5, made.shape
    if what == "download":
        assert Path("downloaded", "bench", file.name).stat().st_size == file.stat().st_size
    print(json.dumps({"seconds": took}))


if __name__ == "__main__":
    main()
