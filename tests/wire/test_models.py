"""Registered models through the SDK."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import pytest
from azureml._restclient.assets_client import AssetsClient
from azureml.core import Experiment, Model
from azureml.exceptions import ModelPathNotFoundException, WebserviceException


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The SDK registers files of the working directory only."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def register(ws, here):
    """`register(name)`: a model of one local file."""
    Path("model.pkl").write_bytes(b"weights")

    def make(name, **options):
        return Model.register(ws, "model.pkl", name, **options)

    return make


@pytest.fixture
def run(ws, unique):
    run = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None, outputs=False)
    yield run
    run.complete()


def test_versions_count_up(register, unique):
    name = unique("model")
    assert [register(name).version for _ in range(3)] == [1, 2, 3]


def test_the_addresses_of_a_models_files_open_without_the_sdk(register, unique):
    (address,) = register(unique("model")).get_sas_urls().values()
    with urllib.request.urlopen(address) as response:  # noqa: S310 - the service's own
        assert response.read() == b"weights"


def test_a_deleted_version_is_not_given_out_again(ws, register, unique):
    name = unique("model")
    register(name).delete()
    assert register(name).version == 2
    with pytest.raises(WebserviceException, match="ModelNotFound"):
        Model(ws, name, version=1)


def test_a_model_is_found_by_name_version_and_id(ws, register, unique):
    name = unique("model")
    first = register(name, tags={"area": "x"}, properties={"p": "1"}, description="d", model_framework="ScikitLearn")
    register(name)
    assert Model(ws, name).version == 2
    found = Model(ws, name, version=1)
    assert (found.id, found.tags, found.properties, found.description) == (
        f"{name}:1",
        {"area": "x"},
        {"p": "1"},
        "d",
    )
    assert Model(ws, id=first.id).model_framework == "ScikitLearn"


def test_a_missing_model_is_an_error(ws, unique):
    with pytest.raises(WebserviceException, match="ModelNotFound"):
        Model(ws, unique("none"))
    with pytest.raises(WebserviceException, match="ModelNotFound"):
        Model(ws, unique("none"), version=3)


def test_a_file_comes_down_again(ws, register, unique, tmp_path):
    model = register(unique("model"))
    path = model.download(str(tmp_path / "down"))
    assert Path(path).read_bytes() == b"weights"
    with pytest.raises(WebserviceException, match="exist_ok"):
        model.download(str(tmp_path / "down"))


def test_get_model_path_brings_the_latest_version(ws, register, unique):
    name = unique("model")
    register(name)
    path = Model.get_model_path(name, _workspace=ws)
    assert Path(path).read_bytes() == b"weights"


def test_a_folder_is_registered_whole(ws, unique, tmp_path):
    folder = Path("my model")
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    path = Path(Model.register(ws, str(folder), unique("model")).download(str(tmp_path / "down")))
    assert sorted(file.read_text() for file in path.rglob("*.txt")) == ["a", "b"]


def test_a_model_of_a_run_knows_its_run(ws, run, unique, tmp_path):
    run.upload_file("outputs/model/weights.bin", io.BytesIO(b"of the run"))
    run.upload_file("outputs/model2/other.bin", io.BytesIO(b"of another"))
    model = run.register_model(unique("model"), model_path="outputs/model", tags={"k": "v"})
    assert (model.run_id, model.experiment_name, model.run.id) == (run.id, run.experiment.name, run.id)
    path = Path(model.download(str(tmp_path)))
    assert [file.name for file in tmp_path.rglob("*.bin")] == ["weights.bin"]
    assert path.exists()


def test_a_single_file_of_a_run_can_be_a_model(run, unique, tmp_path):
    run.upload_file("outputs/model.pkl", io.BytesIO(b"pickle"))
    model = run.register_model(unique("model"), model_path="outputs/model.pkl")
    assert Path(model.download(str(tmp_path))).read_bytes() == b"pickle"


def test_a_path_that_the_run_has_not_is_an_error_that_lists_its_files(run, unique):
    run.upload_file("outputs/real.pkl", io.BytesIO(b"x"))
    with pytest.raises(ModelPathNotFoundException, match=r"outputs/real\.pkl"):
        run.register_model(unique("model"), model_path="outputs/typo.pkl")


def test_list_filters_by_every_field(ws, register, run, unique):
    name, tag = unique("model"), unique("tag")
    register(name, tags={tag: "old"}, properties={"p": "1"})
    register(name, tags={tag: "new"})
    run.upload_file("outputs/m", io.BytesIO(b"x"))
    of_run = run.register_model(unique("model"), model_path="outputs/m", model_framework="Onnx")

    def versions(**filters):
        return [(model.name, model.version) for model in Model.list(ws, **filters)]

    assert versions(name=name) == [(name, 2), (name, 1)]
    assert versions(name=name, latest=True) == [(name, 2)]
    assert versions(tags=[tag]) == [(name, 2), (name, 1)]
    assert versions(tags=[[tag, "old"]]) == [(name, 1)]
    assert versions(name=name, properties=[["p", "1"]]) == [(name, 1)]
    assert versions(run_id=run.id) == [(of_run.name, 1)]
    assert versions(run_id=run.id, model_framework="Onnx") == [(of_run.name, 1)]
    assert versions(run_id=run.id, model_framework="TensorFlow") == []


def test_a_long_list_is_read_page_by_page(ws, register, unique):
    name = unique("model")
    asset = register(name)._get_asset().id
    for _ in range(24):
        Model._register_with_asset(ws, name, asset)
    assert [model.version for model in Model.list(ws, name=name, page_count=20)] == list(range(25, 0, -1))


def test_tags_properties_and_description_can_be_changed(ws, register, unique):
    name = unique("model")
    model = register(name, tags={"a": "1", "b": "2"})
    model.add_tags({"c": "3"})
    model.remove_tags("a")
    model.add_properties({"p": "1"})
    model.update(description="better")
    found = Model(ws, name)
    assert (found.tags, found.properties, found.description) == ({"b": "2", "c": "3"}, {"p": "1"}, "better")


def test_a_property_that_is_set_stays(ws, register, unique):
    name = unique("model")
    model = register(name, properties={"p": "1"})
    # The SDK refuses as well, but only what its own copy of the model knows.
    model.properties = {}
    with pytest.raises(WebserviceException, match="400"):
        model.add_properties({"p": "2"})
    assert Model(ws, name).properties == {"p": "1"}


def test_a_model_of_an_asset_that_is_not_there_is_refused(ws, unique):
    with pytest.raises(WebserviceException):
        Model._register_with_asset(ws, unique("model"), "nothing")


def test_assets_are_listed_by_run_and_name(ws, run, unique):
    run.upload_file("outputs/m", io.BytesIO(b"x"))
    name = unique("model")
    run.register_model(name, model_path="outputs/m")
    client = AssetsClient(ws.service_context)
    assert [asset.name for asset in client.list_assets_with_query(run_id=run.id)] == [name]
    (asset,) = client.list_assets_with_query(name=name)
    assert asset.artifacts[0].prefix == f"ExperimentRun/dcid.{run.id}/outputs/m"
