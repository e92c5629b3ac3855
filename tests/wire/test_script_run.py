"""Single runs: `Experiment.submit(ScriptRunConfig)` and all that comes of it."""

from __future__ import annotations

import functools
import io
import json
import re
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from azureml.core import Dataset, Environment, Experiment, Run, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.runconfig import DockerConfiguration
from azureml.exceptions import ActivityFailedException

from tests.waiting import until

PREPARE = "from azureml.core import Run\nrun = Run.get_context()\n"


@pytest.fixture(scope="session")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-script", config)


def put(folder, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def submit(ws, cluster, unique, tmp_path):
    """Submit a script's source; keyword arguments are those of ScriptRunConfig."""
    experiment = Experiment(ws, unique("exp"))

    def make(source: str = "", files: dict[str, str] | None = None, **fields) -> Run:
        folder = tmp_path / unique("src")
        put(folder, {"main.py": source, **(files or {})})
        environment = Environment(unique("env"))
        settings = {"compute_target": cluster, "environment": environment, **fields}
        if "command" not in settings:
            settings.setdefault("script", "main.py")
        config = ScriptRunConfig(str(folder), **settings)
        return experiment.submit(config)

    return make


def finish(run: Run, seconds: float = 60) -> str:
    """The run's last status."""
    ends = ("Completed", "Failed", "Canceled")
    until(lambda: run.get_status() in ends, seconds=seconds, tell=lambda: f"{run.id} is {run.get_status()}")
    return run.get_status()


def log(run: Run, tmp_path, name: str = "user_logs/std_log.txt") -> bytes:
    target = tmp_path / "downloaded.txt"
    run.download_file(name, str(target))
    return target.read_bytes()


def printed(run: Run, tmp_path) -> list[str]:
    lines = log(run, tmp_path).decode().splitlines()
    return [line for line in lines if not line.startswith("[local] ")]


def await_running(run: Run) -> None:
    until(lambda: run.get_status() == "Running", tell=run.get_status)


def test_a_script_runs_and_its_run_tells_of_it(submit, tmp_path):
    run = submit("print('hello')")
    assert re.fullmatch(r"exp\w+_\d{10}_[0-9a-f]{8}", run.id)
    assert finish(run) == "Completed"
    assert printed(run, tmp_path) == ["hello"]
    details = run.get_details()
    assert details["target"] == "cpu-script"
    assert details["startTimeUtc"] <= details["endTimeUtc"]
    assert list(details["properties"])[:5] == [
        "_azureml.ComputeTargetType",
        "_azureml.ClusterName",
        "ContentSnapshotId",
        "ProcessInfoFile",
        "ProcessStatusFile",
    ]
    assert "user_logs/std_log.txt" in details["logFiles"]
    assert run.type == "azureml.scriptrun"


@pytest.mark.parametrize("how", [{"script": "sub/main.py"}, {"command": ["python", "sub/main.py"]}])
def test_a_script_in_a_subfolder_imports_from_the_root(submit, tmp_path, how):
    run = submit(files={"util/__init__.py": "X = 1", "sub/main.py": "from util import X\nprint(X)"}, **how)
    assert finish(run) == "Completed"
    assert printed(run, tmp_path) == ["1"]


def test_a_file_of_a_web_address_is_downloaded_for_a_script(submit, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.csv").write_text("x")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.csv"
        data = Dataset.File.from_files(address, validate=False).as_named_input("in").as_download()
        run = submit("import sys; print(open(sys.argv[1]).read())", arguments=[data])
        assert finish(run) == "Completed"
        server.shutdown()
    assert printed(run, tmp_path) == ["x"]


def test_the_run_definition_is_as_azures(submit):
    run = submit("", arguments=["--lr", 0.1], max_run_duration_seconds=100)
    definition = run.get_details()["runDefinition"]
    assert definition["script"] == "main.py"
    assert definition["arguments"] == ["--lr", "0.1"]
    assert definition["maxRunDurationSeconds"] == 100
    assert definition["environment"]["version"].startswith("Autosave_")
    assert definition["amlCompute"]["retainCluster"] is False
    assert definition["commandReturnCodeConfig"] == {"returnCode": "Zero", "successfulReturnCodes": []}


def test_a_registered_environment_is_named_by_its_version(ws, submit, unique):
    environment = Environment(unique("env")).register(ws)
    run = submit("", environment=environment)
    found = run.get_details()["runDefinition"]["environment"]
    assert (found["name"], found["version"]) == (environment.name, "1")
    assert run.get_environment().name == environment.name


def test_an_unregistered_environment_can_be_got_from_its_run(ws, submit, unique):
    environment = Environment(unique("env"))
    environment.environment_variables = {"A": "b"}
    run = submit("", environment=environment)
    found = run.get_environment()
    assert found.name == environment.name
    assert found.environment_variables == {"A": "b"}
    assert found.version == run.get_details()["runDefinition"]["environment"]["version"]
    assert submit("", environment=environment).get_environment().version == found.version
    assert environment.name not in Environment.list(ws)
    assert environment.register(ws).version == "1"
    environment.version = "7"
    assert submit("", environment=environment).get_environment().version == "7"


def test_what_a_script_logs_in_its_last_line_is_kept(submit):
    run = submit(PREPARE + "run.log('accuracy', 0.5)\nrun.log_list('l', [1, 2])\nrun.log('last', 1)")
    assert finish(run) == "Completed"
    assert run.get_metrics() == {"accuracy": 0.5, "l": [1, 2], "last": 1}


def test_what_a_script_logs_to_its_parent_in_its_last_line_is_kept(submit):
    run = submit(
        PREPARE + "with run.child_run('c') as child:\n    child.log('mine', 1)\nchild.parent.log('yours', 2)"
    )
    assert finish(run) == "Completed"
    assert run.get_metrics() == {"yours": 2}
    [child] = run.get_children()
    assert child.get_metrics() == {"mine": 1}


def test_what_a_failing_script_logged_is_kept(submit):
    run = submit(PREPARE + "run.log('before', 1)\nraise SystemExit(4)")
    assert finish(run) == "Failed"
    assert run.get_metrics() == {"before": 1}


def test_a_command_keeps_its_metrics_too(submit):
    run = submit(PREPARE + "run.log('a', 1)", command="echo begin && python main.py")
    assert finish(run) == "Completed"
    assert run.get_metrics() == {"a": 1}


def test_a_script_has_a_live_run(submit, tmp_path):
    run = submit(
        PREPARE + "run.tag('k', 'v')\nrun.set_tags({'a': 'b'})\nrun.add_properties({'p': 'q'})\n"
        "open('f.txt', 'w').write('x')\nrun.upload_file('given/f.txt', 'f.txt')\n"
        "print(run.id, run.experiment.name, run.experiment.workspace.name)"
    )
    assert finish(run) == "Completed"
    assert run.get_tags() == {"k": "v", "a": "b"}
    assert run.get_properties()["p"] == "q"
    assert "given/f.txt" in run.get_file_names()
    assert f"{run.id} {run.experiment.name} {run.experiment.workspace.name}" in printed(run, tmp_path)


def test_complete_in_a_script_does_no_harm(submit):
    run = submit(PREPARE + "run.log('a', 1)\nrun.complete()")
    assert finish(run) == "Completed"


def test_fail_in_a_script_fails_the_run_with_its_reason(submit):
    run = submit(PREPARE + "run.fail('not good enough', error_code='Accuracy')")
    assert finish(run) == "Failed"
    assert "not good enough" in json.dumps(run.get_details()["error"])


def test_files_in_outputs_and_logs_are_the_runs(submit, tmp_path):
    run = submit(
        "open('outputs/model.txt', 'w').write('m')\nopen('logs/l.txt', 'w').write('l')\nopen('x.txt', 'w').close()"
    )
    assert finish(run) == "Completed"
    names = run.get_file_names()
    assert {"outputs/model.txt", "logs/l.txt", "user_logs/std_log.txt"} <= set(names)
    assert "x.txt" not in names
    assert log(run, tmp_path, "outputs/model.txt") == b"m"


def test_logs_stream_while_waiting(submit):
    run = submit("import time\nfor i in range(3):\n    print('line', i, flush=True)\n    time.sleep(0.5)")
    out = io.StringIO()
    run._stream_run_output(file_handle=out)
    text = out.getvalue()
    assert "Streaming user_logs/std_log.txt" in text
    assert [f"line {i}" in text for i in range(3)] == [True] * 3


def test_wait_for_completion_shows_the_log_and_raises_on_failure(submit, capsys):
    # The SDK shows no log of a run that has ended before its first look.
    run = submit("import time\nprint('before')\ntime.sleep(2)\nraise ValueError('bad thing')")
    with pytest.raises(ActivityFailedException, match="bad thing"):
        run.wait_for_completion(show_output=True)
    assert "before" in capsys.readouterr().out


def test_a_failed_run_has_azures_error(submit):
    run = submit("raise ValueError('bad thing')")
    assert finish(run) == "Failed"
    error = run.get_details()["error"]
    assert error["error"]["code"] == "UserError"
    assert "exited with status code 1. Please check log file 'user_logs/std_log.txt'" in error["error"]["message"]
    assert error["error"]["message"].endswith("ValueError: bad thing")
    assert error["time"] == "0001-01-01T00:00:00.000Z"
    assert run.get_details()["status"] == "Failed"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import sys; sys.exit(3)", "exited with status code 3"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    ],
)
def test_exit_codes_and_signals_are_named(submit, source, text):
    run = submit(source)
    assert finish(run) == "Failed"
    assert text in run.get_details()["error"]["error"]["message"]


def test_a_run_that_takes_too_long_fails(submit):
    run = submit("import time; time.sleep(60)", max_run_duration_seconds=1)
    assert finish(run) == "Failed"
    assert "maximum duration" in run.get_details()["error"]["error"]["message"]


def test_cancel_ends_the_run_and_what_it_started(submit, tmp_path):
    run = submit(
        "import subprocess, time\nprint(subprocess.Popen(['sleep', '300']).pid, flush=True)\ntime.sleep(300)"
    )
    await_running(run)
    run.cancel()
    assert finish(run, seconds=10) == "Canceled"
    assert "error" not in run.get_details()


def test_a_run_found_again_can_be_cancelled(ws, submit):
    run = submit("import time; time.sleep(300)")
    await_running(run)
    Run.get(ws, run.id).cancel()
    assert finish(run, seconds=10) == "Canceled"


@pytest.mark.slow
def test_a_hundred_megabytes_of_output_can_be_read(submit, tmp_path):
    run = submit("line = 'x' * 99\nfor _ in range(1_000_000): print(line)")
    assert finish(run, seconds=120) == "Completed"
    assert len(log(run, tmp_path)) > 100_000_000


def test_output_that_is_not_text_is_kept(submit, tmp_path):
    run = submit("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\x00 binary')")
    assert finish(run) == "Completed"
    assert log(run, tmp_path).endswith(b"\xff\xfe\x00 binary")


def test_arguments_arrive_unchanged(submit, tmp_path):
    arguments = ["", "a b", "it's", '"x"', "two\nlines", "ünï", "$HOME", "-1", 5, 0.5, True]
    run = submit("import json, sys; print(json.dumps(sys.argv[1:]))", arguments=arguments)
    assert finish(run) == "Completed"
    assert json.loads(printed(run, tmp_path)[0]) == [str(argument) for argument in arguments]


def test_environment_variables_arrive(submit, unique, tmp_path):
    environment = Environment(unique("env"))
    environment.environment_variables = {"FROM_ENVIRONMENT": "1", "BOTH": "environment"}
    source = "import os; print([os.environ.get(n) for n in ('FROM_ENVIRONMENT', 'BOTH', 'AZUREML_RUN_ID')])"
    run = submit(source, environment=environment)
    assert finish(run) == "Completed"
    assert printed(run, tmp_path) == [str(["1", "environment", run.id])]


def test_an_unknown_cluster_is_refused(submit):
    from azureml.exceptions import ExperimentExecutionException

    with pytest.raises(ExperimentExecutionException, match="Unknown compute target 'nowhere'"):
        submit("", compute_target="nowhere")


@pytest.mark.local_only
def test_a_run_configuration_is_followed_and_what_is_not_used_is_said(ws, cluster, unique, tmp_path):
    store, folder = ws.get_default_datastore(), tmp_path / "src"
    folder.mkdir()
    (folder / "main.py").write_text(
        "import os, sys\nprint(os.environ['MINE'], open(sys.argv[1] + '/a.txt').read(), sys.argv[2])"
    )
    (tmp_path / "a.txt").write_text("data")
    store.upload_files([str(tmp_path / "a.txt")], target_path=(place := unique("place")), show_progress=False)
    reference = store.path(place).as_mount()
    config = ScriptRunConfig(
        str(folder),
        script="main.py",
        arguments=[str(reference), "$AZUREML_DATAREFERENCE_gone"],
        compute_target=cluster,
        environment=Environment(unique("env")),
        max_run_duration_seconds=100,
        docker_runtime_config=DockerConfiguration(use_docker=True, arguments=["--gpus", "all"], shm_size="4g"),
    )
    config.run_config.environment_variables = {"MINE": "mine"}
    config.run_config.data_references = {reference.data_reference_name: reference.to_config()}
    config.run_config.priority = 5
    run = Experiment(ws, unique("exp")).submit(config)
    assert finish(run) == "Completed"
    assert printed(run, tmp_path) == ["mine data $AZUREML_DATAREFERENCE_gone"]
    said = log(run, tmp_path).decode()
    assert "priority is ignored" in said
    assert "docker settings of the run are ignored (useDocker True, arguments --gpus all, shmSize 4g)" in said
    assert "the run configuration has no data reference 'gone'. Add it: run_config.data_references[" in said


@pytest.mark.local_only
def test_an_import_error_names_the_python_of_the_service_and_of_a_submitter_that_tells_it(submit, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/elsewhere/bin/python")
    run = submit("import nowhere_at_all")
    monkeypatch.undo()
    assert finish(run) == "Failed"
    message = run.get_details()["error"]["error"]["message"]
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in message
    assert f"[local] The job ran in the service's Python, {sys.executable}; the run was submitted from" in message


def test_the_log_begins_with_the_interpreter(submit, tmp_path):
    run = submit("print(1)")
    finish(run)
    first, second, *_ = log(run, tmp_path).decode().splitlines()
    assert first.startswith(("[local] Warm start: ", "[local] Cold start: "))
    assert second.startswith(f"[local] Interpreter: {sys.executable} (")


def test_a_script_submits_a_child_run_and_waits_for_it(submit):
    run = submit(
        PREPARE + "from azureml.core import ScriptRunConfig\n"
        "import os\nos.makedirs('child')\nopen('child/c.py', 'w').write('print(1)')\n"
        "config = ScriptRunConfig('child', script='c.py')\nconfig.run_config.target = 'cpu-script'\n"
        "child = run.submit_child(config)\nchild.wait_for_completion()\nprint(child.get_status())"
    )
    assert finish(run) == "Completed", run.get_details()
    [child] = run.get_children()
    assert child.get_status() == "Completed"


def test_a_program_completes_its_run_with_the_target_local(submit):
    run = submit("", compute_target="local")
    assert finish(run) == "Completed"
    run.complete()
    assert run.get_status() == "Completed"


@pytest.mark.parametrize(
    ("end", "status", "message"),
    [(lambda run: run.complete(), "Completed", None), (lambda run: run.fail("enough"), "Failed", "enough")],
)
def test_a_program_ends_its_run_with_the_target_local_while_it_runs(submit, end, status, message):
    run = submit("import time\nwhile True: time.sleep(0.1)", compute_target="local")
    await_running(run)
    end(run)
    assert run.get_status() == status
    error = run.get_details().get("error") or {}
    assert error.get("error", {}).get("message") == message
    with pytest.raises(Exception, match=f"is {status} and cannot become"):
        run._client.run.post_event_start()
    run.cancel()


def test_a_script_fails_its_run_with_the_target_local(submit):
    run = submit(PREPARE + "run.fail('by itself')", compute_target="local")
    assert finish(run) == "Failed"
    assert run.get_details()["error"]["error"]["message"] == "by itself"


def test_the_target_local_runs_here_too(ws, unique, tmp_path):
    folder = tmp_path / "src"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "util.py").write_text("VALUE = 5")
    (folder / "main.py").write_text(PREPARE + "from lib.util import VALUE\nrun.log('value', VALUE)")
    environment = Environment(unique("env"))
    run = Experiment(ws, unique("exp")).submit(
        ScriptRunConfig(str(folder), script="main.py", environment=environment)
    )
    assert finish(run) == "Completed"
    assert run.get_metrics() == {"value": 5}
    details = run.get_details()
    assert details["target"] == "local"
    assert details["properties"]["_azureml.ComputeTargetType"] == "local"
    assert "ProcessInfoFile" not in details["properties"]
    assert "azureml-logs/70_driver_log.txt" in details["logFiles"]


def test_a_local_run_can_be_cancelled(ws, unique, tmp_path):
    (tmp_path / "main.py").write_text("import time; time.sleep(300)")
    source = ScriptRunConfig(str(tmp_path), script="main.py", environment=Environment(unique("env")))
    run = Experiment(ws, unique("exp")).submit(source)
    await_running(run)
    run.cancel()
    assert finish(run, seconds=10) == "Canceled"


@pytest.mark.local_only
def test_runs_are_submitted_and_cancelled_by_the_experiments_id_too(ws, submit):
    run = submit("import time; time.sleep(300)")
    scope, context = ws.service_context._get_workspace_scope(), ws.service_context
    base = (
        f"{context._get_execution_url()}/execution/v1.0{scope}/experimentids/{Experiment(ws, run.experiment.name).id}"
    )
    headers = ws._auth_object.get_authentication_header()
    body = {
        "configuration": {"script": "main.py", "target": "cpu-script"},
        "snapshotId": run.get_properties()["ContentSnapshotId"],
    }
    answer = requests.post(f"{base}/snapshotrun", json=body, headers=headers, timeout=30)
    assert answer.ok, answer.text
    other = Run.get(ws, answer.json()["runId"])
    assert other.experiment.name == run.experiment.name
    for one in (run, other):
        assert requests.post(f"{base}/runs/{one.id}/cancel", headers=headers, timeout=30).ok
        assert finish(one, seconds=10) == "Canceled"
        # Once more is no error.
        assert requests.post(f"{base}/runs/{one.id}/cancel", headers=headers, timeout=30).ok


@pytest.mark.local_only
def test_a_local_run_whose_script_has_not_started_can_be_cancelled(ws, unique):
    """As when the client was killed between the two requests of a local run."""
    scope, context = ws.service_context._get_workspace_scope(), ws.service_context
    base = f"{context._get_execution_url()}/execution/v1.0{scope}/experiments/{unique('exp')}"
    headers = ws._auth_object.get_authentication_header()
    definition = json.dumps({"configuration": {"script": "main.py", "target": "local"}})
    run_id = f"local_{unique('run')}"
    sent = {"files": ("definition.json", definition)}
    answer = requests.post(f"{base}/localrun?runId={run_id}", files=sent, headers=headers, timeout=30)
    assert answer.ok, answer.text
    run = Run.get(ws, run_id)
    assert run.get_status() == "NotStarted"
    assert requests.post(f"{base}/runs/{run_id}/cancel", headers=headers, timeout=30).ok
    assert run.get_status() == "Canceled"
