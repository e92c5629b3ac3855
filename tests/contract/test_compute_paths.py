"""`path_on_compute` of inputs and outputs: a relative one is the path that a script opens."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.jobs import JobInput, JobOutput, Mode
from azureml_wrapper.local.domain.runs import RunStatus
from tests.contract.bench import message

WRITE = """
import os, sys
for place in sys.argv[1:]:
    os.makedirs(place, exist_ok=True)
    open(place + '/a.csv', 'w').write(place)
"""
READ = """
import glob, os, sys
for value, place in zip(sys.argv[1::2], sys.argv[2::2]):
    print(os.path.relpath(value), sorted(glob.glob(place + '/**/*.csv', recursive=True)))
"""


def output(name: str, path_on_compute: str, mode: Mode = Mode.UPLOAD, *, is_dataset: bool = True) -> JobOutput:
    return JobOutput(
        name=name,
        mode=mode,
        datastore="workspaceblobstore",
        path="made/{run-id}/{output-name}",
        path_on_compute=path_on_compute,
        is_dataset=is_dataset,
    )


def made(bench, run) -> dict[str, str]:
    """The files of a run's outputs by their paths, which begin with the output's name."""
    folder = bench.store_folder(f"made/{run.run_id}")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def completed(bench, source: str = "", **fields):
    run = bench.run(source, **fields)
    assert run.status is RunStatus.COMPLETED, message(run)
    return run


@pytest.fixture
def data(bench):
    folder = bench.store_folder("data")
    (folder / "sub").mkdir()
    (folder / "a.csv").write_text("1")
    (folder / "sub" / "b.csv").write_text("2")
    return folder


def dataset(bench, name: str, path: str, mode: Mode, path_on_compute: str) -> JobInput:
    dataset_id = bench.dataset(path)
    return JobInput(name=name, mode=mode, variable=name, dataset_id=dataset_id, path_on_compute=path_on_compute)


def reference(name: str, mode: Mode, path_on_compute: str) -> JobInput:
    return JobInput(
        name=name,
        mode=mode,
        variable=f"AZUREML_DATAREFERENCE_{name}",
        datastore="workspaceblobstore",
        path="data",
        path_on_compute=path_on_compute,
    )


@pytest.mark.parametrize(("mode", "is_dataset"), [(Mode.UPLOAD, False), (Mode.UPLOAD, True), (Mode.MOUNT, True)])
def test_an_output_is_what_the_script_writes_to_its_path(bench, mode, is_dataset):
    places = {"plain": "rel", "dotted": "./dot/", "deep": "a/b", "shown": "outputs/rel"}
    outputs = tuple(output(name, place, mode, is_dataset=is_dataset) for name, place in places.items())
    run = completed(bench, WRITE, outputs=outputs, arguments=tuple(places.values()))
    assert made(bench, run) == {f"{name}/a.csv": place for name, place in places.items()}
    assert "not at" not in bench.log(run.run_id)
    if mode is Mode.UPLOAD:
        assert bench.file(run.run_id, "outputs/rel/a.csv").read_text() == "outputs/rel"


def test_an_output_s_argument_is_its_path(bench):
    outputs = (output("up", "rel"), output("mount", "a/b", Mode.MOUNT))
    arguments = ("DatasetOutputConfig:up", "rel", "DatasetOutputConfig:mount", "a/b")
    run = completed(bench, READ, outputs=outputs, arguments=arguments)
    assert bench.printed(run.run_id) == ["rel []", "a/b []"]


def test_outputs_may_lie_in_each_other(bench):
    outputs = (output("all", "all"), output("part", "all/part"))
    run = completed(bench, WRITE, outputs=outputs, arguments=("all", "all/part"))
    assert sorted(made(bench, run)) == ["all/a.csv", "all/part/a.csv", "part/a.csv"]


def test_a_file_at_an_output_s_path_keeps_its_name(bench):
    outputs = (output("model", "sub/model.pkl", is_dataset=False),)
    run = completed(bench, "open('sub/model.pkl', 'w').write('1')", outputs=outputs)
    assert made(bench, run) == {"model/model.pkl": "1"}


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.UPLOAD])
def test_other_paths_of_outputs_are_named_in_the_log(bench, mode):
    places = {
        "absolute": "/nowhere/rel",
        "out": "../rel",
        "out2": "a/../../rel",
        "file": "main.py",
        "in": "main.py/x",
    }
    outputs = tuple(output(name, place, mode) for name, place in places.items())
    arguments = tuple(f"DatasetOutputConfig:{name}" for name in places)
    run = completed(bench, WRITE, outputs=outputs, arguments=arguments)
    assert sorted(made(bench, run)) == sorted(f"{name}/a.csv" for name in places)
    for place in places.values():
        assert f"not at {place}: on this machine, only a relative path is used" in bench.log(run.run_id)


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.DOWNLOAD])
def test_a_dataset_is_at_its_path(bench, data, mode):
    inputs = (
        dataset(bench, "folder", "data", mode, "in/folder/"),
        dataset(bench, "glob", "data/*.csv", mode, "in/glob"),
        dataset(bench, "file", "data/a.csv", mode, "in/file"),
    )
    places = ("in/folder", "in/glob", "in/file")
    arguments = [
        argument
        for item, place in zip(inputs, places, strict=True)
        for argument in (f"DatasetConsumptionConfig:{item.name}", place)
    ]
    run = completed(bench, READ, inputs=inputs, arguments=tuple(arguments))
    assert bench.printed(run.run_id) == [
        "in/folder ['in/folder/a.csv', 'in/folder/sub/b.csv']",
        "in/glob ['in/glob/a.csv']",
        "in/file/a.csv ['in/file/a.csv']",
    ]
    assert "not at" not in bench.log(run.run_id)


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.DOWNLOAD])
def test_a_dataset_joins_the_files_of_the_script_s_folder_and_replaces_none(bench, data, mode):
    inputs = (dataset(bench, "free", "data", mode, "free"), dataset(bench, "taken", "data", mode, "taken"))
    arguments = ("DatasetConsumptionConfig:free", "free", "DatasetConsumptionConfig:taken", "taken")
    files = {"main.py": READ, "free/own.csv": "", "taken/a.csv": "own"}
    run = completed(bench, snapshot_id=bench.snapshot(files), inputs=inputs, arguments=arguments)
    free, taken = bench.printed(run.run_id)
    assert free == "free ['free/a.csv', 'free/own.csv', 'free/sub/b.csv']"
    assert taken.startswith("..")
    assert taken.endswith(" ['taken/a.csv']")
    assert "not at taken: on this machine, only a relative path is used, and only if" in bench.log(run.run_id)


def test_data_inside_of_a_mount_is_not_written_to_the_store(bench, data):
    inputs = (dataset(bench, "outer", "data", Mode.MOUNT, "x"), dataset(bench, "in", "data", Mode.DOWNLOAD, "x/in"))
    run = completed(bench, inputs=inputs, outputs=(output("out", "x/out"),))
    assert "not at x/in" in bench.log(run.run_id)
    assert "not at x/out" in bench.log(run.run_id)
    assert sorted(path.name for path in data.iterdir()) == ["a.csv", "sub"]


def test_a_downloaded_reference_is_below_its_datastore_s_name(bench, data):
    inputs = (reference("one", Mode.DOWNLOAD, "rel"), reference("two", Mode.DOWNLOAD, "../rel"))
    one, two = "workspaceblobstore/rel/data", "rel/data"
    arguments = ("$AZUREML_DATAREFERENCE_one", one, "$AZUREML_DATAREFERENCE_two", two)
    run = completed(bench, READ, inputs=inputs, arguments=arguments)
    assert bench.printed(run.run_id) == [f"{at} {[f'{at}/a.csv', f'{at}/sub/b.csv']}" for at in (one, two)]


def test_mounted_references_have_no_path_on_the_compute(bench, data):
    run = completed(
        bench,
        "import sys; print(sys.argv[1:])",
        inputs=(reference("read", Mode.MOUNT, "rel"),),
        outputs=(output("write", "rel", Mode.MOUNT, is_dataset=False),),
        arguments=("$AZUREML_DATAREFERENCE_read", "$AZUREML_DATAREFERENCE_write"),
    )
    assert bench.printed(run.run_id) == [str([str(data), str(bench.store_folder(f"made/{run.run_id}") / "write")])]
    assert bench.log(run.run_id).count("not at rel: data references and PipelineData have no path") == 2
