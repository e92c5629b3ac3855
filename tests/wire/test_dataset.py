"""Datasets through the SDK, whose native reader gets the data from the blob endpoint."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
import requests
from azureml.core import Dataset
from azureml.data import DataType, FileDataset, TabularDataset
from azureml.dataprep import ExecutionError
from azureml.exceptions import UserErrorException

CSV = 'id,name,when,x,flag\n1,Ann,2024-01-02,1.5,true\n2,"Bé, ""q""",2024-01-03,,false\n'
MORE = "id,name,when,x,flag\n3,Zoë,2024-02-02,2.5,true\n"


@pytest.fixture(scope="module")
def store(ws):
    return ws.get_default_datastore()


@pytest.fixture
def put(store, unique, tmp_path):
    """`put({"a.csv": "…"})`: these files in a new folder of the default datastore; the folder's path."""

    def upload(files: dict[str, str | bytes]) -> str:
        folder, target = tmp_path / unique("up"), unique("data")
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
        store.upload(str(folder), target, show_progress=False)
        return target

    return upload


@pytest.fixture
def table(put, store):
    """Two CSV files, three rows, as one tabular dataset."""
    return Dataset.Tabular.from_delimited_files((store, f"{put({'a.csv': CSV, 'b.csv': MORE})}/*.csv"))


@pytest.fixture
def files(put, store):
    """Three files, one of them empty, one in a folder, as one file dataset."""
    return Dataset.File.from_files((store, put({"two.txt": "22", "sub/one.txt": "1", "none.txt": ""})))


def delimited(store, path: str, **options) -> pd.DataFrame:
    return Dataset.Tabular.from_delimited_files((store, path), **options).to_pandas_dataframe()


# Reading tables --------------------------------------------------------------------------------------------------


def test_types_are_inferred(put, store):
    frame = delimited(store, f"{put({'a.csv': CSV})}/a.csv")
    assert list(frame.columns) == ["id", "name", "when", "x", "flag"]
    assert [str(kind) for kind in frame.dtypes[["id", "when", "x", "flag"]]] == [
        "int64",
        "datetime64[ns]",
        "float64",
        "bool",
    ]
    assert list(frame["name"]) == ["Ann", 'Bé, "q"']
    assert frame["x"].isna().tolist() == [False, True]


def test_types_can_be_set(put, store):
    path = put({"a.csv": "code,n\n007,1\n"})
    frame = delimited(store, path, set_column_types={"code": DataType.to_string()})
    assert list(frame["code"]) == ["007"]
    raw = delimited(store, path, infer_column_types=False)
    assert raw.to_dict("list") == {"code": ["007"], "n": ["1"]}


@pytest.mark.parametrize("end", ["", "/", "/*.csv", "/**", "/**/*.csv", "/?.csv"])
def test_a_folder_or_a_glob_is_all_its_files(put, store, end):
    folder = put({"a.csv": CSV, "b.csv": MORE})
    assert sorted(delimited(store, folder + end)["id"]) == [1, 2, 3]


def test_a_file_is_found_by_a_path_with_dots(put, store):
    folder = put({"a.csv": CSV})
    table = Dataset.Tabular.from_delimited_files(store.path(f"./{folder}/./a.csv"))
    assert list(table.to_pandas_dataframe()["id"]) == [1, 2]


def test_a_list_of_paths_keeps_its_order(put, store):
    folder = put({"a.csv": CSV, "b.csv": MORE})
    paths = [(store, f"{folder}/b.csv"), store.path(f"{folder}/a.csv")]
    assert list(Dataset.Tabular.from_delimited_files(paths).to_pandas_dataframe()["id"]) == [3, 1, 2]


@pytest.mark.parametrize("name", ["é à.csv", "a b+c%20.csv", "[x] {y}.csv", "日本.csv"])
def test_a_file_may_have_any_name(put, store, name):
    folder = put({name: MORE})
    assert list(delimited(store, folder)["id"]) == [3]


