"""What every executor promises: data in, data out, and what a script prints."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from azureml_wrapper.local.domain.datasets import DatasetKind
from azureml_wrapper.local.domain.jobs import JobInput, JobOutput, Mode, Registration
from azureml_wrapper.local.domain.runs import RunStatus
from tests.contract.bench import message

# Data in -----------------------------------------------------------------------------------------------------------


READ = """
import os, sys
path = sys.argv[1]
names = sorted(os.path.relpath(os.path.join(d, f), path) for d, _, fs in os.walk(path) for f in fs)
print(path == os.environ["x"] == os.environ["AZUREML_DATAREFERENCE_in"], names or open(path).read())
print(os.environ["AZUREML_DATASET_ENVIRONMENT_VARS"])
"""


@pytest.fixture
def data(bench):
    folder = bench.store_folder("data")
    (folder / "sub").mkdir()
    (folder / "a.csv").write_text("1")
    (folder / "sub" / "b.csv").write_text("2")
    (folder / "sub" / "c.txt").write_text("3")
    return folder


def dataset_input(bench, path: str, mode: Mode) -> dict:
    item = JobInput(name="in", mode=mode, variable="x", dataset_id=bench.dataset(path))
    return {"inputs": (item,), "arguments": ("DatasetConsumptionConfig:in",)}


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.DOWNLOAD])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data", ["a.csv", "sub/b.csv", "sub/c.txt"]),
        ("data/", ["a.csv", "sub/b.csv", "sub/c.txt"]),
        ("data/**", ["a.csv", "sub/b.csv", "sub/c.txt"]),
        ("data/**/*.csv", ["a.csv", "sub/b.csv"]),
        ("data/*.csv", ["a.csv"]),
        ("data/*/?.txt", ["sub/c.txt"]),
        ("data/a.csv", "1"),
    ],
)
def test_a_dataset_is_a_path(bench, data, mode, path, expected):
    run = bench.run(READ, **dataset_input(bench, path, mode))
    assert bench.printed(run.run_id) == [f"True {expected}", f"x:{mode.value.title()}"]
    (used,) = run.input_datasets
    assert used["consumptionType"] == "RunInput"
    assert used["inputDetails"] == {"inputName": "in", "mechanism": mode.value.title()}


def test_a_direct_dataset_is_its_id(bench, data):
    fields = dataset_input(bench, "data", Mode.DIRECT)
    run = bench.run("import sys; print(sys.argv[1])", **fields)
    assert bench.printed(run.run_id) == [fields["inputs"][0].dataset_id]


def test_a_mount_copies_nothing(bench, data):
    run = bench.run("import sys; print(sys.argv[1])", **dataset_input(bench, "data", Mode.MOUNT))
    assert bench.printed(run.run_id) == [str(data)]
    assert "do not write there" in bench.log(run.run_id)


def test_a_download_may_be_changed(bench, data):
    source = "import sys; open(sys.argv[1] + '/a.csv', 'w').write('changed')"
    run = bench.run(source, **dataset_input(bench, "data", Mode.DOWNLOAD))
    assert run.status is RunStatus.COMPLETED
    assert (data / "a.csv").read_text() == "1"


def test_data_that_is_not_there_fails_the_run(bench):
    run = bench.run(READ, **dataset_input(bench, "nothing/*.csv", Mode.MOUNT))
    assert message(run) == "Input in: no file in datastore workspaceblobstore matches 'nothing/*.csv'."


def test_a_data_reference_is_no_dataset(bench, data):
    item = JobInput(name="ref", mode=Mode.MOUNT, variable="ref", datastore="workspaceblobstore", path="data")
    run = bench.run(
        "import os, sys; print(sys.argv[1:], repr(os.environ['AZUREML_DATASET_ENVIRONMENT_VARS']))",
        inputs=(item,),
        arguments=("$AZUREML_DATAREFERENCE_ref", "$AZUREML_DATAREFERENCE_ref/sub", "$AML_PARAMETER_n"),
        environment_variables={"AML_PARAMETER_n": "5"},
    )
    assert bench.printed(run.run_id) == [f"{[str(data), f'{data}/sub', '5']} ''"]
    assert run.input_datasets == []


# Data of the web ---------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path):
    """A web server with two files: its address."""
    folder = tmp_path / "web"
    (folder / "sub").mkdir(parents=True)
    (folder / "a b.csv").write_text("1")
    (folder / "sub" / "b.csv").write_text("2")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def web_input(bench, mode: Mode, *addresses: str) -> dict:
    dataflow = yaml.safe_dump({"type": "mltable", "paths": [{"file": address} for address in addresses]})
    definition = json.dumps({"blocks": [], "meta": {"RsDataflow": dataflow}})
    saved = bench.context.datasets.save(bench.workspace.workspace_id, DatasetKind.FILE, definition)
    item = JobInput(name="in", mode=mode, variable="x", dataset_id=saved.saved_id)
    return {"inputs": (item,), "arguments": ("DatasetConsumptionConfig:in",)}


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.DOWNLOAD])
def test_files_of_web_addresses_are_fetched(bench, web, mode):
    several = bench.run(READ, **web_input(bench, mode, f"{web}/a%20b.csv", f"{web}/sub/b.csv?sig=x"))
    assert bench.printed(several.run_id)[0] == "True ['a b.csv', 'sub/b.csv']"
    one = bench.run(READ, **web_input(bench, mode, f"{web}/sub/../a b.csv"))
    assert bench.printed(one.run_id)[0] == "True 1"


def test_a_web_address_that_cannot_be_fetched_fails_the_run_with_the_reason(bench, web):
    run = bench.run(READ, **web_input(bench, Mode.MOUNT, f"{web}/missing.csv?sig=secret"))
    assert run.status is RunStatus.FAILED
    assert f"Input in: {web}/missing.csv could not be fetched: " in message(run)
    assert "secret" not in message(run)
    nowhere = bench.run(READ, **web_input(bench, Mode.DOWNLOAD, "http://127.0.0.1:1/a.csv"))
    assert "Connection refused. The local service fetches" in message(nowhere)
    assert "HTTPConnection" not in message(nowhere)
    other = bench.run(READ, **web_input(bench, Mode.DOWNLOAD, "ftp://somewhere/a.csv"))
    assert "ftp://somewhere/a.csv, which is neither in a datastore nor a web address" in message(other)


# Data out ----------------------------------------------------------------------------------------------------------


WRITE = """
import os, sys
os.makedirs(os.path.join(sys.argv[1], "sub"))
open(os.path.join(sys.argv[1], "a.csv"), "w").write("1")
open(os.path.join(sys.argv[1], "sub", "b.txt"), "w").write("2")
print(os.environ["AZUREML_DATASET_FILE_OUTPUTS"], sys.argv[1] == os.environ["out"])
"""


def output(**fields) -> dict:
    defaults = {"name": "out", "mode": Mode.MOUNT, "datastore": "workspaceblobstore"}
    return {"outputs": (JobOutput(**{**defaults, **fields}),), "arguments": ("DatasetOutputConfig:out",)}


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.UPLOAD])
def test_an_output_is_a_folder_of_the_datastore_and_a_dataset(bench, mode):
    run = bench.run(WRITE, **output(mode=mode))
    folder = bench.store_folder(f"dataset/{run.run_id}/out")
    assert run.status is RunStatus.COMPLETED
    assert bench.printed(run.run_id) == ["out True"]
    assert (folder / "a.csv").read_text() == "1"
    assert (folder / "sub" / "b.txt").read_text() == "2"
    [made] = run.output_datasets
    assert made["outputDetails"] == {"outputName": "out"}
    saved = bench.context.datasets.saved(bench.workspace.workspace_id, made["identifier"]["savedId"])
    assert saved.sources == [("workspaceblobstore", f"dataset/{run.run_id}/out/")]


def test_a_mounted_output_is_there_as_it_is_written(bench):
    run_id = bench.submit(WRITE + "print('written')\nimport time; time.sleep(30)", **output())
    bench.await_text(run_id, "written")
    assert (bench.store_folder(f"dataset/{run_id}/out") / "a.csv").read_text() == "1"


def test_only_what_the_globs_name_is_uploaded(bench):
    run = bench.run(WRITE, **output(mode=Mode.UPLOAD, source_globs=("**/*.csv",), path="given/place"))
    assert run.status is RunStatus.COMPLETED
    assert [path.name for path in bench.store_folder("given/place").rglob("*")] == ["a.csv"]


def test_an_upload_overwrites_only_where_it_may(bench):
    first = bench.run(WRITE, **output(mode=Mode.UPLOAD, path="same"))
    second = bench.run(WRITE, **output(mode=Mode.UPLOAD, path="same"))
    third = bench.run(WRITE, **output(mode=Mode.UPLOAD, path="same", overwrite=True))
    assert [run.status.value for run in (first, second, third)] == ["Completed", "Failed", "Completed"]
    assert "same/a.csv already exists in datastore workspaceblobstore" in message(second)


def test_an_upload_of_a_failed_script_is_not_published(bench):
    run = bench.run(WRITE + "1 / 0", **output(mode=Mode.UPLOAD, path="failed"))
    assert run.status is RunStatus.FAILED
    assert list(bench.store_folder("failed").iterdir()) == []
    assert run.output_datasets == []


def test_each_run_registers_a_version_of_its_output(bench):
    for version in (1, 2):
        run = bench.run(
            WRITE.replace("makedirs(", "makedirs(exist_ok=True, name="),
            **output(path="fixed", register_as=Registration(name="made", description="d", tags={"k": "v"})),
        )
        assert run.status is RunStatus.COMPLETED, bench.log(run.run_id)
        found = bench.context.datasets.by_name(bench.workspace.workspace_id, "made")
        assert (found.version, found.description, found.tags) == (version, "d", {"k": "v"})


@pytest.mark.parametrize("mode", [Mode.MOUNT, Mode.UPLOAD])
@pytest.mark.parametrize(
    "source", ["open(p, 'w').write('1')", "import os; os.mkdir(p); open(p + '/a', 'w').write('1')"]
)
def test_pipeline_data_may_be_made_a_file_or_a_folder(bench, mode, source):
    fields = output(mode=mode, path="azureml/{run-id}/{output-name}", is_dataset=False)
    fields["arguments"] = ("$AZUREML_DATAREFERENCE_out",)
    run = bench.run(f"import sys; p = sys.argv[1]; {source}", **fields)
    assert run.status is RunStatus.COMPLETED, message(run)
    place = bench.store_folder(f"azureml/{run.run_id}") / "out"
    assert (place if place.is_file() else place / "a").read_text() == "1"
    assert run.output_datasets == []


def test_a_datastore_that_is_not_there_fails_the_run_before_it_starts(bench):
    run = bench.run(WRITE, **output(datastore="nowhere", mode=Mode.UPLOAD))
    assert message(run) == "Could not find datastore: nowhere."
    assert "Running" not in bench.seen[run.run_id]


# Output ------------------------------------------------------------------------------------------------------------


def test_output_that_is_not_text_is_kept_byte_for_byte(bench):
    run = bench.run("import sys; sys.stdout.buffer.write(bytes(range(256)))")
    assert run.status is RunStatus.COMPLETED
    assert bench.file(run.run_id, "user_logs/std_log.txt").read_bytes().endswith(bytes(range(256)))


def test_a_traceback_after_bytes_that_are_not_text_is_found(bench):
    run = bench.run("import sys; sys.stdout.buffer.write(b'\\xff' * 100_000); sys.stdout.flush(); 1 / 0")
    assert message(run).endswith("ZeroDivisionError: division by zero")


@pytest.mark.slow
def test_a_hundred_megabytes_of_output_are_no_burden(bench):
    run = bench.run("line = 'x' * 99\nfor _ in range(1_000_000): print(line)\n1 / 0")
    assert bench.file(run.run_id, "user_logs/std_log.txt").stat().st_size > 100_000_000
    assert len(message(run)) < 3001
    assert message(run).endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("end", ["", "1 / 0", "import os; os.kill(os.getpid(), 9)"])
def test_the_folders_outputs_and_logs_become_files_of_the_run(bench, end):
    run = bench.run(
        "import os, pathlib\n"
        "os.makedirs('outputs/a')\n"
        "pathlib.Path('outputs/a/ü.txt').write_text('1')\n"
        "pathlib.Path('outputs/link').symlink_to('a/ü.txt')\n"
        "pathlib.Path('logs/l.txt').write_text('2')\n"
        "pathlib.Path('other.txt').write_text('3')\n" + end
    )
    assert bench.file(run.run_id, "outputs/a/ü.txt").read_text() == "1"
    assert bench.file(run.run_id, "outputs/link").read_text() == "1"
    assert not bench.file(run.run_id, "outputs/link").is_symlink()
    assert bench.file(run.run_id, "logs/l.txt").read_text() == "2"
    assert not bench.file(run.run_id, "other.txt").exists()


def test_what_outputs_links_to_stays_where_it_is(bench, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data.txt").write_text("1")
    source = f"import os, shutil\nos.symlink({str(precious)!r}, 'logs/link')\nshutil.rmtree('outputs')\n"
    run = bench.run(source + f"os.symlink({str(precious)!r}, 'outputs')")
    assert (precious / "data.txt").read_text() == "1"
    assert bench.file(run.run_id, "outputs/data.txt").read_text() == "1"
    assert "logs/link was not uploaded: it is a symbolic link to a folder" in bench.log(run.run_id)


def test_a_file_that_cannot_be_a_blob_is_named_in_the_log(bench):
    run = bench.run("open('outputs/a\\nb', 'w').close(); open('outputs/good', 'w').close()")
    assert run.status is RunStatus.COMPLETED
    assert "was not uploaded" in bench.log(run.run_id)
    assert bench.file(run.run_id, "outputs/good").exists()
