"""What every executor promises, over real stores and without the SDK.

A second implementation joins by another entry of `STARTERS`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.jobs import Job, JobInput, JobOutput, Mode
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.snapshots import read_tree
from azureml_wrapper.local.executor.local import LocalExecutor
from azureml_wrapper.local.executor.process import MARK_VARIABLE, ColdStarter
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tls import server_context

STARTERS = {"cold": ColdStarter}
SECONDS = 20.0


class Bench:
    """A service's stores and an executor over them, with shorthands."""

    def __init__(self, home: Home, starter, cores: int = 2) -> None:
        self.context = build_context(home, 1)
        self.home, self.make_starter = home, starter
        self.workspace = self.context.workspaces.get("local", "local", "local")
        self.experiment = self.context.experiments.ensure(self.workspace.workspace_id, "e")
        self.around = self.context.executor._around
        self.executor = LocalExecutor(self.around, starter=starter(), cores=cores)
        self.seen: dict[str, list[str]] = {}
        self.context.runs.listen(lambda run: self.seen.setdefault(run.run_id, []).append(run.status.value))
        self.add_compute("cpu", 4)

    def add_compute(self, name: str, nodes: int) -> None:
        now = self.context.clock.now()
        compute = Compute(name=name, created=now, modified=now, vm_size="STANDARD_D2_V2", max_nodes=nodes)
        self.context.computes.put(self.workspace.workspace_id, compute)

    def snapshot(self, files: dict[str, str | bytes]) -> str:
        folder = self.home.incoming / self.context.ids.guid()
        children = {}
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            children[name] = {"type": "File", "hash": self.context.ids.guid(), "timestamp": None, "children": {}}
        tree = read_tree({"name": "", "type": "Directory", "hash": "h", "children": children})
        uploads = {name: folder / name for name in files}
        snapshot_id = self.context.ids.guid()
        self.context.snapshots.add(self.workspace.workspace_id, snapshot_id, tree, uploads)
        return snapshot_id

    def add_run(self) -> str:
        run = Run(
            workspace_id=self.workspace.workspace_id,
            run_id=f"e_{self.context.ids.short()}",
            experiment="e",
            experiment_id=self.experiment.experiment_id,
            created=self.context.clock.now(),
            run_type="azureml.scriptrun",
        )
        self.context.runs.add(run)
        return run.run_id

    def submit(self, source: str | bytes = "", **fields) -> str:
        run_id = self.add_run()
        defaults = {"target": "cpu", "script": None if fields.get("command") else "main.py"}
        job = Job(
            workspace_id=self.workspace.workspace_id,
            run_id=run_id,
            **{**defaults, "snapshot_id": self.snapshot({"main.py": source}), **fields},
        )
        self.executor.submit(job)
        return run_id

    def run(self, source: str | bytes = "", **fields) -> Run:
        return self.wait(self.submit(source, **fields))

    def wait(self, run_id: str, *statuses: str, seconds: float = SECONDS) -> Run:
        """The run, once it has one of the statuses (default: an end)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.get(run_id)
            if run.status.value in statuses or (not statuses and run.status.is_terminal):
                return run
            time.sleep(0.01)
        raise AssertionError(f"{run_id} is {run.status.value} after {seconds} s:\n{self.log(run_id)}")

    def get(self, run_id: str) -> Run:
        return self.context.runs.get(self.workspace.workspace_id, run_id)

    def file(self, run_id: str, path: str) -> Path:
        folder = self.home.blobs / self.workspace.storage_account / "azureml" / "ExperimentRun" / f"dcid.{run_id}"
        return folder / path

    def log(self, run_id: str, path: str = "user_logs/std_log.txt") -> str:
        file = self.file(run_id, path)
        return file.read_bytes().decode(errors="replace") if file.exists() else "(no log)"

    def printed(self, run_id: str) -> list[str]:
        """The lines of the script itself."""
        return [line for line in self.log(run_id).splitlines() if not line.startswith("[local] ")]

    def await_text(self, run_id: str, text: str) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if text in self.log(run_id):
                return self.log(run_id)
            time.sleep(0.01)
        raise AssertionError(self.log(run_id))

    def store_folder(self, path: str) -> Path:
        return self.around.datastore_folder(self.workspace.workspace_id, "workspaceblobstore", path)

    def dataset(self, path: str) -> str:
        return self.context.datasets.save_folder(self.workspace.workspace_id, "workspaceblobstore", path).saved_id


@pytest.fixture(params=STARTERS)
def bench(request, tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    server_context(home)
    bench = Bench(home, STARTERS[request.param])
    yield bench
    bench.executor.close()


def message(run: Run) -> str:
    return run.error["error"]["message"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# The life of a job -------------------------------------------------------------------------------------------------


def test_a_script_runs_and_its_run_goes_through_azures_statuses(bench):
    run = bench.run("print('hello')")
    assert run.status is RunStatus.COMPLETED
    assert bench.seen[run.run_id] == ["Starting", "Running", "Finalizing", "Completed"]
    assert bench.printed(run.run_id) == ["hello"]
    assert run.started <= run.ended
    assert run.error is None


def test_the_log_begins_with_the_interpreter_and_what_differs(bench):
    run = bench.run("print(1)")
    lines = bench.log(run.run_id).splitlines()
    assert lines[0].startswith(f"[local] Interpreter: {sys.executable} (Python 3.")
    assert "because" in lines[0]
    assert any("STANDARD_D2_V2" in line for line in lines)


def test_both_log_names_are_one_file(bench):
    run = bench.run("print(1)")
    one = bench.file(run.run_id, "user_logs/std_log.txt")
    assert one.samefile(bench.file(run.run_id, "azureml-logs/70_driver_log.txt"))


def test_the_log_grows_while_the_script_runs(bench):
    run_id = bench.submit("import time\nprint('first', end='')\ntime.sleep(30)")
    bench.await_text(run_id, "first")
    assert bench.get(run_id).status is RunStatus.RUNNING
    bench.executor.cancel(bench.workspace.workspace_id, run_id)
    bench.wait(run_id)


def test_the_same_run_is_not_taken_twice(bench):
    run_id = bench.submit("import time; time.sleep(30)")
    job = Job(workspace_id=bench.workspace.workspace_id, run_id=run_id, target="cpu", snapshot_id=None)
    with pytest.raises(Conflict):
        bench.executor.submit(job)
    bench.executor.cancel(bench.workspace.workspace_id, run_id)


def test_it_is_busy_as_long_as_a_job_is(bench):
    assert not bench.executor.is_busy()
    run_id = bench.submit("import time; time.sleep(0.3)")
    assert bench.executor.is_busy()
    bench.wait(run_id)
    deadline = time.monotonic() + 2
    while bench.executor.is_busy() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not bench.executor.is_busy()
    assert list(bench.home.jobs.iterdir()) == []
    assert bench.around.jobs.everything() == []


def test_a_compute_runs_no_more_jobs_than_it_has_nodes(bench):
    bench.add_compute("one", 1)
    first = bench.submit("import time; time.sleep(30)", target="one")
    bench.wait(first, "Running")
    second = bench.submit("print(2)", target="one")
    bench.wait(second, "Queued")
    bench.executor.cancel(bench.workspace.workspace_id, first)
    assert bench.wait(second).status is RunStatus.COMPLETED
    assert bench.seen[second] == ["Starting", "Queued", "Running", "Finalizing", "Completed"]


def test_a_job_of_another_compute_need_not_wait_for_a_full_machine(bench):
    bench.add_compute("other", 1)
    for _ in range(2):
        bench.wait(bench.submit("import time; time.sleep(30)"), "Running")
    bench.wait(bench.submit("print('as soon as there is a core')"), "Queued")
    assert bench.run("print(1)", target="other").status is RunStatus.COMPLETED


def test_a_queued_job_can_be_cancelled(bench):
    bench.add_compute("one", 1)
    first = bench.submit("import time; time.sleep(30)", target="one")
    bench.wait(first, "Running")
    second = bench.submit("print(2)", target="one")
    bench.wait(second, "Queued")
    assert bench.executor.cancel(bench.workspace.workspace_id, second) is True
    assert bench.wait(second).status is RunStatus.CANCELED
    assert bench.get(first).status is RunStatus.RUNNING


def test_a_compute_that_is_gone_fails_the_run(bench):
    run = bench.run(target="nowhere")
    assert run.status is RunStatus.FAILED
    assert message(run) == "AzureMLCompute cluster nowhere does not exist"


# What a script sees ------------------------------------------------------------------------------------------------


ARGUMENTS = ("", "a b", "'", '"', "two\nlines", "$HOME", "*", "ünï ☃", "--x=1", "\\", "a" * 100_000)


def test_arguments_arrive_as_they_were_given(bench):
    run = bench.run("import sys, json; print(json.dumps(sys.argv))", arguments=ARGUMENTS)
    assert json.loads(bench.printed(run.run_id)[0]) == ["main.py", *ARGUMENTS]


def test_a_script_sees_its_folder_and_not_the_launcher(bench):
    run = bench.run(
        "import os, sys\n"
        "print(__name__, os.path.basename(__file__), sys.path[0] == os.getcwd(), sorted(os.listdir()))\n"
        "print([name for name in ('azureml', 'azureml_wrapper', 'runpy_user') if name in sys.modules])"
    )
    assert bench.printed(run.run_id) == ["__main__ main.py True ['logs', 'main.py', 'outputs']", "[]"]


VARIABLES = """
import os
names = ["AZUREML_RUN_ID", "AZUREML_ARM_WORKSPACE_NAME", "AZUREML_ARM_PROJECT_NAME", "MINE", "SECRET_THING"]
print([os.environ.get(name) for name in names])
print(os.environ["AZUREML_RUN_TOKEN"].count("."), os.path.exists(os.environ["REQUESTS_CA_BUNDLE"]))
print("HOME" in os.environ, "PYTHONPATH" in os.environ)
"""


def test_a_script_has_azures_variables_and_none_of_the_shells_secrets(bench, monkeypatch):
    monkeypatch.setenv("SECRET_THING", "x")
    monkeypatch.setenv("AZUREML_RUN_ID", "of the shell")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    run = bench.run(VARIABLES, environment_variables={"MINE": "ä\n1"})
    assert bench.printed(run.run_id) == [
        repr([run.run_id, "local", "e", "ä\n1", None]),
        "2 True",
        "True False",
    ]
    assert "look like secrets: " in bench.log(run.run_id)
    assert "SECRET_THING" in bench.log(run.run_id)


def test_a_shell_command_runs_the_same_interpreter(bench):
    run = bench.run(
        command=f'echo "$MINE" && python -c \'import sys; print(sys.prefix == "{sys.prefix}")\' | cat',
        environment_variables={"MINE": "a  b"},
    )
    assert run.status is RunStatus.COMPLETED
    assert bench.printed(run.run_id) == ["a  b", "True"]


# Ends --------------------------------------------------------------------------------------------------------------


def test_an_uncaught_exception_fails_the_run_with_its_traceback(bench):
    run = bench.run("def f():\n    raise ValueError('bad thing')\n\nf()\n")
    assert run.status is RunStatus.FAILED
    assert message(run).startswith(f"Execution failed. User process '{sys.executable}' exited with status code 1. ")
    assert "Error: Traceback (most recent call last):" in message(run)
    assert message(run).endswith("ValueError: bad thing")
    assert "launcher" not in bench.log(run.run_id)
    assert run.error["error"]["code"] == "UserError"
    assert run.error["componentName"] == "CommonRuntime"


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("import sys; sys.exit(0)", "Completed", None),
        ("import sys; sys.exit(7)", "Failed", "exited with status code 7"),
        ("import sys; sys.exit('why not')", "Failed", "why not"),
        ("import os; os._exit(3)", "Failed", "exited with status code 3"),
        ("import os; os.kill(os.getpid(), 9)", "Failed", "was killed by SIGKILL (out of memory?)"),
        ("import os; os.kill(os.getpid(), 11)", "Failed", "was killed by SIGSEGV"),
        ("def broken(:", "Failed", "SyntaxError"),
        ("raise KeyboardInterrupt", "Failed", "KeyboardInterrupt"),
    ],
)
def test_how_a_process_ends_becomes_the_runs_end(bench, source, status, text):
    run = bench.run(source)
    assert run.status.value == status
    assert text is None or text in message(run)


def test_a_command_killed_by_a_signal_says_so(bench):
    run = bench.run(command="sh -c 'kill -9 $$'; exit $?")
    assert "was killed by SIGKILL (out of memory?)" in message(run)


def test_a_script_that_is_not_there_fails_the_run(bench):
    run = bench.run(script="other.py")
    assert run.status is RunStatus.FAILED
    assert "can't open file" in message(run)


def test_a_snapshot_that_is_not_there_fails_the_run(bench):
    run = bench.run(snapshot_id="x")
    assert message(run) == "Could not find snapshot x."


def test_a_failure_that_the_script_asked_for_wins_over_its_exit_code(bench):
    run_id = bench.submit("import time; time.sleep(0.5)")
    asked = {"error": {"code": "UserError", "message": "as I said", "details": []}}
    bench.context.runs.change(bench.workspace.workspace_id, run_id, requested_failure=asked)
    run = bench.wait(run_id)
    assert run.status is RunStatus.FAILED
    assert message(run) == "as I said"


def test_a_job_that_takes_too_long_is_ended(bench):
    run = bench.run("import time; time.sleep(30)", timeout=0.5)
    assert run.status is RunStatus.FAILED
    assert "took longer than its maximum duration (0.5 s)" in message(run)


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def await_pids(bench, run_id, count):
    deadline = time.monotonic() + SECONDS
    while len(bench.printed(run_id)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return [int(line) for line in bench.printed(run_id)]


def test_cancel_ends_every_process_within_five_seconds(bench):
    run_id = bench.submit(STUBBORN)
    pids = await_pids(bench, run_id, 3)
    assert len(pids) == 3
    begin = time.monotonic()
    assert bench.executor.cancel(bench.workspace.workspace_id, run_id) is True
    assert bench.get(run_id).status is RunStatus.CANCEL_REQUESTED
    run = bench.wait(run_id, seconds=5)
    assert time.monotonic() - begin < 5
    assert run.status is RunStatus.CANCELED
    assert run.error is None
    assert not any(is_alive(pid) for pid in pids)


def test_a_script_that_heeds_sigterm_may_clean_up(bench):
    run_id = bench.submit(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up'), sys.exit(0)))\n"
        "print('ready')\ntime.sleep(60)"
    )
    bench.await_text(run_id, "ready")
    bench.executor.cancel(bench.workspace.workspace_id, run_id)
    assert bench.wait(run_id).status is RunStatus.CANCELED
    assert "cleaned up" in bench.printed(run_id)


def test_what_a_script_leaves_running_ends_with_it(bench):
    source = "import subprocess\nprint(subprocess.Popen(['sleep', '60'], start_new_session=True).pid)"
    run = bench.run(source)
    assert run.status is RunStatus.COMPLETED
    assert not is_alive(int(bench.printed(run.run_id)[0]))


def test_cancelling_what_does_not_run_is_refused(bench):
    run = bench.run("print(1)")
    time.sleep(0.1)
    assert bench.executor.cancel(bench.workspace.workspace_id, run.run_id) is False
    assert bench.executor.cancel(bench.workspace.workspace_id, "never heard of") is False


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


def test_a_file_that_cannot_be_a_blob_is_named_in_the_log(bench):
    run = bench.run("open('outputs/a\\nb', 'w').close(); open('outputs/good', 'w').close()")
    assert run.status is RunStatus.COMPLETED
    assert "was not uploaded" in bench.log(run.run_id)
    assert bench.file(run.run_id, "outputs/good").exists()


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
    assert message(run) == "Input in: no file of datastore workspaceblobstore matches 'nothing/*.csv'."


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
    assert "same/a.csv exists already in datastore workspaceblobstore" in message(second)


def test_an_upload_of_a_failed_script_is_not_published(bench):
    run = bench.run(WRITE + "1 / 0", **output(mode=Mode.UPLOAD, path="failed"))
    assert run.status is RunStatus.FAILED
    assert list(bench.store_folder("failed").iterdir()) == []
    assert run.output_datasets == []


def test_each_run_registers_a_version_of_its_output(bench):
    for version in (1, 2):
        run = bench.run(
            WRITE.replace("makedirs(", "makedirs(exist_ok=True, name="),
            **output(path="fixed", register_as={"name": "made", "description": "d", "tags": {"k": "v"}}),
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


# Ends of the service -----------------------------------------------------------------------------------------------


def test_closing_ends_the_jobs_and_says_why(bench):
    run_id = bench.submit(STUBBORN)
    pids = await_pids(bench, run_id, 3)
    bench.executor.close()
    run = bench.get(run_id)
    assert run.status is RunStatus.FAILED
    assert "the local service was stopped while the run was going on" in message(run)
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("leader_lives", [True, False])
def test_what_a_killed_service_left_is_failed_and_ended(bench, leader_lives):
    around, run_id = bench.around, bench.add_run()
    bench.context.runs.advance(bench.workspace.workspace_id, run_id, RunStatus.RUNNING)
    log = bench.file(run_id, "user_logs/std_log.txt")
    log.parent.mkdir(parents=True)
    process = ColdStarter().start(
        [sys.executable, "-c", STUBBORN],
        folder=bench.home.jobs,
        variables={**os.environ, MARK_VARIABLE: "mark"},
        log=log,
    )
    around.jobs.add("mark", bench.workspace.workspace_id, run_id)
    around.jobs.set_process("mark", process.identity.pid, process.identity.ticks)
    pids = await_pids(bench, run_id, 3)
    if not leader_lives:
        os.kill(process.identity.pid, signal.SIGKILL)
    bench.executor.recover()
    run = bench.get(run_id)
    assert run.status is RunStatus.FAILED
    assert message(run) == "Execution failed: the local service was killed while the run was going on."
    assert not any(is_alive(pid) for pid in pids)
    assert around.jobs.everything() == []


def test_a_process_that_got_the_number_of_a_dead_one_is_left_alone(bench):
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as stranger:
        bench.around.jobs.add("mark", bench.workspace.workspace_id, bench.add_run())
        bench.around.jobs.set_process("mark", stranger.pid, 1)
        bench.executor.recover()
        assert stranger.poll() is None
        stranger.kill()


def test_a_queued_run_of_a_killed_service_is_failed_and_a_cancelled_one_canceled(bench):
    waiting, canceled = bench.add_run(), bench.add_run()
    bench.context.runs.advance(bench.workspace.workspace_id, canceled, RunStatus.CANCEL_REQUESTED)
    for run_id in (waiting, canceled):
        bench.around.jobs.add(run_id, bench.workspace.workspace_id, run_id)
    bench.executor.recover()
    assert bench.get(waiting).status is RunStatus.FAILED
    assert bench.get(canceled).status is RunStatus.CANCELED
