"""Jobs and their folders: the Python classes, against the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest
from azureml.core import Experiment

from azureml_wrapper import JobFolder, JobWrapper, WorkspaceWrapper
from azureml_wrapper.cli.work import job_folders as work
from azureml_wrapper.config.job_models import DatastoreFile, EnvironmentFile
from azureml_wrapper.connection.local import local_environment
from azureml_wrapper.connection.target import LOCAL
from azureml_wrapper.errors import (
    BadArgument,
    BadData,
    FolderTaken,
    LoginFailed,
    MissingInput,
    NoSuchJob,
    NotRegistered,
    RunFailed,
    UnregisteredEnvironment,
    UnregisteredRun,
)
from azureml_wrapper.jobs.folder import states_of
from azureml_wrapper.jobs.preparation import prepare_datastore, prepare_environment
from azureml_wrapper.jobs.record import JobRecord, read_record
from azureml_wrapper.jobs.states import GONE, UNKNOWN, client_of, states
from azureml_wrapper.jobs.submission import kept
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.run import ENDS
from azureml_wrapper.runs.history_client import BATCH
from azureml_wrapper.runs.logs import LogReader
from tests.waiting import until

# Says what it was given, and leaves a file in each of its places.
SCRIPT = """
import os, pathlib, sys
given = sys.argv[1:]
out = pathlib.Path(given[given.index("--output_dir") + 1])
out.mkdir(parents=True, exist_ok=True)
(out / "model é #1 100%.txt").write_text("model")
pathlib.Path("outputs").mkdir(exist_ok=True)
pathlib.Path("outputs", "m.txt").write_text("m")
print("given", *given[given.index("--output_dir") + 2:])
print("code VERSION", flush=True)
"""
SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(120)\n"

# Of a workspace in Azure, into which nobody is logged in here.
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def wrapper(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_compute("cpu-jobs")
    wrapper.register_env("jobs-env", ["numpy"])
    return wrapper


@pytest.fixture
def job(wrapper, tmp_path, unique):
    """`job(source)`: a JobWrapper whose folder is `output/job` of the current folder."""
    path = unique("job")

    def make(source: str = SCRIPT, **fields) -> JobWrapper:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text(textwrap.dedent(source))
        scope = wrapper.scope
        given = {"env_name": "jobs-env", "compute_name": "cpu-jobs", "output_dir": "output/job", "output_path": path}
        names = (scope.name, scope.resource_group, scope.subscription_id)
        return JobWrapper(*names, "main.py", script_directory=folder, **{**given, **fields})

    return make


def lines(folder):
    return [line for line in folder.logs().splitlines() if not line.startswith("[local]")]


@pytest.mark.slow
def test_a_job_runs_and_its_folder_tells_of_it(job, unique):
    experiment = unique("exp")
    run = job(parameters={"LR": 0.1, "TEXT": "é 🐧"}, tags={"who": "me"}).submit(experiment)
    assert run.wait().status == "Completed"
    folder = JobFolder("output/job")
    assert lines(folder) == ["given LR 0.1 TEXT é 🐧", "code VERSION"]
    assert "files written there are in the datastore at once" in folder.logs()
    state = folder.state()
    assert (state.status, state.last_line, state.problem) == ("Completed", "code VERSION", "")
    assert state.seconds == pytest.approx(run.duration, abs=0.01)
    record = read_record(Path("output/job"))
    assert (record.run_id, record.experiment, record.portal_url) == (run.id, experiment, run.portal_url)
    assert (record.tags, run.raw.get_tags()) == ({"who": "me"}, {"who": "me"})
    assert folder.run.id == run.id


@pytest.mark.slow
def test_results_come_whole_and_once(job, unique):
    run = job().submit(unique("exp"))
    run.wait()
    folder = JobFolder("output/job")
    found = folder.results(show_progress=False)
    names = {path.relative_to("output/job").as_posix() for path in found.files}
    assert {"results/model é #1 100%.txt", f"runs/{run.id}/outputs/m.txt"} <= names
    assert Path("output/job/results/model é #1 100%.txt").read_text() == "model"
    assert found.note == ""
    again = folder.results(show_progress=False).summary()
    assert (again["files"], again["new"]) == (len(names), 0)
    # What was changed here is not the job's result: the datastore's content comes back.
    Path("output/job/results/model é #1 100%.txt").write_text("other")
    assert folder.results(show_progress=False).summary()["new"] == 1
    assert Path("output/job/results/model é #1 100%.txt").read_text() == "model"


@pytest.mark.slow
def test_a_job_that_left_nothing_says_so(job, unique):
    job("print('nothing')").submit(unique("exp")).wait()
    folder = JobFolder("output/job")
    note = folder.results(show_progress=False).note
    assert note.startswith("The datastore has no files in job")
    assert not Path("output/job/results").exists()


@pytest.mark.slow
def test_a_job_is_submitted_again_with_the_scripts_of_then_or_of_now(job, unique):
    first = job(parameters={"LR": 0.1, "KEEP": "x"}).submit(unique("exp"))
    first.wait()
    job(SCRIPT.replace("VERSION", "CHANGED"))
    folder = JobFolder("output/job")
    second = folder.resubmit({"LR": 0.2})
    second.wait()
    assert lines(JobFolder("output/job")) == ["given LR 0.2 KEEP x", "code VERSION"]
    assert second.raw.get_snapshot_id() == first.raw.get_snapshot_id()
    assert second.raw.get_environment().version == first.raw.get_environment().version

    third = JobFolder("output/job").resubmit(new_code=True)
    third.wait()
    assert lines(JobFolder("output/job")) == ["given LR 0.2 KEEP x", "code CHANGED"]
    record = read_record(Path("output/job"))
    assert (record.original_run_id, record.resubmitted_from) == (first.id, second.id)
    assert record.earlier == (first.id, second.id)
    for run in (second, third):
        assert run.raw.get_tags()["original_run_id"] == first.id
        assert run.raw.get_properties()["original_run_id"] == first.id


@pytest.mark.slow
def test_variables_reach_each_run_and_no_record(job, unique):
    source = "import os\nprint(os.environ['API_KEY'][::-1])"
    job(source, environment_variables={"API_KEY": "hunter2"}).submit(unique("exp")).wait()
    JobFolder("output/job").resubmit().wait()
    folder = JobFolder("output/job")
    assert lines(folder) == ["2retnuh"]
    assert folder.record.variables == ("API_KEY",)
    assert "hunter2" not in Path("output/job/aml_job.json").read_text()


@pytest.mark.slow
def test_a_folder_keeps_its_job_unless_forced(job, unique):
    first = job(SLEEP).submit(unique("exp"))
    with pytest.raises(FolderTaken, match=f"already holds a job: run {first.id}"):
        job().submit(unique("exp"))
    with pytest.raises(FolderTaken, match=r"The job of output/job is (Queued|Preparing|Running|NotStarted|Starting)"):
        JobFolder("output/job").resubmit()
    second = job().submit(unique("exp"), force=True)
    assert first.status == "Canceled"
    assert read_record(Path("output/job")).earlier == (first.id,)
    assert second.wait().status == "Completed"


@pytest.mark.slow
def test_a_job_is_aborted_and_its_log_read_while_it_grows(job, unique):
    job(SLEEP).submit(unique("exp"))
    folder = JobFolder("output/job")
    reader = LogReader(client_of(folder.record), folder.record.run_id)
    seen = ""

    def begun():
        nonlocal seen
        seen += "".join(reader.read())
        return "begun\n" in seen

    until(begun)
    assert "".join(reader.read()) == ""
    assert folder.state().last_line == "begun"
    assert folder.state().status == "Running"
    assert folder.cancel() is None
    assert folder.abort(timeout=30).status == "Canceled"
    assert folder.cancel() is None
    assert folder.abort().status == "Canceled"
    assert "begun" in "".join(folder.follow_logs())


@pytest.mark.slow
def test_a_job_that_fails_is_failed_and_its_log_is_a_log(job, unique, capsys):
    run = job("raise SystemExit('the data is bad')").submit(unique("exp"))
    with pytest.raises(RunFailed):
        run.wait()
    state = JobFolder("output/job").state()
    assert (state.status, state.last_line) == ("Failed", "the data is bad")
    # No `click.exceptions.Exit`: what is asked for is the log, and here it is.
    work.logs(["output/job"], follow=True)
    assert "the data is bad" in capsys.readouterr().out


def test_what_is_missing_is_told_and_leaves_no_job(job, unique):
    exp = unique("exp")
    with pytest.raises(UnregisteredEnvironment, match="Did you mean 'jobs-env'"):
        job(env_name="jobs-evn").submit(exp)
    with pytest.raises(NotRegistered, match="datastore 'nowhere'"):
        job(datastore_name="nowhere").submit(exp)
    with pytest.raises(MissingInput, match="no files in the folder 'no-data'"):
        job(input_dir="no-data").submit(exp)
    with pytest.raises(NoSuchJob):
        JobFolder("output/job")
    assert not Path("output").exists()


@pytest.mark.slow
def test_a_mistake_does_not_abort_the_job_of_before(job, unique):
    run = job(SLEEP).submit(unique("exp"))
    with pytest.raises(UnregisteredEnvironment):
        job(env_name="jobs-evn").submit(unique("exp"), force=True)
    assert run.status not in ENDS
    assert JobFolder("output/job").record.run_id == run.id
    JobFolder("output/job").abort()


def test_a_submit_that_fails_leaves_the_folder_as_it_was(wrapper, unique):
    folder, exp = Path("output/job"), unique("exp")
    before, after = record_of(wrapper, exp, "gone_1_ab"), record_of(wrapper, exp, "gone_2_cd")

    def interrupted(earlier):
        with kept(folder, after, earlier, wrapper):
            assert read_record(folder) == after
            raise KeyboardInterrupt

    for earlier in (None, before):
        if earlier:
            earlier.write(folder)
        with pytest.raises(KeyboardInterrupt):
            interrupted(earlier)
        assert (folder / "aml_job.json").exists() is bool(earlier)
    assert read_record(folder) == before


@pytest.mark.slow
@pytest.mark.local_only
def test_a_run_that_was_sent_is_kept_whatever_goes_wrong_then(job, unique, reported):
    """More tags than a run takes: the SDK sets them when the run is there already."""
    before = job(SLEEP).submit(unique("exp"))
    with pytest.raises(Exception, match="Tags"):
        job(SLEEP, tags={f"tag{n}": "x" for n in range(60)}).submit(unique("exp"), force=True)
    record = read_record(Path("output/job"))
    assert f"Run {record.run_id} was submitted nevertheless; output/job keeps it." in reported()
    assert record.earlier == (before.id,)
    assert JobFolder("output/job").abort().status == "Canceled"


def record_of(wrapper, experiment, run_id, **changes):
    scope = wrapper.scope
    fields = {
        "run_id": run_id,
        "experiment": experiment,
        "subscription_id": scope.subscription_id,
        "resource_group": scope.resource_group,
        "ws_name": scope.name,
        "target": LOCAL if wrapper.is_local else "azure",
        "address": wrapper.ws.service_context._get_run_history_url(),
        "portal_url": "",
        "submitted": "",
        "asked": {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "script_name": "main.py",
            "env_name": "jobs-env",
            "compute_name": "cpu-jobs",
        },
    }
    return JobRecord(**{**fields, **changes})


def test_more_jobs_than_fit_into_a_request_are_asked_for_at_once(ws, wrapper, unique):
    """Runs of two experiments, one of them with more than a filter takes, and one that nobody has."""
    first, second = Experiment(ws, unique("exp")), Experiment(ws, unique("exp"))
    parents = [each.start_logging(snapshot_directory=None) for each in (first, second)]
    children = parents[0].create_children(count=BATCH + 3)
    wanted = [record_of(wrapper, first.name, run.id) for run in (parents[0], *children)]
    wanted += [record_of(wrapper, second.name, parents[1].id), record_of(wrapper, second.name, "gone_1_ab")]
    found = states(wanted)
    assert len(found) == BATCH + 6
    assert found["gone_1_ab"].status == GONE
    assert "has no run gone_1_ab" in found["gone_1_ab"].problem
    assert {found[run.id].status for run in parents} == {"Running"}
    assert GONE not in {found[run.id].status for run in children}
    for run in parents:
        run.complete()
    assert {state.status for state in states(wanted[:1] + wanted[-2:-1]).values()} == {"Completed"}


def test_a_run_that_is_gone_is_told_by_all_that_need_it(wrapper, unique):
    record_of(wrapper, unique("exp"), "gone_1_ab").write(Path("output/job"))
    folder = JobFolder("output/job")
    assert folder.status == GONE
    for act in (
        folder.logs,
        folder.cancel,
        folder.abort,
        lambda: next(folder.follow_logs()),
        lambda: folder.run,
        folder.results,
    ):
        with pytest.raises(UnregisteredRun, match=r"output/job: Its run is gone: workspace .* has no run gone_1_ab"):
            act()
    with pytest.raises(BadArgument, match=r"gone, and its scripts with it. Use --new-code"):
        folder.resubmit()


def test_who_does_not_answer_makes_its_jobs_unknown_and_no_others(wrapper, unique):
    real = Experiment(wrapper.ws, unique("exp")).start_logging(snapshot_directory=None)
    elsewhere = {"target": "azure", "subscription_id": SUBSCRIPTION, "address": "https://127.0.0.1:9"}
    wanted = [
        record_of(wrapper, real.experiment.name, real.id),
        record_of(wrapper, "exp", "other", **elsewhere),
    ]
    found = states(wanted)
    assert (found[real.id].status, found["other"].status) == ("Running", UNKNOWN)
    assert "az login --use-device-code" in found["other"].problem
    [nowhere] = states([record_of(wrapper, "exp", "other", **{**elsewhere, "subscription_id": "1234"})]).values()
    assert (nowhere.status, "must be the GUID" in nowhere.problem) == (UNKNOWN, True)
    real.complete()


@pytest.mark.local_only
def test_a_workspace_that_does_not_answer_hides_no_job_of_another(job, unique, capsys):
    """The first of the folders is of a workspace into which nobody is logged in."""
    run = job("print('hello')", output_dir="output/b").submit(unique("exp"))
    run.wait()
    held = read_record(Path("output/b"))
    held.evolve(target="azure", subscription_id=SUBSCRIPTION, address="https://127.0.0.1:9").write(Path("output/a"))
    for act in (
        lambda: work.results(["all"], as_json=False),
        lambda: work.logs(["all"], follow=True),
        lambda: work.abort(["all"], timeout=60, as_json=False),
    ):
        with pytest.raises(click.exceptions.Exit):
            act()
        told = capsys.readouterr()
        assert "output/b" in told.out
        assert "output/a: " in told.err
        assert "az login --use-device-code" in told.err
        assert "output/b" not in told.err


@pytest.mark.slow
@pytest.mark.local_only
@pytest.mark.parametrize(("target", "with_sdk"), [("azure", True), ("local", False)])
def test_states_are_asked_for_with_the_token_of_whoever_is_logged_in(wrapper, unique, target, with_sdk):
    """A program of its own, with a managed identity; the local service plays Azure's part.

    Here, and in Azure after `az login`, it does not import the SDK, which takes longer than all that it asks.
    """
    real = Experiment(wrapper.ws, unique("exp")).start_logging(snapshot_directory=None)
    record = record_of(wrapper, real.experiment.name, real.id, target=target)
    program = (
        "import sys; from pathlib import Path; from azureml_wrapper.jobs.record import read_record;"
        "from azureml_wrapper.jobs.states import states;"
        "record = read_record(Path('output/job'));"
        "print(states([record])[record.run_id], 'azureml.core' in sys.modules)"
    )
    record.write(Path("output/job"))
    environment = {**os.environ, **local_environment(Home(), service_process.start(Home()))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "status='Running'" in done.stdout
    assert done.stdout.split()[-1] == str(with_sdk)
    real.complete()


@pytest.mark.local_only
class TestDatastore:
    def test_is_registered_once_and_opened(self, ws, unique):
        name, account = unique("store_"), unique("acc")
        given = DatastoreFile(datastore_name=name, account_name=account, container_name="data", account_key="a2V5")
        assert prepare_datastore(ws, given) == name
        assert prepare_datastore(ws, given) == name
        assert prepare_datastore(ws, DatastoreFile(datastore_name=name)) == name
        assert ws.datastores[name].account_name == account

    def test_of_a_wrong_key_is_told_and_not_kept(self, ws, unique):
        name, account = unique("store_"), unique("acc")
        given = {"account_name": account, "container_name": "data"}
        prepare_datastore(ws, DatastoreFile(datastore_name=name, account_key="a2V5", **given))
        other = unique("store_")
        with pytest.raises(Exception, match="key") as told:
            prepare_datastore(ws, DatastoreFile(datastore_name=other, account_key="d3Jvbmc=", **given))
        assert other not in ws.datastores
        assert "a2V5" not in str(told.value) + repr(told.value)

    def test_whose_key_was_changed_at_the_storage_is_told(self, ws, unique):
        """A key that is registered and does not open the account any more: what Azure answers to an old key."""
        from azureml_wrapper.jobs.preparation import check_container

        class Rotated:
            name, container_name, account_name = "rotated", "data", "acc"

            def __init__(self, real):
                from azure.storage.blob import BlobServiceClient

                address = real.blob_service.url
                self.blob_service = BlobServiceClient(address, credential="d3Jvbmc=")

        name, account = unique("store_"), unique("acc")
        given = {"datastore_name": name, "account_name": account, "container_name": "data", "account_key": "a2V5"}
        prepare_datastore(ws, DatastoreFile(**given))
        with pytest.raises(LoginFailed, match=r"does not open container 'data' .*Nothing was submitted"):
            check_container(Rotated(ws.datastores[name]))

    def test_without_its_container_is_told(self, ws, unique):
        name, account = unique("store_"), unique("acc")
        given = {"datastore_name": name, "account_name": account, "container_name": "data", "account_key": "a2V5"}
        prepare_datastore(ws, DatastoreFile(**given))
        store = ws.datastores[name]
        store.blob_service.delete_container("data")
        for again in (DatastoreFile(datastore_name=name), DatastoreFile(**given)):
            with pytest.raises(BadData, match="No container 'data' of storage account"):
                prepare_datastore(ws, again)
            # It was there before, and others may use it.
            assert name in ws.datastores

    def test_is_the_default_one_where_none_is_named(self, ws, reported):
        assert prepare_datastore(ws, None) == ws.get_default_datastore().name
        assert "No .azureml/datastore.json found" in reported()


def test_an_environment_is_registered_where_it_has_changed(ws, unique):
    name = unique("env")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = EnvironmentFile(name=name, dependencies=["numpy"], environment_variables={"A": "1"})
    assert prepare_environment(ws, wanted) == (name, {"A": "1"})
    prepare_environment(ws, wanted)
    assert ws.environments[name].version == "1"
    prepare_environment(ws, wanted.model_copy(update={"python_version": version, "dependencies": ["numpy<3"]}))
    assert ws.environments[name].version == "2"
    with pytest.raises(UnregisteredEnvironment, match="has no environment"):
        prepare_environment(ws, EnvironmentFile(name=unique("env")))


def test_a_definition_of_the_sdk_is_registered_once(ws, unique):
    from azureml.core import Environment

    made = Environment(unique("env"))
    made.python.user_managed_dependencies = True
    definition = json.loads(json.dumps(Environment._serialize_to_dict(made)))
    assert prepare_environment(ws, definition) == (made.name, {})
    prepare_environment(ws, definition)
    assert ws.environments[made.name].version == "1"


def test_states_of_folders_keep_last_lines_that_do_not_change(wrapper, unique):
    run = Experiment(wrapper.ws, unique("exp")).start_logging(snapshot_directory=None)
    progress = "begun\rfirst 10%\r\x1b[32mfirst\x1b[0m 100%"
    Path("log.txt").write_text(f"{progress}\nCleaning up all outstanding Run operations, waiting 3 seconds\n")
    run.upload_file("user_logs/std_log.txt", "log.txt")
    record_of(wrapper, run.experiment.name, run.id).write(Path("output/job"))
    folder = JobFolder("output/job")
    assert states_of([folder])[run.id].last_line == "first 100%"
    assert not Path("output/job/.aml_last_line").exists()
    run.complete()
    assert states_of([folder])[run.id].last_line == "first 100%"
    assert Path("output/job/.aml_last_line").read_text() == f"{run.id}\nfirst 100%"
