"""Commands that only read or cancel: they import no SDK, and say what the SDK's objects say."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from urllib.parse import parse_qsl

import click
import pytest
from azureml._vendor.azure_storage.blob import ContainerSasPermissions, generate_container_sas
from azureml.core import Datastore, Experiment, ScriptRunConfig
from azureml.pipeline.core import Schedule

from azureml_wrapper import JobFolder, JobWrapper, PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.cli.main import aml
from azureml_wrapper.connection.connections import open_services
from azureml_wrapper.errors import RunFailed, RunTimeout, UnregisteredDatastore, UnregisteredRun
from azureml_wrapper.jobs.record import JobRecord, read_record
from azureml_wrapper.publishing.listing import listed_pipelines, listed_schedules
from azureml_wrapper.publishing.publication import list_registered
from azureml_wrapper.publishing.schedule import describe, recurrence_of, utc_now
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.runs.http_run import HttpRun
from azureml_wrapper.transfer.blob_container import RegisteredDatastore, signature
from azureml_wrapper.transfer.download import SignedAddress

pytestmark = pytest.mark.local_only

HEAVY = ("azureml", "azure.core", "azure.identity", "msrest", "pandas", "numpy", "requests", "OpenSSL", "pydantic")
# Runs each command in one interpreter, and prints what it has imported so far.
PROGRAM = f"""
import contextlib, io, json, sys
from azureml_wrapper.cli.main import aml, exit_code
imported = {{}}
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = aml.main(args=command, prog_name="aml", standalone_mode=False) or 0
        except Exception as error:
            code = exit_code(error)
    imported[" ".join(command)] = [code, *(name for name in {HEAVY!r} if name in sys.modules)]