def test_separator_encoding_and_header_are_options(put, store):
    folder = put({"semi.csv": "a;b\n1;x\n", "latin.csv": "a,b\n5,é\n".encode("latin-1"), "bare.csv": "1,2\n3,4\n"})
    assert delimited(store, f"{folder}/semi.csv", separator=";").to_dict("list") == {"a": [1], "b": ["x"]}
    assert delimited(store, f"{folder}/latin.csv", encoding="iso88591")["b"].tolist() == ["é"]
    assert delimited(store, f"{folder}/bare.csv", header=False).to_dict("list") == {
        "Column1": [1, 3],
        "Column2": [2, 4],
    }


def test_lines_may_break_inside_quotes_where_asked(put, store):
    path = put({"a.csv": 'a,b\n1,"x\ny"\n'})
    assert delimited(store, path, support_multi_line=True)["b"].tolist() == ["x\ny"]


def test_the_path_can_be_a_column(put, store):
    folder = put({"a.csv": CSV, "b.csv": MORE})
    paths = delimited(store, f"{folder}/*.csv", include_path=True)["Path"]
    assert [path.rpartition("/")[2] for path in paths] == ["a.csv", "a.csv", "b.csv"]


def test_a_partition_format_makes_columns_of_paths(put, store):
    folder = put({"2024/01/x.csv": "v\n1\n", "2024/02/x.csv": "v\n2\n"})
    frame = delimited(store, f"{folder}/*/*/x.csv", partition_format="/{when:yyyy/MM}/x.csv")
    assert list(frame["when"]) == [pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 2, 1)]
    assert list(frame["v"]) == [1, 2]


@pytest.mark.parametrize("content", ["", "a,b\n"])
def test_a_table_without_rows_is_refused_unless_it_is_not_looked_at(put, store, content):
    path = f"{put({'a.csv': content})}/a.csv"
    with pytest.raises(UserErrorException, match="produced no records"):
        delimited(store, path)
    assert delimited(store, path, validate=False, infer_column_types=False).empty


def test_a_missing_file_is_an_error_when_looked_at(store, unique):
    missing = f"{unique()}/none.csv"
    with pytest.raises(UserErrorException, match="not found"):
        delimited(store, missing)
    dataset = Dataset.Tabular.from_delimited_files((store, missing), validate=False, infer_column_types=False)
    with pytest.raises(UserErrorException, match="not found"):
        dataset.to_pandas_dataframe()


@pytest.mark.local_only
def test_a_table_is_read_from_a_web_address(tmp_path):
    (tmp_path / "a b.csv").write_text(MORE)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a%20b.csv"
        frame = Dataset.Tabular.from_delimited_files(address).to_pandas_dataframe()
        server.shutdown()
    assert frame["name"].tolist() == ["Zoë"]


def test_parquet_and_json_lines_are_read(put, store, tmp_path):
    pd.DataFrame({"a": [1, 2], "b": ["x", "é"]}).to_parquet(tmp_path / "x.parquet")
    folder = put({"x.parquet": (tmp_path / "x.parquet").read_bytes(), "x.jsonl": '{"a":1,"b":"é"}\n{"a":2}\n'})
    parquet = Dataset.Tabular.from_parquet_files((store, f"{folder}/x.parquet")).to_pandas_dataframe()
    assert parquet.to_dict("list") == {"a": [1, 2], "b": ["x", "é"]}
    lines = Dataset.Tabular.from_json_lines_files((store, f"{folder}/x.jsonl")).to_pandas_dataframe()
    assert lines["a"].tolist() == [1, 2]
    assert lines["b"][0] == "é"


def test_a_table_of_many_megabytes_is_read_whole(put, store):
    rows = 400_000
    path = put({"big.csv": "a,b\n" + "".join(f"{n},{n * n:030d}\n" for n in range(rows))})
    frame = delimited(store, path, infer_column_types=False)
    assert len(frame) == rows
    assert frame["a"].iloc[[0, -1]].tolist() == ["0", str(rows - 1)]


def test_rows_and_columns_can_be_chosen(table):
    def shape(dataset):
        return dataset.to_pandas_dataframe().shape

    assert shape(table) == (3, 5)
    assert shape(table.take(1)) == (1, 5)
    assert shape(table.skip(2)) == (1, 5)
    assert list(table.keep_columns(["x", "id"]).to_pandas_dataframe().columns) == ["id", "x"]
    assert shape(table.drop_columns("id")) == (3, 4)
    assert table.filter(table["id"] > 1).to_pandas_dataframe()["id"].tolist() == [2, 3]


