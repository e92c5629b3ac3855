"""Data of single runs: datasets in, outputs out, as the script's SDK and the submitter's SDK see them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from azureml.core import Dataset, Datastore, Environment, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference

from tests.wire.test_script_run import finish, log, printed

READ_ALL = """
import os, sys
from azureml.core import Run
path = Run.get_context().input_datasets["data"]
assert path == sys.argv[1], (path, sys.argv)
print(sorted(os.path.relpath(os.path.join(d, f), path) for d, _, fs in os.walk(path) for f in fs))
"""


@pytest.fixture(scope="session")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-data", config)


@pytest.fixture
def run_script(ws, cluster, unique, tmp_path):
    experiment = Experiment(ws, unique("exp"))

    def make(source, **fields):
        folder = tmp_path / unique("src")
        folder.mkdir()
        (folder / "main.py").write_text(source)
        config = ScriptRunConfig(
            str(folder), script="main.py", compute_target=cluster, environment=Environment(unique("env"))
        )
        config.arguments = fields.pop("arguments", [])
        for name, value in fields.items():
            setattr(config.run_config, name, value)
        run = experiment.submit(config)
        assert finish(run) == "Completed", run.get_details()["error"]
        return run

    return make


def test_a_job_s_log_warns_of_dates_that_the_sdk_s_reader_multiplies(ws, run_script, unique, tmp_path):
    days = pd.Series(np.array(["2024-03-01", "2025-01-02"], dtype="datetime64[s]"))
    (tmp_path / "up").mkdir()
    for name, dates in (("seconds", days), ("nanoseconds", days.astype("datetime64[ns]"))):
        pd.DataFrame({"day": dates, "x": [1, 2]}).to_parquet(tmp_path / "up" / f"{name}.parquet")
    store, folder = ws.get_default_datastore(), unique("data")
    store.upload(str(tmp_path / "up"), folder, show_progress=False)
    source = """
from azureml.core import Run
for table in Run.get_context().input_datasets.values():
    print(str(table.to_pandas_dataframe()["day"].to_numpy()[0])[:10].removeprefix("+"))
