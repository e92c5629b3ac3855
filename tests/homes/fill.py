"""Fill a home folder with one of everything, and pack it: `python tests/homes/fill.py ARCHIVE.tar.gz`.

The archives beside this file are homes as earlier versions left them. Each was made by this script with that
version's code first on PYTHONPATH. tests/wire/test_old_homes.py opens them with today's code.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

# What the folder of a process, an interpreter and a home are called in the archive.
NAMES = "/home/user"
TRAIN = """
import os, sys
from azureml.core import Run
run = Run.get_context()
run.log("loss", 0.25)
os.makedirs(sys.argv[1], exist_ok=True)
with open(os.path.join(sys.argv[1], "model.txt"), "w") as file:
    file.write("weights")
print("trained")
"""
SCORE = "import os, sys; print(sorted(os.listdir(sys.argv[1])), file=open('outputs/seen.txt', 'w'))"
SWEEP = "import sys; from azureml.core import Run; Run.get_context().log('loss', float(sys.argv[-1]))"
FAIL = "raise ValueError('no such column: price')"


def fill(ws) -> None:
    """Make one of everything, in the workspace of a service that runs."""
    store = ws.get_default_datastore()
    cluster, runconfig = compute(ws)
    dataset = register_data(ws, store)
    register_model(ws)
    ws.get_default_keyvault().set_secret("password", "tops3cret")
    ws.get_default_keyvault().list_secrets()
    interactive_run(ws)
    script_runs(ws, cluster, runconfig)
    pipeline_runs(ws, store, runconfig, dataset)
    sweep(ws, cluster, runconfig)


def compute(ws):
    from azureml.core import Environment, RunConfiguration
    from azureml.core.compute import AmlCompute, ComputeTarget

    configuration = AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=2)
    cluster = ComputeTarget.create(ws, "cluster", configuration)
    cluster.wait_for_completion(show_output=False)
    environment = Environment("plain")
    environment.python.user_managed_dependencies = True
    environment.environment_variables = {"GREETING": "hello"}
    environment.register(ws)
    runconfig = RunConfiguration()
    runconfig.target, runconfig.environment = cluster, environment
    return cluster, runconfig


def register_data(ws, store):
    from azureml.core import Dataset

    Path("data").mkdir()
    Path("data/prices.csv").write_text("city,price\nParis,3\nLyon,2\n")
    store.upload("data", "data", show_progress=False)
    table = Dataset.Tabular.from_delimited_files((store, "data/prices.csv"))
    table.register(ws, "prices", description="by city", tags={"source": "survey"})
    return Dataset.File.from_files((store, "data")).register(ws, "price-files")


def register_model(ws) -> None:
    from azureml.core import Model

    Path("model.pkl").write_bytes(b"weights")
    Model.register(ws, "model.pkl", "classifier", tags={"stage": "test"}, description="first")
    Model.register(ws, "model.pkl", "classifier")


def interactive_run(ws) -> None:
    from azureml.core import Experiment

    run = Experiment(ws, "notebook").start_logging(snapshot_directory=None, outputs=False, display_name="by hand")
    for value in (1.0, 0.5, 0.25):
        run.log("loss", value)
    run.log_table("scores", {"precision": [0.5], "recall": [0.75]})
    run.set_tags({"by": "hand"})
    run.add_properties({"author": "user"})
    Path("note.txt").write_text("kept")
    run.upload_file("outputs/note.txt", "note.txt")
    child = run.child_run("child")
    child.log("depth", 1)
    child.complete()
    run.complete()


def script_runs(ws, cluster, runconfig) -> None:
    from azureml.core import Experiment, ScriptRunConfig

    settings = {"compute_target": cluster, "environment": runconfig.environment}
    for name, source, arguments in (("train", TRAIN, ["outputs"]), ("fail", FAIL, [])):
        folder = source_folder(name, source)
        run = Experiment(ws, "scripts").submit(ScriptRunConfig(folder, f"{name}.py", arguments, **settings))
        run.wait_for_completion(show_output=False, raise_on_error=False)


def source_folder(name: str, source: str) -> str:
    folder = Path("code", name)
    folder.mkdir(parents=True)
    folder.joinpath(f"{name}.py").write_text(source)
    return str(folder)


def pipeline_runs(ws, store, runconfig, dataset) -> None:
    from azureml.core import Experiment
    from azureml.data import OutputFileDatasetConfig
    from azureml.pipeline.core import Pipeline, PipelineEndpoint, PipelineParameter, Schedule, ScheduleRecurrence
    from azureml.pipeline.steps import PythonScriptStep

    output = OutputFileDatasetConfig("model", destination=(store, "models/{run-id}"))
    rate = PipelineParameter("rate", 0.1)
    data = dataset.as_named_input("files").as_mount()
    settings = {"runconfig": runconfig, "compute_target": runconfig.target}
    folder = source_folder("step", TRAIN)
    train = PythonScriptStep("step.py", "train", [output, rate], inputs=[data], source_directory=folder, **settings)
    folder = source_folder("score", SCORE)
    score = PythonScriptStep("score.py", "score", [output.as_input("model")], source_directory=folder, **settings)
    pipeline = Pipeline(ws, steps=[train, score])
    for rate_of_run in (0.1, 0.1):
        run = Experiment(ws, "pipeline").submit(
            pipeline, pipeline_parameters={"rate": rate_of_run}, show_output=False
        )
        run.wait_for_completion(show_output=False)
    published = pipeline.publish(name="nightly", description="every night", version="1.0")
    PipelineEndpoint.publish(ws, name="front", pipeline=published, description="for callers")
    later = ScheduleRecurrence("Day", 1, start_time=datetime(2099, 1, 1))
    Schedule.create(ws, "at night", published.id, "pipeline", recurrence=later, wait_for_provisioning=True)


def sweep(ws, cluster, runconfig) -> None:
    from azureml.core import Experiment, ScriptRunConfig
    from azureml.train.hyperdrive import GridParameterSampling, HyperDriveConfig, PrimaryMetricGoal, choice

    folder = source_folder("tune", SWEEP)
    script = ScriptRunConfig(folder, "tune.py", compute_target=cluster, environment=runconfig.environment)
    config = HyperDriveConfig(
        run_config=script,
        hyperparameter_sampling=GridParameterSampling({"--lr": choice(0.1, 0.2)}),
        primary_metric_name="loss",
        primary_metric_goal=PrimaryMetricGoal.MINIMIZE,
        max_total_runs=2,
        max_concurrent_runs=1,
    )
    Experiment(ws, "sweep").submit(config).wait_for_completion(show_output=False)


def pack(home: Path, archive: Path) -> None:
    """Keep what lasts, under neutral names: no path of the machine on which the archive was made."""
    for name in ("service.log", "service.json", "port", "lock"):
        (home / name).unlink(missing_ok=True)
    names = {str(home): f"{NAMES}/home", sys.prefix: f"{NAMES}/venv", str(Path.cwd()): f"{NAMES}/code"}
    rename_in_database(home / "state.sqlite", names)
    for file in home.rglob("*"):
        if file.is_file() and file.suffix != ".sqlite":
            content = file.read_bytes()
            for name, neutral in names.items():
                content = content.replace(name.encode(), neutral.encode())
            file.write_bytes(content)
    with tarfile.open(archive, "w:gz") as packed:
        for name in ("secret", "state.sqlite", "blobs", "snapshots"):
            packed.add(home / name, name, filter=anonymous)


def rename_in_database(file: Path, names: dict[str, str]) -> None:
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if kind == "TEXT":
                    for name, neutral in names.items():
                        sql = f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?)"  # noqa: S608
                        database.execute(sql, (name, neutral, name))
        database.commit()
        database.execute("VACUUM INTO ?", (f"{file}.packed",))
    Path(f"{file}.packed").replace(file)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main(archive: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    os.environ["HOME"] = os.environ["AZURE_CONFIG_DIR"] = str(folder)
    home = folder / "home"
    os.environ["AZUREML_WRAPPER_HOME"] = str(home)
    (folder / "work").mkdir()
    os.chdir(folder / "work")
    from azureml_wrapper import local

    with local.service(home):
        fill(local.workspace())
    pack(home, archive)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