def test_a_random_split_is_a_split(table):
    parts = [part.to_pandas_dataframe()["id"].tolist() for part in table.random_split(0.5, seed=1)]
    assert sorted(parts[0] + parts[1]) == [1, 2, 3]
    assert parts == [part.to_pandas_dataframe()["id"].tolist() for part in table.random_split(0.5, seed=1)]


def test_a_time_column_selects_rows(ws, table, unique):
    registered = table.with_timestamp_columns("when").register(ws, unique("series"))
    found = Dataset.get_by_name(ws, registered.name).time_after(datetime(2024, 1, 31))
    assert found.to_pandas_dataframe()["id"].tolist() == [3]


# Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/", "/**"])
def test_to_path_lists_the_files_of_a_folder(put, store, end):
    folder = put({"two.txt": "22", "sub/one.txt": "1"})
    assert Dataset.File.from_files((store, folder + end)).to_path() == ["/sub/one.txt", "/two.txt"]


def test_download_writes_every_file(files, tmp_path):
    target = tmp_path / "down"
    written = files.download(str(target))
    assert {Path(path).relative_to(target).as_posix(): Path(path).read_text() for path in written} == {
        "two.txt": "22",
        "sub/one.txt": "1",
        "none.txt": "",
    }
    with pytest.raises(UserErrorException, match="already exists"):
        files.download(str(target))
    (target / "two.txt").write_text("changed")
    files.download(str(target), overwrite=True)
    assert (target / "two.txt").read_text() == "22"


@pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="mounting needs FUSE")
def test_a_mounted_dataset_is_a_folder(files, tmp_path):
    with files.mount(str(tmp_path / "mounted")):
        assert (tmp_path / "mounted" / "sub" / "one.txt").read_text() == "1"
        assert {path.name for path in (tmp_path / "mounted").iterdir()} == {"none.txt", "sub", "two.txt"}


def test_files_can_be_taken_and_split(files):
    assert len(files.take(1).to_path()) == 1
    assert files.skip(1).to_path() == files.to_path()[1:]
    one, other = files.random_split(0.5, seed=3)
    assert sorted(one.to_path() + other.to_path()) == files.to_path()


@pytest.mark.local_only
def test_what_the_service_saves_for_an_output_folder_is_read(ws, put, store):
    from azureml_wrapper.local.domain.datasets import dataflow_of, folder_definition
    from azureml_wrapper.local.domain.workspaces import Workspace

    scope = Workspace(
        workspace_id="",
        subscription=ws.subscription_id,
        resource_group=ws.resource_group,
        name=ws.name,
        location="local",
        created=datetime(2024, 1, 1),
    )
    folder = put({"out put/é/one.txt": "1", "out put/two.txt": "2"})
    yaml = dataflow_of(folder_definition(scope, store.name, f"{folder}/out put/"))
    assert FileDataset._create(yaml).to_path() == ["/two.txt", "/é/one.txt"]


def test_a_missing_folder_is_an_error_when_looked_at(store, unique):
    with pytest.raises(ExecutionError, match="not found"):
        Dataset.File.from_files((store, unique())).to_path()


# Writing ---------------------------------------------------------------------------------------------------------


def test_a_data_frame_becomes_a_registered_dataset(ws, store, unique):
    frame = pd.DataFrame({"a": [1, 2], "é": ["ü", None]})
    name = unique("frame")
    written = Dataset.Tabular.register_pandas_dataframe(frame, (store, name), name, show_progress=False)
    assert (written.name, written.version) == (name, 1)
    found = Dataset.get_by_name(ws, name).to_pandas_dataframe()
    assert found["a"].tolist() == [1, 2]
    assert found["é"][0] == "ü"


def test_an_uploaded_directory_becomes_a_file_dataset(store, unique, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "é.txt").write_text("1")
    dataset = Dataset.File.upload_directory(str(tmp_path), (store, unique()), show_progress=False)
    assert dataset.to_path() == ["/sub/é.txt"]


# Registering -----------------------------------------------------------------------------------------------------


