"""Files of runs through the SDK."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
import requests
from azureml._file_utils import get_block_blob_service_credentials
from azureml.core import Experiment, Run
from azureml.exceptions import AzureMLAggregatedException, AzureMLException, ServiceException, UserErrorException

from azureml_wrapper.local.home import Home


@pytest.fixture
def run(ws, unique):
    run = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None, outputs=False)
    yield run
    run.complete()


@pytest.fixture
def folder(tmp_path):
    """A folder with a file at its top and one below."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("first")
    (tmp_path / "data" / "deep" / "ü b.txt").write_text("second")
    return tmp_path / "data"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


# Up and down -------------------------------------------------------------------------------------------------------


def test_a_file_goes_up_and_comes_down(run, folder, tmp_path):
    run.upload_file("outputs/a.txt", str(folder / "a.txt"))
    run.download_file("outputs/a.txt", str(tmp_path / "copy.txt"))
    assert (tmp_path / "copy.txt").read_text() == "first"


def test_a_file_comes_down_into_a_folder(run, folder, tmp_path):
    run.upload_file("outputs/a.txt", str(folder / "a.txt"))
    run.download_file("outputs/a.txt", str(tmp_path))
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_stream_goes_up(run, tmp_path):
    run.upload_file("bytes.bin", io.BytesIO(b"\0\xff" * 10))
    run.download_file("bytes.bin", str(tmp_path / "bytes.bin"))
    assert (tmp_path / "bytes.bin").read_bytes() == b"\0\xff" * 10


