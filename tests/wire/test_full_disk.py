"""A home folder whose disk is full: what cannot be kept is refused, what was acknowledged stays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from azureml._restclient.exceptions import ServiceException
from azureml._vendor.azure_storage.blob._shared.response_handlers import HttpResponseError
from azureml.core import Dataset, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget

from azureml_wrapper.connection.local import connect_local, variables_restored
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import HOME_VARIABLE
from tests.waiting import until

pytestmark = [pytest.mark.local_only, pytest.mark.usefixtures("cold")]

SIZE = 8
FULL = "local service's home folder: no space left on the disk"


@pytest.fixture
def disk(tmp_path):
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode and not os.environ.get("CI"):
        pytest.skip(f"needs root, or CAP_SYS_ADMIN, to mount a tmpfs: {mounted.stderr.strip()}")
    assert mounted.returncode == 0, mounted.stderr
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def ws(disk, monkeypatch, unique):
    monkeypatch.setenv(HOME_VARIABLE, str(disk / "home"))
    with variables_restored(), service_process.running(disk / "home"):
        # A new name: rslex remembers for the life of the process where a workspace's datastores are.
        yield connect_local(Scope("local", "local", unique("w")))


@pytest.fixture
def filler(disk):
    return Filler(disk / "filler")


class Filler:
    """A file that takes all the space that is left, and gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self.path.unlink()


def write(path: Path, size: int) -> str:
    path.write_bytes(os.urandom(size))
    return str(path)


@pytest.mark.slow
def test_an_upload_is_refused_and_the_disk_can_be_used_again(ws, filler, tmp_path):
    store = ws.get_default_datastore()
    first, second = write(tmp_path / "first", 100_000), write(tmp_path / "second", 100_000)
    store.upload_files([first], target_path="kept", show_progress=False)
    client = store.blob_service.get_blob_client(store.container_name, "kept/second")
    filler.fill()
    # `upload_files` itself logs what went wrong and goes on; its client does not.
    with pytest.raises(HttpResponseError, match=FULL):
        client.upload_blob(os.urandom(100_000))
    with pytest.raises(HttpResponseError, match=FULL):
        client.stage_block("AAAA", os.urandom(100_000))
    store.download(str(tmp_path / "down"), "kept", show_progress=False)
    assert [path.name for path in (tmp_path / "down" / "kept").iterdir()] == ["first"]
    filler.free()
    store.upload_files([second], target_path="kept", show_progress=False)
    assert len(Dataset.File.from_files(store.path("kept")).to_path()) == 2


def tag_without_end(run, kept: dict[str, str]) -> None:
    for number in range(2000):
        name, value = f"t{number % 40}", f"{number}" * 200
        run.tag(name, value)
        kept[name] = value


@pytest.mark.slow
def test_no_acknowledged_record_is_lost(ws, filler):
    run = Experiment(ws, "full").start_logging(snapshot_directory=None, outputs=False)
    run.tag("before", "kept")
    filler.fill()
    kept = {"before": "kept"}
    with pytest.raises(ServiceException, match=FULL):
        tag_without_end(run, kept)
    assert run.get_tags() == kept
    filler.free()
    run.tag("after", "kept too")
    run.complete()
    service_process.stop()
    service_process.start()
    assert run.get_tags() == {**kept, "after": "kept too"}
    assert run.get_status() == "Completed"


@pytest.mark.slow
def test_a_script_folder_is_refused(ws, filler, tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    write(folder / "large.bin", 300_000)
    (folder / "main.py").write_text("print('ran')")
    target = ComputeTarget.create(ws, "one", AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1))
    source = ScriptRunConfig(str(folder), "main.py", compute_target=target)
    filler.fill()
    with pytest.raises(Exception, match=FULL):
        Experiment(ws, "full").submit(source)
    filler.free()
    run = Experiment(ws, "full").submit(source)
    run.wait_for_completion()
    assert run.get_status() == "Completed"


# The SDK still has to describe the run when its script begins; a file is how the test tells it that this is done.
FLOOD = """
import os, time
print("began", flush=True)
while not os.path.exists({submitted!r}):
    time.sleep(0.05)
for _ in range(20000):
    print("x" * 1000)
"""


@pytest.mark.slow
def test_a_script_whose_output_fills_the_disk_fails_once_that_can_be_stored(ws, disk, filler, tmp_path):
    filler.path.write_bytes(bytes(2 * 2**20))
    folder = tmp_path / "src"
    folder.mkdir()
    submitted = tmp_path / "submitted"
    (folder / "main.py").write_text(FLOOD.format(submitted=str(submitted)))
    target = ComputeTarget.create(ws, "one", AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1))
    run = Experiment(ws, "full").submit(ScriptRunConfig(str(folder), "main.py", compute_target=target))
    submitted.touch()
    until(lambda: os.statvfs(disk).f_bavail == 0)
    assert run.get_status() == "Running"
    filler.free()
    until(lambda: run.get_status() not in ("Running", "Finalizing"))
    assert run.get_status() == "Failed"
    # The latter where space was freed before the service had anything to store.
    reason = run.get_details()["error"]["error"]["message"]
    assert FULL in reason or "exited with status code" in reason
    assert "began" in run.get_details_with_logs()["logFiles"]["user_logs/std_log.txt"]