def test_a_registered_dataset_is_found_by_name_and_id(ws, table, unique):
    name = unique("my data ")
    registered = table.register(ws, name, description="three rows", tags={"a": "b"})
    assert (registered.name, registered.version, registered.description) == (name, 1, "three rows")
    for found in (Dataset.get_by_name(ws, name), Dataset.get_by_id(ws, registered.id), ws.datasets[name]):
        assert (found.id, found.name, found.version, found.tags) == (registered.id, name, 1, {"a": "b"})
        assert len(found.to_pandas_dataframe()) == 3


def test_a_taken_name_needs_a_new_version(ws, table, files, unique):
    name = unique("data")
    table.register(ws, name)
    with pytest.raises(UserErrorException, match="There is already a dataset registered under name"):
        files.register(ws, name)
    assert files.register(ws, name, create_new_version=True).version == 2
    assert len(Dataset.get_by_name(ws, name).to_path()) == 3
    assert len(Dataset.get_by_name(ws, name, version="latest").to_path()) == 3
    assert len(Dataset.get_by_name(ws, name, version=1).to_pandas_dataframe()) == 3


def test_one_dataset_cannot_have_two_names(ws, table, unique):
    registered = table.register(ws, unique("data"))
    with pytest.raises(UserErrorException, match=f"registered as {registered.name}:1"):
        registered.register(ws, unique("other"))


def test_the_same_description_can_be_registered_again(ws, table, unique):
    first = table.register(ws, unique("data"))
    again = table.register(ws, first.name, create_new_version=True)
    assert again.version == 2
    assert again.id != first.id


def test_a_missing_dataset_is_named(ws, table, unique):
    name = unique("data")
    with pytest.raises(UserErrorException, match=f'Cannot find dataset registered with name "{name}"'):
        Dataset.get_by_name(ws, name)
    table.register(ws, name)
    with pytest.raises(UserErrorException, match=r"\(version: 9\)"):
        Dataset.get_by_name(ws, name, version=9)
    with pytest.raises(UserErrorException, match="Cannot find dataset with id"):
        Dataset.get_by_id(ws, "11111111-1111-1111-1111-111111111111")


def test_description_and_tags_change_in_place(ws, table, unique):
    registered = table.register(ws, unique("data"), tags={"a": "b"})
    registered.add_tags({"c": "d"})
    registered.update(description="new")
    registered.remove_tags(["a"])
    found = Dataset.get_by_name(ws, registered.name)
    assert (found.version, found.description, found.tags) == (1, "new", {"c": "d"})


def test_unregistering_removes_every_version(ws, table, unique):
    name = unique("data")
    table.register(ws, name)
    table.register(ws, name, create_new_version=True)
    Dataset.get_by_name(ws, name).unregister_all_versions()
    assert name not in ws.datasets
    with pytest.raises(UserErrorException, match="Cannot find dataset"):
        Dataset.get_by_name(ws, name)


def test_listing_shows_the_latest_version(ws, table, unique):
    name = unique("data")
    table.register(ws, name)
    table.register(ws, name, create_new_version=True)
    found = {registration.name: registration.version for registration in ws.datasets.registrations}
    assert found[name] == 2


def test_a_named_input_of_an_unregistered_dataset_is_saved_once(ws, table):
    first = table.as_named_input("rows")
    assert first.name == "rows"
    saved = table._ensure_saved(ws)
    assert Dataset.get_by_id(ws, saved).to_pandas_dataframe().shape == (3, 5)
    again = TabularDataset._create(table._dataflow)._ensure_saved(ws)
    assert again == saved


# What is no dataset ----------------------------------------------------------------------------------------------


@pytest.mark.local_only
@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"datasetType": "tabular"},
        {"datasetType": "folder", "dataflowJson": "paths: []"},
        {"datasetType": "file", "dataflowJson": ""},
        {"datasetType": "file", "dataflowJson": "{not json"},
        {"datasetType": "file", "dataflowJson": '{"blocks": [], "meta": {}}'},
    ],
)
def test_a_description_that_is_none_is_refused(ws, body):
    service = ws.service_context._get_run_history_url()
    address = f"{service}/dataset/v1.0{ws.service_context._get_workspace_scope()}/saveddatasets"
    answer = requests.post(address, json=body, headers=ws._auth.get_authentication_header(), timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