"""
    logs = {}
    for name in ("seconds", "nanoseconds"):
        table = Dataset.Tabular.from_parquet_files((store, f"{folder}/{name}.parquet"), validate=False)
        run = run_script(source, arguments=[table.as_named_input("days")])
        logs[name] = printed(run, tmp_path), log(run, tmp_path).decode()
    warning = "Input days: seconds.parquet has dates in seconds (day), which the SDK's reader takes for milliseconds"
    # If the first assertion fails, the reader has been corrected: the warning can go.
    assert any(line.startswith("56134-01") for line in logs["seconds"][0])
    assert warning in logs["seconds"][1]
    assert "2024-03-01" in logs["nanoseconds"][0]
    assert "dates in seconds" not in logs["nanoseconds"][1]


@pytest.fixture
def folder(ws, unique, tmp_path):
    """A folder of the default datastore with a.csv, sub/b.csv and sub/c.txt."""
    name = unique("data")
    local = tmp_path / name
    (local / "sub").mkdir(parents=True)
    (local / "a.csv").write_text("x,y\n1,2\n")
    (local / "sub" / "b.csv").write_text("x,y\n3,4\n")
    (local / "sub" / "c.txt").write_text("text")
    ws.get_default_datastore().upload(str(local), target_path=name, show_progress=False)
    return name


@pytest.mark.parametrize("mode", ["mount", "download"])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/", ["a.csv", "sub/b.csv", "sub/c.txt"]),
        ("/**", ["a.csv", "sub/b.csv", "sub/c.txt"]),
        ("/**/*.csv", ["a.csv", "sub/b.csv"]),
    ],
)
def test_a_file_dataset_is_a_folder(ws, run_script, folder, tmp_path, mode, pattern, expected):
    dataset = Dataset.File.from_files((ws.get_default_datastore(), folder + pattern))
    named = dataset.as_named_input("data")
    run = run_script(READ_ALL, arguments=[named.as_mount() if mode == "mount" else named.as_download()])
    assert printed(run, tmp_path)[0] == str(expected)
    [item] = run.get_details()["inputDatasets"]
    assert item["dataset"].id
    assert item["consumptionDetails"]["mechanism"] == mode.title()


def test_a_tabular_dataset_is_read_in_the_script(ws, run_script, folder):
    dataset = Dataset.Tabular.from_delimited_files((ws.get_default_datastore(), f"{folder}/**/*.csv"))
    run = run_script(
        "from azureml.core import Run\nrun = Run.get_context()\n"
        "frame = run.input_datasets['data'].to_pandas_dataframe()\nrun.log('sum', int(frame.to_numpy().sum()))",
        arguments=[dataset.as_named_input("data")],
    )
    assert run.get_metrics() == {"sum": 10}


@pytest.mark.parametrize("mode", ["mount", "upload"])
def test_an_output_is_a_dataset_of_what_the_script_wrote(ws, run_script, unique, tmp_path, mode):
    name = unique("made")
    output = OutputFileDatasetConfig("out").register_on_complete(name, description="d")
    output = output.as_mount() if mode == "mount" else output.as_upload()
    run = run_script(
        "import os, sys\nfrom azureml.core import Run\nfolder = Run.get_context().output_datasets['out']\n"
        "assert folder == sys.argv[1]\nopen(os.path.join(folder, 'r.txt'), 'w').write('made')",
        arguments=[output],
    )
    dataset = Dataset.get_by_name(ws, name)
    assert dataset.description == "d"
    dataset.download(str(tmp_path / "got"))
    assert (tmp_path / "got" / "r.txt").read_text() == "made"
    [item] = run.get_details()["outputDatasets"]
    assert item["outputDetails"]["outputName"] == "out"
    assert item["identifier"]["savedId"] == dataset.id


def test_an_output_has_the_destination_that_was_chosen(ws, run_script, unique, tmp_path):
    store, place = ws.get_default_datastore(), unique("place")
    output = OutputFileDatasetConfig("out", destination=(store, f"{place}/{{run-id}}/x"))
    run = run_script("import sys\nopen(sys.argv[1] + '/r.txt', 'w').write('1')", arguments=[output])
    store.download(str(tmp_path / "got"), prefix=place, show_progress=False)
    assert (tmp_path / "got" / place / run.id / "x" / "r.txt").read_text() == "1"


def test_an_output_of_delimited_files_is_registered_as_a_table(ws, run_script, unique):
    name = unique("table")
    # In this order: after `read_delimited_files` the SDK does not send the name that a single run registers.
    output = OutputFileDatasetConfig("out").register_on_complete(name).read_delimited_files(separator=";")
    run_script("import sys\nopen(sys.argv[1] + '/r.csv', 'w').write('x;y\\n1;2\\n')", arguments=[output])
    frame = Dataset.get_by_name(ws, name).to_pandas_dataframe()
    assert list(frame.columns) == ["x", "y"]
    assert frame.astype(int).to_numpy().tolist() == [[1, 2]]


# "./bar" is the path in Microsoft Learn, "Access data in Azure storage services".
@pytest.mark.parametrize("before", ["", "./"])
def test_data_references_are_paths(ws, run_script, folder, unique, tmp_path, before):
    store, made = ws.get_default_datastore(), unique("made")
    source = DataReference(store, "source", path_on_datastore=before + folder, mode="mount")
    target = DataReference(store, "target", path_on_datastore=made, mode="upload")
    run_script(
        "import os, sys\nassert open(sys.argv[1] + '/sub/c.txt').read() == 'text'\n"
        "os.makedirs(sys.argv[2])\nopen(sys.argv[2] + '/new.txt', 'w').write('new')",
        arguments=[str(source), str(target)],
        data_references={"source": source.to_config(), "target": target.to_config()},
    )
    Datastore.get(ws, store.name).download(str(tmp_path / "got"), prefix=made, show_progress=False)
    assert (tmp_path / "got" / made / "new.txt").read_text() == "new"
