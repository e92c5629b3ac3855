"""Parts of the executor that need no process."""

from __future__ import annotations

import json
import threading
import zipfile
from io import BytesIO

import pytest

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import endings, warm
from azureml_wrapper.local.executor.inputs import glob_expression
from azureml_wrapper.local.executor.slots import Stopped, StopReason, Work
from azureml_wrapper.local.executor.variables import inherited, withheld
from azureml_wrapper.local.services.execution import invocation, wire
from azureml_wrapper.local.services.runconfig import read_transformations

# Globs


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.csv", ["a.csv", ".csv"], ["a/b.csv", "a.csvx", "a.txt"]),
        ("**/*.csv", ["a.csv", "a/b.csv", "a/b/c.csv"], ["a.txt"]),
        ("**", ["a", "a/b/c"], []),
        ("a/**", ["a/b", "a/b/c"], ["b/a"]),
        ("a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]),
        ("a?.txt", ["ab.txt"], ["a.txt", "abc.txt", "a/.txt"]),
        ("part-[0-9].csv", ["part-1.csv"], ["part-x.csv", "part-10.csv"]),
        ("a+b(1).csv", ["a+b(1).csv"], ["aab1.csv"]),
        ("a\nb*", ["a\nbc"], ["a"]),
    ],
)
def test_globs_mean_what_they_mean_in_datasets(pattern, matching, others):
    expression = glob_expression(pattern)
    assert [name for name in (*matching, *others) if expression.fullmatch(name)] == matching


# Forks


def test_the_names_of_variables_are_compared_with_the_pattern_once(monkeypatch):
    variables = {"PYTHONHASHSEED": "1", "LANG": "C", "MINE": "x"}
    kind = warm._kind("python", variables)
    assert kind == ("python", frozenset({("PYTHONHASHSEED", "1"), ("LANG", "C")}))
    monkeypatch.setattr(warm, "READ_AT_IMPORT", None)
    assert warm._kind("python", variables) == kind


def test_modules_of_a_folder_hide_imported_ones_of_the_same_name(tmp_path):
    for name in ("yaml.py", "mine.py", "json/__init__.py", "csv/data.txt", "abc.txt", "sub/abc.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    modules = frozenset({"yaml", "json", "csv", "abc"})
    assert warm._hidden_modules(modules, tmp_path) == ["json", "yaml"]
    assert warm._hidden_modules(modules, tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("name", "word"), [("a.py", "pip"), ("sub/deep/b.py", "pip"), ("run.sh", "pip"), ("a.txt", None), ("py", None)]
)
def test_an_installer_is_found_in_all_sources_of_a_folder(tmp_path, name, word):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("# pip install x")
    (tmp_path / "dangling.py").symlink_to(tmp_path / "missing")
    assert warm._installer(["python", "launcher", "a.py"], tmp_path) == word
    assert warm._installer(["python", "launcher", "a.py", "ensurepip"], tmp_path) == "ensurepip"


# Variables

SHELL = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LANG": "C",
    "HF_HOME": "/models",
    "AZUREML_RUN_ID": "x",
    "AZURE_CLIENT_SECRET": "x",
    "MSI_ENDPOINT": "x",
    "PYTHONPATH": "x",
    "MLFLOW_TRACKING_URI": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "GITHUB_TOKEN": "x",
    "my_password": "x",
    "OPENAI_API_KEY": "x",
}