print(json.dumps(imported))
"""
WRITE = "import pathlib, sys\npathlib.Path(sys.argv[-1], 'all.txt').write_text('1')\n"
FAIL = "def f():\n    raise ValueError('é boom')\nf()\n"
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(300)\n"


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("reading_env", [])
    wrapper.register_compute("reading-cpu")
    return wrapper


@pytest.fixture(scope="module")
def client(workspace):
    return HistoryClient(open_services(workspace.scope, target="local"), workspace.scope)


@pytest.fixture(scope="module")
def config(workspace, tmp_path_factory):
    """`config(a="print(1)")`: a config of a pipeline with one step for each script."""

    def make(**sources):
        folder, scope = tmp_path_factory.mktemp("reading"), workspace.scope
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(source)
        names = {"ws_name": scope.name, "resource_group": scope.resource_group, "env_name": "reading_env"}
        step = {"script_directory": str(folder)}
        return {
            **names,
            "subscription_id": scope.subscription_id,
            "compute_name": "reading-cpu",
            "steps": [{"step_name": name, "script_name": name, **step} for name in sources],
        }

    return make


@pytest.fixture(scope="module")
def failed(config):
    """A pipeline whose first step has completed and whose second one has failed."""
    run = PipelineWrapper.from_config(config(a=WRITE, b=FAIL)).run("reading", wait=False)
    with pytest.raises(RunFailed):
        run.wait()
    return run


@pytest.mark.slow
def test_no_command_that_reads_imports_an_sdk(workspace, failed, config, tmp_path):
    scope = workspace.scope
    named = {**config(), "steps": None}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({name: named[name] for name in ("ws_name", "resource_group", "subscription_id")}))
    given = {**config(main="print(1)"), "script_name": "main.py", "output_dir": str(tmp_path / "job")}
    given["script_directory"] = given.pop("steps")[0]["script_directory"]
    JobWrapper.from_config(given).submit("reading").wait()
    # Something to download from the datastore, too.
    file_of(workspace.ws.get_default_datastore(), f"{read_record(tmp_path / 'job').asked['output_path']}/model.txt")
    job, chosen = str(tmp_path / "job"), ["-c", str(file)]
    reading = [
        [*command, *chosen, *form]
        for command in (["runs"], ["show", failed.id], ["pipelines"], ["schedules"])
        for form in ([], ["--json"])
    ]
    reading += [["runs", "-e", "nowhere", *chosen], ["show", "nowhere", *chosen]]
    ended = [["cancel", failed.id, *chosen], ["cancel", failed.id, "a", *chosen]]
    folders = [[command, job, *form] for command in ("status", "results") for form in ([], ["--json"])]
    folders += [["logs", job], ["abort", job], ["cancel", job], ["abort", job, "--json"], ["cancel", job, "--json"]]
    commands = [*reading, *ended, *folders]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)], capture_output=True, text=True, timeout=120, check=True
    )
    imported = json.loads(done.stdout)
    codes = {command: code for command, (code, *_) in imported.items()}
    assert {command: heavy for command, (_, *heavy) in imported.items() if heavy} == {}
    wrong = [command for command, code in codes.items() if code != (2 if "nowhere" in command else 0)]
    assert wrong == [" ".join(command) for command in ended]
    assert scope.name == named["ws_name"]
    assert (tmp_path / "job" / "results" / "model.txt").read_text() == "a model"
    assert list((tmp_path / "job" / "runs").rglob("std_log.txt"))


def file_of(store, name):
    store.blob_service.get_blob_client(store.container_name, name).upload_blob(b"a model")


def test_a_runs_files_are_those_of_the_sdk(client, ws, unique, tmp_path):
    theirs = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)
    ours = HttpRun.find(client, theirs.id)
    assert ours.addresses("") == {}
    (tmp_path / "a").write_text("1")
    for name in ("outputs/a é.txt", "outputs/b.txt"):
        theirs.upload_file(name, str(tmp_path / "a"))
    assert set(ours.addresses("")) == set(theirs.get_file_names())
    assert client.read(SignedAddress(ours, "", ours.addresses("")["outputs/a é.txt"])()) == (b"1", 1)
    address = SignedAddress(ours, "outputs/a é.txt", "https://127.0.0.1/expired")
    address.renew()
    assert client.read(address()) == (b"1", 1)
    theirs.complete()


def test_all_pages_of_a_runs_files_are_asked_for(client, monkeypatch):
    pages = [{"value": [{"path": f"{page}", "contentUri": ""}], "continuationToken": page} for page in ("a/b", "")]
    asked = []
    monkeypatch.setattr(client, "_ask", lambda method, path: asked.append(path) or pages[len(asked) - 1])
    assert set(client.files("run", "outputs")) == {"a/b", ""}
    assert asked[1] == f"{asked[0]}?continuationToken=a%2Fb"


def test_a_datastore_and_its_signature_are_those_of_the_sdk(client, ws, unique):
    for name in (None, "workspaceblobstore"):
        theirs = Datastore.get(ws, name) if name else ws.get_default_datastore()
        ours = RegisteredDatastore.of(client.datastore(name))
        assert {field: getattr(theirs, field) for field in vars(ours)} == vars(ours)
    assert client.datastore(unique("none")) is None
    until = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    account, container, key = ours.account_name, ours.container_name, ours.account_key
    permission = ContainerSasPermissions(read=True, write=True, delete=True, list=True)
    signed = generate_container_sas(account, container, account_key=key, permission=permission, expiry=until)
    # One of them encodes slashes, which some keys lead to; both forms are valid.
    assert parse_qsl(signature(account, container, key, until)) == parse_qsl(signed)


def test_results_of_a_datastore_that_is_gone_say_so(workspace, failed, unique, tmp_path):
    """The run is there, and its datastore is not."""
    scope, name = workspace.scope, unique("gone")
    names = {"subscription_id": scope.subscription_id, "resource_group": scope.resource_group, "ws_name": scope.name}
    place = {"experiment": "reading", "target": "local", "address": "", "portal_url": "", "submitted": ""}
    asked = {"output_path": "out", "datastore_name": name}
    JobRecord(run_id=failed.id, asked=asked, **names, **place).write(tmp_path / "job")
    with pytest.raises(UnregisteredDatastore, match=f"has no datastore '{name}' any more. Register it again"):
        JobFolder(tmp_path / "job").results(show_progress=False)


def test_a_run_says_what_the_sdks_says(client, failed):
    theirs, ours = failed, HttpRun.find(client, failed.id)
    assert (ours.id, ours.name, ours.status, ours.experiment) == (theirs.id, theirs.name, "Failed", "reading")
    assert ours.portal_url == theirs.portal_url
    assert ours.properties == theirs.raw.get_properties()
    assert ours.duration == pytest.approx(theirs.duration, abs=0.01)
    steps = ours.steps()
    assert str(ours.failure(steps)) == str(theirs.failure)
    assert "é boom" in str(theirs.failure)
    shown = [(name, step.id, step.status, step.reused_from) for name, step in steps.items()]
    assert shown == [(name, step.id, step.status, step.reused_from) for name, step in theirs.steps.items()]
    with pytest.raises(UnregisteredRun, match="has no run 'nowhere'"):
        HttpRun.find(client, "nowhere")


def test_the_newest_runs_are_those_of_the_sdk(client, ws, failed):
    from azureml.core import Run

    for status in (None, "Failed", "Completed"):
        theirs = [run.id for run in Run.list(Experiment(ws, "reading"), status=status)]
        assert [entry["runId"] for entry in client.newest("reading", status, 1000)] == theirs
    assert len(client.newest("reading", None, 1)) == 1
    assert client.newest("nowhere", None, 1) is None
    assert client.experiments() == [each.name for each in Experiment.list(ws)]


def test_published_pipelines_and_schedules_are_those_of_the_sdk(client, ws, config, unique):
    pipeline, name = PipelineWrapper.from_config(config(a="print(1)")), unique("listed")
    when = {"interval": 2, "week_days": ["Monday", "Friday"], "hours": 7, "minutes": [0, 30]}
    pipeline.register(name, "of a test", schedule="Week", **when, time_zone="Europe/Paris")
    pipeline.register(name, "of a test")
    pipeline.register(unique("watch"), "of a test", schedule="On_blob_change", datastore_name="workspaceblobstore")
    for active_only in (True, False):
        theirs = list_registered(ws, active_only=active_only)
        ours = listed_pipelines(client, active_only=active_only)
        assert [(each.id, each.name, each.version, each.status, each.description) for each in ours] == [
            (each.pipeline.id, each.name, each.version, each.pipeline.status, each.pipeline.description)
            for each in theirs
        ]
        assert [each.endpoint for each in ours] == [each.endpoint for each in theirs]
        found = {each.id: each for each in listed_schedules(client, active_only=active_only)}
        schedules, now = Schedule.list(ws, active_only=active_only), utc_now()
        assert set(found) == {each.id for each in schedules}
        for each in schedules:
            listed = found[each.id]
            assert (listed.name, listed.status, listed.pipeline_id) == (each.name, each.status, each.pipeline_id)
            assert (describe(listed), recurrence_of(listed, now)) == (describe(each), recurrence_of(each, now))


@pytest.mark.slow
def test_runs_steps_and_jobs_are_canceled(client, ws, config, unique, tmp_path):
    run = PipelineWrapper.from_config(config(a=SLEEP, b="print(1)")).run(unique("exp"), wait=False)
    ours = HttpRun.find(client, run.id)
    with pytest.raises(RunTimeout, match=f"Run {run.id} is still .* after 0.2 s"):
        ours.wait(0.2)
    while "a" not in (steps := ours.steps()):
        ours.refresh(0.5)
    steps["a"].cancel()
    steps["a"].wait(60)
    assert (steps["a"].status, run.steps["a"].status) == ("Canceled", "Canceled")
    ours.wait(60)
    (tmp_path / "main.py").write_text(SLEEP)
    for target in ("local", "reading-cpu"):
        raw = Experiment(ws, unique("exp")).submit(ScriptRunConfig(str(tmp_path), "main.py", compute_target=target))
        script = HttpRun.find(client, raw.id)
        assert not script.is_canceled_by_sdk
        script.cancel()
        script.wait(60)
        assert (script.status, RunWrapper(raw).status) == ("Canceled", "Canceled")


@pytest.mark.slow
def test_a_canceled_pipeline_and_an_aborted_job_stop(workspace, client, config, unique, tmp_path):
    run = PipelineWrapper.from_config(config(a=SLEEP)).run(unique("exp"), wait=False)
    scope, file = workspace.scope, tmp_path / "config.json"
    names = {"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id}
    file.write_text(json.dumps(names))
    aml.main(args=["cancel", run.id, "-c", str(file), "--json"], prog_name="aml", standalone_mode=False)
    assert run.status == "Canceled"
    completed = PipelineWrapper.from_config(config(a="print(1)")).run(unique("exp"))
    with pytest.raises(click.ClickException, match="is Completed already"):
        aml.main(args=["cancel", completed.id, "-c", str(file)], prog_name="aml", standalone_mode=False)
    given = {**config(main=SLEEP), "script_name": "main.py", "output_dir": str(tmp_path / "job")}
    given["script_directory"] = given.pop("steps")[0]["script_directory"]
    JobWrapper.from_config(given).submit(unique("exp"))
    assert JobFolder(tmp_path / "job").abort(timeout=60).status == "Canceled"
