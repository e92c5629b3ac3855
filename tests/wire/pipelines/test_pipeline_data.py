"""Data of pipelines through the SDK: folders of steps, references, datasets, parameters that name data."""

from __future__ import annotations

import pytest
from azureml.core import Dataset
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.pipeline.core import PipelineData, PipelineParameter
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException

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
    copy = middle.as_download(input_name="copy")
    run = complete([first, make(LIST, "second", [copy], inputs=[copy])])
    assert said(run, "second", "FOUND") == [["words.txt"]]


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


def test_a_table_made_in_a_way_that_is_not_known_is_refused(ws, submit, make):
    output = OutputFileDatasetConfig("tables")
    table = output.read_delimited_files(partition_format="/{kind}/a.csv").as_input("table")
    with pytest.raises(ErrorResponseException, match="AddColumnsFromPartitionFormatBlock"):
        submit([make(CSV, "write", [output]), make(PASS, "read", [table])])