def test_a_job_inherits_the_machine_and_nothing_of_the_users_own():
    assert inherited(SHELL) == {"PATH": "/bin", "HOME": "/home/me", "LANG": "C", "HF_HOME": "/models"}


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "LC_ALL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"])
def test_variables_of_network_and_hardware_are_inherited(name):
    assert inherited({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("name", ["DATABASE_URL", "GITHUB_PAT", "HF_TOKEN", "KUBECONFIG", "PGPASSFILE", "COMPANY"])
def test_every_other_variable_may_be_a_secret(name):
    assert inherited({name: "x"}) == {}


def test_a_user_can_name_variables_that_are_passed_on():
    shell = {
        "AZUREML_WRAPPER_PASS": "DATABASE_URL, SALES_*",
        "DATABASE_URL": "a",
        "SALES_YEAR": "b",
        "GITHUB_PAT": "c",
    }
    assert inherited(shell) == {"DATABASE_URL": "a", "SALES_YEAR": "b"}


def test_the_log_names_what_is_not_passed_on_secrets_first_and_never_a_value():
    said = withheld({**SHELL, "ZONE": "s3cr3t", "AGE": "s3cr3t"})
    assert "AWS_SECRET_ACCESS_KEY, GITHUB_TOKEN, OPENAI_API_KEY, my_password, AGE and 1 others" in said
    assert "s3cr3t" not in said
    assert withheld({"PATH": "/bin", "AZUREML_RUN_ID": "x"}) == ""


# Work


class FakeProcess:
    """Ends well; `during` happens while it runs."""

    def __init__(self, during=lambda: None):
        self.during, self.ended = during, threading.Event()

    def wait(self):
        self.during()
        return 0

    def end(self):
        self.ended.set()


def test_the_first_reason_to_stop_counts():
    work = Work("key", "name")
    work.stop(StopReason.TIMEOUT)
    work.stop(StopReason.SHUTDOWN)
    assert work.reason is StopReason.TIMEOUT


def test_stopped_work_starts_no_process():
    work, started = Work("key", "name"), []
    work.stop(StopReason.CANCELED)
    with pytest.raises(Stopped):
        work.run(lambda: started.append(1) or FakeProcess())
    assert started == []


def test_work_that_is_stopped_while_its_process_runs_has_not_ended_well():
    work = Work("key", "name")
    process = FakeProcess(lambda: work.stop(StopReason.CANCELED))
    with pytest.raises(Stopped):
        work.run(lambda: process)
    assert process.ended.wait(60)


# Ends


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("[local] ours\nfirst\nsecond\n")
    return file


def text(ending):
    return ending.error.message


def test_without_a_traceback_the_last_lines_of_the_script_are_told(log):
    assert text(endings.exited(2, "python", log)).endswith("Error: first\nsecond")


def test_the_last_traceback_counts(log):
    log.write_text(
        "Traceback (most recent call last):\n  one\nA: 1\nthen\nTraceback (most recent call last):\n  two\nB: 2\n"
    )
    assert text(endings.exited(1, "python", log)).endswith("Error: Traceback (most recent call last):\n  two\nB: 2")


def test_an_error_keeps_to_azures_limit_and_to_its_end(log):
    log.write_text("Traceback (most recent call last):\n" + "x" * 9000 + "\nValueError: the end")
    message = text(endings.exited(1, "python", log))
    assert len(message) == 3000
    assert message.startswith("Execution failed. User process 'python' exited with status code 1.")
    assert message.endswith("ValueError: the end")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "was killed by SIGKILL (out of memory?)"),
        (-15, "was killed by SIGTERM"),
        (-60, "was killed by signal 60"),
        (139, "status code 139, which in a shell means SIGSEGV"),
        (255, "exited with status code 255."),
    ],
)
def test_exit_codes_in_words(log, code, words):
    assert words in text(endings.exited(code, "python", log))


@pytest.mark.parametrize("error", ["ModuleNotFoundError: No module named 'x'", "ImportError: cannot import name 'y'"])
def test_an_import_error_says_which_python_ran(log, error):
    log.write_text(f"Traceback (most recent call last):\n  one\n{error}\n" + "x" * 9000)
    missing = endings.missing_module("/a/bin/python", None)
    message = text(endings.exited(1, "python", log, missing=missing))
    assert message.endswith(f"\n\n[local] {missing}")
    assert len(message) == 3000
    assert text(endings.exited(1, "python", log)).endswith("x")
    log.write_text("Traceback (most recent call last):\n  one\nValueError: ImportError: no\n")
    assert text(endings.exited(1, "python", log, missing=missing)).endswith("ValueError: ImportError: no")


