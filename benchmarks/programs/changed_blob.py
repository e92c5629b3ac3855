"""Upload a file into a folder that a schedule watches: `changed_blob.py NAME`, in a folder with config.json.

Prints the seconds from the end of the upload to the start of the pipeline run that it begins, by the service's own
clock, which is this machine's; and how many requests publishing with the schedule has cost.
"""

import contextlib
import io
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

from azureml_wrapper import PipelineWrapper

LIMIT = 60.0


def requests():
    return len(Path(os.environ["REQUESTS"]).read_text().splitlines())


def main():
    name = sys.argv[1]
    pipeline = PipelineWrapper.from_config("config.json")
    store = pipeline.workspace.ws.get_default_datastore()
    before = requests()
    with contextlib.redirect_stdout(io.StringIO()):
        made = pipeline.register(name, "", "On_blob_change", datastore_name=store.name, path_on_datastore=name)
        needed = requests() - before
        file = Path(f"{name}.txt")
        file.write_text(name)
        store.upload_files([str(file)], target_path=name, show_progress=False)
    uploaded = time.time()
    run = None
    while run is None and time.time() < uploaded + LIMIT:
        time.sleep(0.05)
        run = made.schedule.get_last_pipeline_run()
    made.disable()
    begun = datetime.fromisoformat(run.get_details()["startTimeUtc"].replace("Z", "+00:00"))
    run.wait_for_completion(show_output=False)
    print(json.dumps({"seconds": begun.timestamp() - uploaded, "requests": needed}))


if __name__ == "__main__":
    main()