def test_an_empty_file_is_a_file(run, tmp_path):
    run.upload_file("empty", io.BytesIO(b""))
    assert run.get_file_names() == ["empty"]
    run.download_file("empty", str(tmp_path / "empty"))
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.slow
def test_a_file_larger_than_a_block_comes_back_whole(run, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * 4096 * 20)
    run.upload_file("big.bin", str(big))
    run.download_file("big.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == big.read_bytes()


def test_several_files_go_up_under_names_of_their_own(run, folder):
    run.upload_files(["one.txt", "two/three.txt"], [str(folder / "a.txt"), str(folder / "deep" / "ü b.txt")])
    assert run.get_file_names() == ["one.txt", "two/three.txt"]


def test_a_folder_goes_up_and_comes_down(run, folder, tmp_path):
    run.upload_folder("outputs/data", str(folder))
    assert run.get_file_names() == ["outputs/data/a.txt", "outputs/data/deep/ü b.txt"]
    run.download_files(output_directory=str(tmp_path / "all"))
    assert files(tmp_path / "all") == ["outputs/data/a.txt", "outputs/data/deep/ü b.txt"]


def test_a_prefix_chooses_a_folder_and_not_its_namesakes(run, tmp_path):
    for name in ("out/x.txt", "out/deep/y.txt", "output.txt", "outside/z.txt"):
        run.upload_file(name, io.BytesIO(name.encode()))
    run.download_files(prefix="out", output_directory=str(tmp_path), append_prefix=False)
    assert files(tmp_path) == ["deep/y.txt", "x.txt"]
    assert (tmp_path / "x.txt").read_text() == "out/x.txt"


@pytest.mark.parametrize("prefix", ["outputs/m.pkl", "outputs/m.pkl/", "outputs\\m.pkl"])
def test_a_prefix_that_names_a_file_chooses_that_file(run, tmp_path, prefix):
    for name in ("outputs/m.pkl", "outputs/m.pkl.txt", "outputs/other/m.pkl"):
        run.upload_file(name, io.BytesIO(name.encode()))
    run.download_files(prefix=prefix, output_paths=["copy"], output_directory=str(tmp_path / "renamed"))
    assert (tmp_path / "renamed" / "copy").read_text() == "outputs/m.pkl"
    run.download_files(prefix=prefix, output_directory=str(tmp_path / "kept"))
    assert files(tmp_path / "kept") == ["outputs/m.pkl"]


@pytest.mark.parametrize(
    "name", ["a b.txt", "ü 日本.txt", "50%.txt", "a+b&c=d.txt", "(x) [y].txt", "a'b.txt", "~a@c.txt"]
)
def test_a_name_of_many_letters_goes_up_and_comes_down(run, tmp_path, name):
    run.upload_file(f"sub dir/{name}", io.BytesIO(name.encode()))
    assert run.get_file_names() == [f"sub dir/{name}"]
    run.download_file(f"sub dir/{name}", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == name


def test_names_are_listed_in_alphabetical_order(run):
    for name in ("z.txt", "outputs/b.txt", "a b.png", "logs/x.log", "outputs/a.txt"):
        run.upload_file(name, io.BytesIO(b"x"))
    assert run.get_file_names() == ["a b.png", "logs/x.log", "outputs/a.txt", "outputs/b.txt", "z.txt"]


@pytest.mark.local_only
def test_every_page_of_a_long_list_is_read(run):
    run.upload_file("many/f0000", io.BytesIO(b"x"))
    (first,) = Home().blobs.glob(f"*/azureml/ExperimentRun/dcid.{run.id}/many/f0000")
    for number in range(1205):
        first.with_name(f"f{number:04}").write_bytes(b"x")
    assert run.get_file_names() == [f"many/f{number:04}" for number in range(1205)]


def test_a_missing_file_is_an_error_that_lists_what_is_there(run, tmp_path):
    run.upload_file("there.txt", io.BytesIO(b"x"))
    with pytest.raises(UserErrorException, match=r"File with path not-there.txt was not found,\n.*there.txt"):
        run.download_file("not-there.txt", str(tmp_path / "x"))


# Rules -------------------------------------------------------------------------------------------------------------


def test_a_file_is_not_replaced(run):
    run.upload_file("a.txt", io.BytesIO(b"first"))
    with pytest.raises(AzureMLAggregatedException, match="UserError: Resource Conflict: ArtifactId ExperimentRun/"):
        run.upload_file("a.txt", io.BytesIO(b"second"))
    assert run._download_artifact_contents_to_string("a.txt") == "first"


def test_a_file_and_a_folder_may_have_the_same_name(run):
    run.upload_file("x", io.BytesIO(b"file"))
    run.upload_file("x/y", io.BytesIO(b"below"))
    assert run.get_file_names() == ["x", "x/y"]
    assert run._download_artifact_contents_to_string("x") == "file"


@pytest.mark.parametrize("name", ["../escaped.txt", "a/../../escaped.txt", "/etc/passwd", "a\0b", "x" * 5001, "a//b"])
def test_a_name_that_leaves_the_run_is_refused(run, name):
    with pytest.raises(AzureMLException):
        run.upload_file(name, io.BytesIO(b"x"))
    assert run.get_file_names() == []


@pytest.mark.local_only
@pytest.mark.parametrize("path", ["/tmp/roc.png", "../roc.png", "plots//roc.png"])
def test_a_refused_name_says_what_is_expected(run, path):
    with pytest.raises(AzureMLException, match=r"a relative path without '\.\.', got '") as refused:
        run.upload_file(path, io.BytesIO(b"x"))
    assert repr(path) in str(refused.value)


@pytest.mark.local_only
def test_an_image_with_an_absolute_path_says_what_is_expected(run, tmp_path):
    (tmp_path / "roc.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(AzureMLException, match=r"such as outputs/roc\.png"):
        run.log_image("ROC", path=str(tmp_path / "roc.png"))


@pytest.mark.local_only
def test_a_datastore_of_ones_own_is_refused_and_not_ignored(run):
    with pytest.raises(ServiceException, match="remove datastore_name"):
        run.upload_file("a.txt", io.BytesIO(b"x"), datastore_name="workspaceblobstore")


# Logs --------------------------------------------------------------------------------------------------------------


def test_details_show_logs_of_both_runtimes_with_addresses_that_can_be_read(run):
    names = ["user_logs/std_log.txt", "logs/azureml/stdoutlogs.txt", "azureml-logs/70_driver_log.txt", "outputs/x"]
    for name in names:
        run.upload_file(name, io.BytesIO(name.encode()))
    logs = run.get_details()["logFiles"]
    assert list(logs) == ["azureml-logs/70_driver_log.txt", "logs/azureml/stdoutlogs.txt", "user_logs/std_log.txt"]
    address = logs["user_logs/std_log.txt"]
    assert f"/azureml/ExperimentRun/dcid.{run.id}/user_logs/std_log.txt?" in address
    assert requests.get(address, timeout=10).text == "user_logs/std_log.txt"
    assert run.get_details_with_logs()["logFiles"]["user_logs/std_log.txt"] == "user_logs/std_log.txt"


def open_with_urllib(address):
    """What azureml-widgets does with the log that it shows (azureml/widgets/_userrun/_run_details.py)."""
    with urllib.request.urlopen(address) as response:  # noqa: S310 - the service's own
        return response.read().decode()


OPENERS = {
    "urllib": open_with_urllib,
    "pandas": lambda address: pd.read_csv(address).to_csv(index=False),
    "requests": lambda address: requests.get(address, timeout=10).text,
}


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
@pytest.mark.parametrize("name", ["user_logs/std_log.txt", "user_logs/é 100%.txt"])
def test_any_program_opens_the_addresses_of_a_file(run, opener, name):
    run.upload_file(name, io.BytesIO(b"a\n1\n"))
    client, prefix = run._client.artifacts, f"ExperimentRun/{run._container}/user_logs"
    addresses = [
        run.get_details()["logFiles"][name],
        client.get_file_uri("ExperimentRun", run._container, name),
        *dict(client.get_files_by_artifact_prefix_id(prefix)).values(),
    ]
    assert [opener(address) for address in addresses] == ["a\n1\n"] * 3


@pytest.mark.local_only
def test_the_sdk_gets_the_address_that_it_takes_apart_for_uploads_only(run):
    client = run._client.artifacts
    announced = client.create_empty_artifacts("ExperimentRun", run._container, "logs/a.txt")
    given = announced.artifact_content_information["logs/a.txt"].content_uri
    again = client.get_writeable_artifact_sas_uri("ExperimentRun", run._container, "logs/a.txt")
    for address in (given, again):
        _, account, endpoint, container, name = get_block_blob_service_credentials(address)
        assert (container, name) == ("azureml", f"ExperimentRun/{run._container}/logs/a.txt")
        assert (account[:5], endpoint) == ("local", f"core.windows.net@{urlsplit(address).netloc.rpartition('@')[2]}")
    run.upload_file("logs/b.txt", io.BytesIO(b"b"))
    assert client.get_file_uri("ExperimentRun", run._container, "logs/b.txt").startswith("http://127.0.0.1:")


def test_a_log_grows_by_what_is_appended(run):
    client = run._client.artifacts
    for part in ("one\n", "two\n"):
        client.upload_artifact_content("ExperimentRun", run._container, "logs/grow.txt", content=part, append=True)
    assert run._download_artifact_contents_to_string("logs/grow.txt").replace('"', "").replace("\\n", "\n") == (
        "one\ntwo\n"
    )


def test_what_a_with_block_prints_is_streamed_to_its_logs(ws, unique, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Experiment(ws, unique("exp")).start_logging(snapshot_directory=None) as run:
        Path("outputs/result.txt").write_text("42")
        print("hello from inside")
    names = run.get_file_names()
    assert "outputs/result.txt" in names
    assert "hello from inside" in run._download_artifact_contents_to_string("logs/user_log.txt")


# Through run history -----------------------------------------------------------------------------------------------


def test_run_history_offers_the_same_files(ws, run, tmp_path):
    from azureml._restclient.run_artifacts_client import RunArtifactsClient

    run.upload_file("outputs/a.txt", io.BytesIO(b"x"))
    run.upload_file("b.txt", io.BytesIO(b"yy"))
    client = RunArtifactsClient(ws.service_context, run.experiment.name)
    assert list(client.get_file_paths(run.id)) == ["b.txt", "outputs/a.txt"]
    client.download_artifact(run.id, "b.txt", str(tmp_path / "b.txt"))
    assert (tmp_path / "b.txt").read_bytes() == b"yy"


def test_files_stay_when_the_run_is_read_again(ws, run):
    run.upload_file("a.txt", io.BytesIO(b"x"))
    assert Run.get(ws, run.id).get_file_names() == ["a.txt"]