def test_a_canceled_run_has_no_error():
    assert endings.stopped(StopReason.CANCELED) == endings.Ending(RunStatus.CANCELED, None)


# Forms


def test_an_unknown_step_of_an_output_is_refused_by_name():
    blocks = {"blocks": [{"type": "Microsoft.DPrep.SortBlock", "arguments": {}}]}
    with pytest.raises(Unsupported, match="SortBlock"):
        read_transformations(json.dumps(blocks))


def test_a_local_runs_form_is_read():
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="definition.json"\r\n\r\n'
        b'{"Configuration": 1}\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="aml_config.zip"\r\n\r\nPK\r\n--b--\r\n'
    )
    assert invocation.read_definition("multipart/form-data; boundary=b", body) == {"Configuration": 1}


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
def test_what_is_no_such_form_is_refused(content_type):
    with pytest.raises(Invalid, match=r"definition\.json"):
        invocation.read_definition(content_type, b"{}")


def test_the_archive_is_what_the_sdk_starts():
    with zipfile.ZipFile(BytesIO(invocation.archive("http://x/start", "t", {"script": "a.py"}))) as archive:
        assert set(archive.namelist()) == {
            "azureml-setup/Invocation.sh",
            "azureml-setup/start.py",
            "azureml-setup/submission.json",
        }
        compile(archive.read("azureml-setup/start.py"), "start.py", "exec")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, Invalid),
        ({"Configuration": {}}, Invalid),
        ({"Configuration": "x"}, Invalid),
        ({"Configuration": {"script": 5}}, Invalid),
        ({"Configuration": {"script": "a.py", "arguments": "x"}}, Invalid),
        ({"Configuration": {"script": "a.py", "arguments": [{}]}}, Invalid),
        ({"Configuration": {"script": "a.py", "nodeCount": "many"}}, Invalid),
        ({"Configuration": {"script": "a.py", "data": {"x": 1}}}, Invalid),
        ({"Configuration": {"script": "a.py", "dataReferences": {"x": {}}}}, Invalid),
        ({"Configuration": {"script": "a.py", "history": {"directoriesToWatch": ["../../x"]}}}, Invalid),
        ({"Configuration": {"script": "a.py", "history": {"directoriesToWatch": ["/etc"]}}}, Invalid),
        ({"Configuration": {"script": "a.py", "framework": "PySpark"}}, Unsupported),
        ({"Configuration": {"script": "a.py", "sourceDirectoryDataStore": 5}}, Invalid),
    ],
)
def test_what_cannot_be_run_is_refused(body, error):
    with pytest.raises(error):
        wire.read_submission(body)


@pytest.mark.parametrize(
    ("config", "nodes", "processes"),
    [
        ({}, 1, 1),
        ({"communicator": "IntelMpi", "mpi": {"processCountPerNode": 3}, "nodeCount": 2}, 2, 3),
        ({"communicator": "nccl", "pytorch": {"processCount": 8}, "nodeCount": 2}, 2, 4),
        ({"communicator": "nccl", "pytorch": {"processCount": None}, "nodeCount": 2}, 2, 1),
    ],
)
def test_how_many_processes_a_run_asks_for(config, nodes, processes):
    submission = wire.read_submission({"Configuration": {"script": "a.py", **config}})
    job = wire.job(submission, "w", "r")
    assert (job.node_count, job.distribution.per_node) == (nodes, processes)


def test_what_is_not_done_is_said():
    config = {"script": "a.py", "priority": 5, "docker": {"useDocker": True}, "credentialPassthrough": True}
    assert len(wire.job(wire.read_submission({"Configuration": config}), "w", "r").notes) == 3


def test_a_run_may_keep_its_files_to_itself():
    config = {"script": "a.py", "history": {"outputCollection": False}}
    assert wire.job(wire.read_submission({"Configuration": config}), "w", "r").folders == ()
