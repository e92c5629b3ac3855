"""Data of pipelines through the SDK: folders of steps, references, datasets, parameters that name data."""

from __future__ import annotations

import pytest
from azureml.core import Dataset
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.pipeline.core import PipelineData, PipelineParameter

from tests.wire.pipelines.scripts import APPEND, LIST, PASS, WRITE, said, step_of

pytestmark = pytest.mark.slow

FOLDER = ["a.csv", "sub/b.txt"]
CSV = """
    import pathlib, sys
    for name, text in (("one.csv", "x,y\\n1,2\\n"), ("two.csv", "x,y\\n3,4\\n"), ("note.txt", "no table")):
        path = pathlib.Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(sys.argv) < 3 or name.endswith(".csv"):
            path.write_text(text)
"""
READ_TABLE = """
    import json
    from azureml.core import Run
    table = Run.get_context().input_datasets["table"].to_pandas_dataframe()
    print("TABLE", json.dumps({name: list(map(str, column)) for name, column in table.items()}))
"""


def files_below(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def download(step, output, folder) -> dict[str, str]:
    step.get_output_data(output).download(str(folder), show_progress=False)
    return files_below(folder)


def test_an_output_lies_where_its_destination_says(ws, complete, make, unique, tmp_path):
    place = unique("place")
    output = OutputFileDatasetConfig("words", (ws.get_default_datastore(), place + "/{run-id}/{output-name}"))
    run = complete([make(WRITE, "write", [output.as_mount(), "a"])])
    step = step_of(run, "write")
    found = step.get_output_data("words")
    assert found.path_on_datastore == f"{place}/{step.id}/words"
    assert list(step.get_outputs()) == ["words"]
    assert download(step, "words", tmp_path / "got") == {"words.txt": "a"}


def test_an_output_without_a_destination_lies_in_a_folder_of_its_run(complete, make):
    run = complete([make(WRITE, "write", [OutputFileDatasetConfig("words"), "a"])])
    step = step_of(run, "write")
    assert step.get_output_data("words").path_on_datastore.strip("/") == f"dataset/{step.id}/words"


def test_the_output_of_a_step_becomes_a_dataset_that_its_reader_gets(complete, make):
    output = OutputFileDatasetConfig("words")
    run = complete(
        [make(WRITE, "write", [output, "a"]), make(LIST, "read", [output.as_input("words").as_download()])]
    )
    (made,) = step_of(run, "write").get_details()["outputDatasets"]
    (used,) = step_of(run, "read").get_details()["inputDatasets"]
    assert made["outputDetails"]["outputName"] == "words"
    assert used["dataset"].id == made["identifier"]["savedId"]
    assert said(run, "read", "FOUND") == [["words.txt"]]


def test_uploads_publish_what_their_globs_name(complete, make, unique, tmp_path):
    output = OutputFileDatasetConfig("tables").as_upload(overwrite=True, source_globs="**/*.csv")
    run = complete([make(CSV, "write", [output]), make(LIST, "read", [output.as_input("tables")])])
    assert said(run, "read", "FOUND") == [["one.csv", "two.csv"]]


def test_a_reader_of_an_output_without_files_fails_as_in_azure(submit, make):
    output = OutputFileDatasetConfig("nothing")
    run = submit([make(PASS, "write", [output]), make(LIST, "read", [output.as_input("nothing")])])
    run.wait_for_completion(show_output=False, raise_on_error=False)
    assert run.get_status() == "Failed"
    assert "does not contain any data" in str(run.get_details()["error"])
    assert "If another step should write there" in str(run.get_details()["error"])


def test_a_registered_output_is_a_dataset_of_the_workspace(ws, complete, make, unique):
    name = unique("registered")
    output = OutputFileDatasetConfig("words").register_on_complete(name, "made by a step", {"kind": "words"})
    complete([make(WRITE, "write", [output, "a"])])
    dataset = Dataset.get_by_name(ws, name)
    assert (dataset.version, dataset.description, dataset.tags) == (1, "made by a step", {"kind": "words"})


def test_an_output_can_be_read_as_a_table_by_the_next_step(complete, make):
    output = OutputFileDatasetConfig("tables")
    table = output.read_delimited_files().drop_columns("y").as_input("table")
    run = complete([make(CSV, "write", [output, "csv"]), make(READ_TABLE, "read", [table])])
    assert said(run, "read", "TABLE") == {"x": ["1", "3"]}


def test_an_output_can_be_a_table_itself(ws, complete, make, unique):
    name = unique("table")
    output = OutputFileDatasetConfig("tables").read_delimited_files().register_on_complete(name)
    run = complete([make(CSV, "write", [output, "csv"]), make(READ_TABLE, "read", [output.as_input("table")])])
    assert said(run, "read", "TABLE") == {"x": ["1", "3"], "y": ["2", "4"]}
    assert Dataset.get_by_name(ws, name).to_pandas_dataframe().shape == (2, 2)


def test_pipeline_data_goes_from_step_to_step(ws, complete, make, tmp_path):
    store = ws.get_default_datastore()
    middle, end = PipelineData("middle", store), PipelineData("end", store, pipeline_output_name="result")
    first = make(WRITE, "first", [middle, "a"], outputs=[middle])
    run = complete([first, make(APPEND, "second", [middle, end, "b"], inputs=[middle], outputs=[end])])
    step = step_of(run, "first")
    assert step.get_output_data("middle").path_on_datastore == f"azureml/{step.id}/middle"
    assert step.get_details()["outputDatasets"] == []
    run.get_pipeline_output("result").download(str(tmp_path / "got"), show_progress=False)
    assert files_below(tmp_path / "got") == {"words.txt": "a and b"}


def test_pipeline_data_can_be_uploaded_and_downloaded(ws, complete, make):
    middle = PipelineData("middle", ws.get_default_datastore(), output_mode="upload", output_path_on_compute="there")
    first = make(WRITE, "first", [middle, "a"], outputs=[middle])
    # The script writes below its working directory, without an argument from the pipeline's data.
    literal = PipelineData("literal", ws.get_default_datastore(), output_mode="upload", output_path_on_compute="a/b")
    second = make(WRITE, "second", ["a/b", "a"], outputs=[literal])
    copies = [middle.as_download(input_name="copy"), literal.as_download("copy2")]
    run = complete([first, second, make(LIST, "third", copies, inputs=copies)])
    assert said(run, "third", "FOUND") == [["words.txt"], ["words.txt"]]


def test_outputs_and_datasets_are_at_their_relative_paths(ws, complete, make, folder):
    outputs = [OutputFileDatasetConfig("up", source="up").as_upload(overwrite=True)]
    outputs.append(OutputFileDatasetConfig("mount", source="a/mount").as_mount())
    steps = [
        make(WRITE, output.name, [place, "a"], outputs=[output])
        for output, place in zip(outputs, ("up", "a/mount"), strict=True)
    ]
    files = Dataset.File.from_files([(ws.get_default_datastore(), f"{folder}/**")])
    inputs = [
        files.as_named_input("copied").as_download("in/copied"),
        files.as_named_input("mounted").as_mount("in/mounted"),
        *(output.as_input(f"{output.name}_in").as_mount(f"in/{output.name}") for output in outputs),
    ]
    places = ["in/copied", "in/mounted", "in/up", "in/mount"]
    run = complete([*steps, make(LIST, "read", places, inputs=inputs)])
    assert said(run, "read", "FOUND") == [FOLDER, FOLDER, ["words.txt"], ["words.txt"]]


def test_pipeline_data_can_become_a_dataset(ws, complete, make, unique):
    name = unique("promoted")
    words = PipelineData("words", ws.get_default_datastore()).as_dataset()
    named = words.register(name)
    first = make(WRITE, "first", [named, "a"], outputs=[named])
    read = named.as_named_input("words").as_mount()
    run = complete([first, make(LIST, "second", [read], inputs=[read])])
    assert said(run, "second", "FOUND") == [["words.txt"]]
    assert Dataset.get_by_name(ws, name).version == 1


@pytest.mark.parametrize("mode", ["mount", "download"])
def test_a_data_reference_gives_a_folder_of_a_datastore(ws, complete, make, folder, mode):
    reference = DataReference(ws.get_default_datastore(), "given", folder, mode=mode)
    run = complete([make(LIST, "read", [reference], inputs=[reference])])
    assert said(run, "read", "FOUND") == [FOLDER]


def test_a_data_reference_can_name_a_file(ws, complete, make, folder):
    reference = DataReference(ws.get_default_datastore(), "given", f"{folder}/sub/b.txt")
    run = complete([make(LIST, "read", [reference], inputs=[reference])])
    assert said(run, "read", "FOUND") == ["b"]


def test_datasets_reach_a_step_as_mount_and_as_download(ws, complete, make, folder, unique):
    files = Dataset.File.from_files([(ws.get_default_datastore(), f"{folder}/**")])
    registered = files.register(ws, unique("files"))
    arguments = [files.as_named_input("mounted").as_mount(), registered.as_named_input("copied").as_download()]
    run = complete([make(LIST, "read", arguments)])
    assert said(run, "read", "FOUND") == [FOLDER, FOLDER]
    used = {
        item["consumptionDetails"]["inputName"]: item["consumptionDetails"]["mechanism"]
        for item in step_of(run, "read").get_details()["inputDatasets"]
    }
    assert used == {"mounted": "Mount", "copied": "Download"}


def test_a_table_reaches_a_step_as_a_dataset(ws, complete, make, folder):
    table = Dataset.Tabular.from_delimited_files([(ws.get_default_datastore(), f"{folder}/a.csv")])
    run = complete([make(READ_TABLE, "read", inputs=[table.as_named_input("table")])])
    assert said(run, "read", "TABLE") == {"x": ["1", "3"], "y": ["2", "4"]}


def test_the_version_of_a_dataset_is_the_one_that_was_given(ws, complete, make, folder, unique):
    store, name = ws.get_default_datastore(), unique("versions")
    first = Dataset.File.from_files([(store, f"{folder}/**")]).register(ws, name)
    Dataset.File.from_files([(store, f"{folder}/sub/**")]).register(ws, name, create_new_version=True)
    latest = Dataset.get_by_name(ws, name)
    arguments = [first.as_named_input("one").as_mount(), latest.as_named_input("two").as_mount()]
    run = complete([make(LIST, "read", arguments)])
    assert said(run, "read", "FOUND") == [FOLDER, ["b.txt"]]


def test_a_dataset_can_be_a_parameter(ws, submit, make, folder):
    store = ws.get_default_datastore()
    usual = Dataset.File.from_files([(store, f"{folder}/**")])
    other = Dataset.File.from_files([(store, f"{folder}/sub/**")])
    given = DatasetConsumptionConfig("given", PipelineParameter("files", usual)).as_mount()
    step = make(LIST, "read", [given])
    found = []
    for parameters in ({}, {"files": other}):
        run = submit([step], pipeline_parameters=parameters)
        assert run.wait_for_completion(show_output=False) == "Finished"
        found += said(run, "read", "FOUND")
    assert found == [FOLDER, ["b.txt"]]


def test_a_path_can_be_a_parameter(ws, submit, make, folder):
    store = ws.get_default_datastore()
    parameter = PipelineParameter("place", DataPath(store, folder))
    given = (parameter, DataPathComputeBinding(mode="mount"))
    step = make(LIST, "read", [given], inputs=[given])
    found = []
    for parameters in ({}, {"place": DataPath(store, f"{folder}/sub")}):
        run = submit([step], pipeline_parameters=parameters)
        assert run.wait_for_completion(show_output=False) == "Finished"
        found += said(run, "read", "FOUND")
    assert found == [FOLDER, ["b.txt"]]


def test_a_dataset_that_is_gone_fails_the_step_with_its_name(ws, submit, make):
    missing = Dataset.File.from_files([(ws.get_default_datastore(), "no/such/folder/**")], validate=False)
    run = submit([make(LIST, "read", [missing.as_named_input("gone").as_mount()])])
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert "gone" in step_of(run, "read").get_details()["error"]["error"]["message"]


TABLES = """
    import pathlib, sys
    import pandas as pd
    folder = pathlib.Path(sys.argv[1])
    for kind, number in (("red", 1), ("blue", 3)):
        (folder / kind).mkdir(parents=True)
        frame = pd.DataFrame({"x": [number], "y": [number + 1]})
        frame.to_csv(folder / kind / "a.csv", index=False)
        frame.to_parquet(folder / kind / "a.parquet")
    (folder / "note.txt").write_text("no table")
"""
COUNT = """
    from azureml.core import Run
    inputs = Run.get_context().input_datasets
    found = {name: sorted(map(str, data.to_pandas_dataframe().to_numpy().tolist())) for name, data in inputs.items()}
    import json
    print("TABLES", json.dumps(found))
"""


def test_pipeline_data_can_be_parsed_into_tables(ws, complete, make, unique):
    """The SDK's own defaults: only files that end in .csv or .parquet are read."""
    name = unique("parsed")
    files = PipelineData("files", ws.get_default_datastore()).as_dataset()
    registered = files.parse_delimited_files().register(name)
    half = files.parse_delimited_files().random_split(0.5, seed=1)
    inputs = [
        files.parse_delimited_files().as_named_input("delimited"),
        files.parse_parquet_files().keep_columns(["y"]).as_named_input("parquet"),
        files.parse_delimited_files(partition_format="/{kind}/a.csv").as_named_input("kinds"),
        half[0].as_named_input("first"),
        half[1].as_named_input("second"),
    ]
    first = make(TABLES, "first", [registered], outputs=[registered])
    run = complete([first, make(COUNT, "second", inputs=inputs)])
    found = said(run, "second", "TABLES")
    assert found["delimited"] == ["['1', '2']", "['3', '4']"]
    assert found["parquet"] == ["[2]", "[4]"]
    assert found["kinds"] == ["['1', '2', 'red']", "['3', '4', 'blue']"]
    assert sorted(found["first"] + found["second"]) == found["delimited"]
    # "It has no effect on the output even if it is passed to the output" (the SDK's docstring).
    assert len(Dataset.get_by_name(ws, name).to_path()) == 5


def test_outputs_can_be_filtered_and_partitioned(ws, complete, make, unique):
    plain, whole = unique("plain"), unique("whole")
    files = OutputFileDatasetConfig("files", partition_format="/{kind}/a.{extension}").register_on_complete(plain)
    table = OutputFileDatasetConfig("table").read_delimited_files(
        path_glob="[.]csv$", partition_format="/{kind}/a.csv"
    )
    inputs = [
        files.read_parquet_files(path_glob="[.]parquet$").drop_columns("extension").as_input("parquet"),
        table.drop_columns("y").as_input("dropped"),
    ]
    steps = [
        make(TABLES, "first", [files]),
        make(TABLES, "other", [table.register_on_complete(whole)]),
        make(COUNT, "second", inputs=inputs),
    ]
    found = said(complete(steps), "second", "TABLES")
    assert found == {"parquet": ["[1, 2, 'red']", "[3, 4, 'blue']"], "dropped": ["['1', 'red']", "['3', 'blue']"]}
    assert type(Dataset.get_by_name(ws, plain)).__name__ == "FileDataset"
    assert sorted(Dataset.get_by_name(ws, whole).to_pandas_dataframe()["kind"]) == ["blue", "red"]
