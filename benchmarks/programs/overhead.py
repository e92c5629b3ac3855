"""One operation by the wrapper or by the SDK alone: `overhead.py WHAT HOW`, in a folder with a config.

Prints how many requests the first one needed, from the connection on, and the median of the next ones in seconds.
What is registered or submitted is new each time.
"""

import contextlib
import io
import json
import os
import statistics
import sys
import time
from pathlib import Path

REPETITIONS = 3
CONFIG, SCRIPT, TABLE = Path("config.json"), Path("scripts", "step.py"), Path("table.csv")


def wrapped_build():
    from azureml_wrapper import PipelineWrapper

    return PipelineWrapper.from_config(CONFIG).build()


def wrapped_submit():
    from azureml_wrapper import PipelineWrapper

    return PipelineWrapper.from_config(CONFIG).run("overhead", wait=False)


def wrapped_publish():
    from azureml_wrapper import PipelineWrapper

    return PipelineWrapper.from_config(CONFIG).register("overhead", "Measured")


def wrapped_register():
    from azureml_wrapper import WorkspaceWrapper

    return WorkspaceWrapper.from_config(CONFIG).register_csv("workspaceblobstore", "table", source=TABLE)


def connect():
    from azureml_wrapper.connection.connections import connect
    from azureml_wrapper.connection.target import Scope

    return connect(Scope("local", "bench", "bench"))


def sdk_build():
    """As somebody writes it who has read the SDK's documentation."""
    ws = connect()
    from azureml.core import ComputeTarget, Environment, RunConfiguration
    from azureml.data import OutputFileDatasetConfig
    from azureml.pipeline.core import Pipeline
    from azureml.pipeline.steps import PythonScriptStep

    configuration = RunConfiguration()
    configuration.environment = Environment.get(ws, "bench")
    compute = ComputeTarget(ws, "bench")
    common = {"source_directory": "scripts", "compute_target": compute, "runconfig": configuration}
    folder = OutputFileDatasetConfig("output_folder")
    first = PythonScriptStep("step.py", "step0", arguments=["--output-folder", folder], **common)
    last = PythonScriptStep("step.py", "step1", arguments=["--input-folder", folder.as_input()], **common)
    return Pipeline(ws, [first, last])


def sdk_submit():
    from azureml.core import Experiment

    return Experiment(connect(), "overhead").submit(sdk_build())


def sdk_publish():
    return sdk_build().publish("overhead-sdk", "Measured", version="1")


def sdk_register():
    ws = connect()
    from azureml.core import Dataset, Datastore

    datastore = Datastore.get(ws, "workspaceblobstore")
    datastore.upload_files([str(TABLE)], target_path="sdk", overwrite=True, show_progress=False)
    table = Dataset.Tabular.from_delimited_files((datastore, "sdk/table.csv"))
    return table.register(ws, "table-sdk", create_new_version=True)


OPERATIONS = {
    ("build", "wrapper"): wrapped_build,
    ("submit", "wrapper"): wrapped_submit,
    ("publish", "wrapper"): wrapped_publish,
    ("register", "wrapper"): wrapped_register,
    ("build", "sdk"): sdk_build,
    ("submit", "sdk"): sdk_submit,
    ("publish", "sdk"): sdk_publish,
    ("register", "sdk"): sdk_register,
}


def requests():
    return len(Path(os.environ["REQUESTS"]).read_text().splitlines())


def change():
    """New content, so that nothing is known already."""
    script = SCRIPT.read_text().split("\n", 1)[1]
    SCRIPT.write_text(f"# {time.time_ns()}\n{script}")
    TABLE.write_text("number,time\n" + "".join(f"{row},{time.time_ns()}\n" for row in range(1000)))


def finish(made):
    """Wait for what was submitted: it must not run beside the next one."""
    if hasattr(made, "status"):
        from azureml_wrapper import RunWrapper

        (made if isinstance(made, RunWrapper) else RunWrapper(made)).wait()


def main():
    what, how = sys.argv[1:]
    operation, took, needed = OPERATIONS[what, how], [], 0
    for number in range(REPETITIONS + 1):
        change()
        before, start = requests(), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            made = operation()
        if number:
            took.append(time.perf_counter() - start)
        else:
            needed = requests() - before
        if what == "submit":
            finish(made)
    print(json.dumps({"seconds": statistics.median(took), "requests": needed}))


if __name__ == "__main__":
    main()
