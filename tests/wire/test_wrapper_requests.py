"""Building, submitting and publishing by the wrapper need no more requests than by the SDK alone."""

from __future__ import annotations

import json

import pytest
import requests
import urllib3
from azureml.core import ComputeTarget, Environment, Experiment, RunConfiguration
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper import JobFolder, JobWrapper, PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.cli.main import aml
from azureml_wrapper.projects.execution import Execution, ExecutionOptions
from azureml_wrapper.projects.project import Project

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def prepared(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("requests_env", [])
    wrapper.register_compute("requests-cpu")


@pytest.fixture
def workspace(prepared, ws):
    """Connected already, as configs are: a process connects once."""
    wrapper = WorkspaceWrapper(ws.name, ws.resource_group, ws.subscription_id)
    assert wrapper.ws.name == ws.name
    return wrapper


@pytest.fixture
def asked(monkeypatch):
    """Like `sent`, and those that do not go through the library that the SDK uses."""
    found, urlopen = [], urllib3.HTTPConnectionPool.urlopen

    def note(pool, method, url, *given, **named):
        found.append(f"{method} {pool.host}{url}")
        return urlopen(pool, method, url, *given, **named)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", note)
    return found


@pytest.fixture
def scripts(tmp_path):
    """A folder whose script is new at each call."""
    (tmp_path / "scripts").mkdir()

    def change(text):
        (tmp_path / "scripts" / "main.py").write_text(f"print({text!r})")
        return str(tmp_path / "scripts")

    return change


@pytest.fixture
def sent(monkeypatch):
    """The addresses of all requests that this process sends."""
    found = []
    send = requests.Session.send

    def note(session, request, **options):
        found.append(f"{request.method} {request.url}")
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", note)
    return found


def ours(workspace, folder):
    scope = workspace.scope
    return PipelineWrapper.from_config(
        {
            "ws_name": scope.name,
            "resource_group": scope.resource_group,
            "subscription_id": scope.subscription_id,
            "env_name": "requests_env",
            "compute_name": "requests-cpu",
            "steps": [{"step_name": "s", "script_name": "main", "script_directory": folder}],
        }
    )


def theirs(workspace, folder):
    ws = workspace.ws
    configuration = RunConfiguration()
    configuration.environment = Environment.get(ws, "requests_env")
    compute = ComputeTarget(ws, "requests-cpu")
    step = PythonScriptStep("main.py", "s", source_directory=folder, compute_target=compute, runconfig=configuration)
    return Pipeline(ws, [step])


def counted(sent, operation):
    sent.clear()
    operation()
    return list(sent)


def test_a_build(workspace, scripts, sent, unique):
    alone = counted(sent, lambda: theirs(workspace, scripts(unique())))
    wrapped = counted(sent, lambda: ours(workspace, scripts(unique())).build())
    assert len(wrapped) <= len(alone), wrapped


def test_a_submission(workspace, scripts, sent, unique):
    name = unique("exp")
    experiment = Experiment(workspace.ws, name)
    alone = counted(sent, lambda: experiment.submit(theirs(workspace, scripts(unique()))))
    wrapped = counted(sent, lambda: ours(workspace, scripts(unique())).run(name, wait=False))
    assert len(wrapped) <= len(alone), wrapped


# With the script and an .amlignore, as many files as a folder may have; and the requests of a submit, of all kinds.
# The SDK alone sends two for each file.
FILES, MOST_REQUESTS = 1_998, 15


def fill(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(f"print({text!r})")
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"{text} {number}")


def test_a_jobs_new_files_are_sent_in_one_request(workspace, tmp_path, asked, unique):
    scope = workspace.scope
    config = {
        "ws_name": scope.name,
        "resource_group": scope.resource_group,
        "subscription_id": scope.subscription_id,
        "env_name": "requests_env",
        "compute_name": "requests-cpu",
        "script_name": "main.py",
        "script_directory": str(tmp_path / "scripts"),
    }
    fill(tmp_path / "scripts", unique())
    job = JobWrapper.from_config(config)
    runs = []
    check_new_files(counted(asked, lambda: runs.append(job.submit(unique("exp")))))
    runs[0].cancel()


def test_a_projects_new_files_are_sent_in_one_request(workspace, tmp_path, asked, unique):
    (tmp_path / "pptdaml.yaml").write_text("name: x\ndependencies:\n  - python=3.10\n")
    fill(tmp_path / "pipeline", unique())
    options = ExecutionOptions(script_path="main.py", compute="requests-cpu", should_upload_datasets=False)
    execution = Execution(workspace, Project.at(tmp_path), options)
    runs = []
    # It registers the environment, too.
    check_new_files(counted(asked, lambda: runs.append(execution.submit())), most=40)
    runs[0].cancel()


def test_a_submitted_jobs_new_files_are_sent_in_one_request(workspace, tmp_path, asked, unique, monkeypatch):
    """`aml submit`, in this process."""
    monkeypatch.chdir(tmp_path)
    scope = workspace.scope
    fill(tmp_path / "scripts", unique())
    (tmp_path / ".azureml").mkdir()
    names = {"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id}
    (tmp_path / ".azureml" / "config.json").write_text(json.dumps(names))
    command = ["submit", "-e", unique("exp"), "--output_dir", "output/job", "--source_dir", "scripts"]
    command += ["--entry_script", "main.py", "--environment", "requests_env", "--compute_target", "requests-cpu"]
    check_new_files(counted(asked, lambda: aml.main(args=command, prog_name="aml", standalone_mode=False)))
    JobFolder("output/job").cancel()


def check_new_files(requests, most=MOST_REQUESTS):
    """The files are in one request for a snapshot, and none is uploaded as a blob."""
    assert sum("/snapshots/archive" in request for request in requests) == 1
    # Blobs have no subscription in their addresses.
    assert not [request for request in requests if request.startswith("PUT") and "/subscriptions/" not in request]
    assert len(requests) <= most, requests


def test_a_publication_though_it_asks_for_the_versions_and_the_schedules_that_there_are(
    workspace, scripts, sent, unique
):
    name = unique("published")
    ours(workspace, scripts(unique())).register(name, "of a test")
    alone = counted(sent, lambda: theirs(workspace, scripts(unique())).publish(unique(), "of a test", "1"))
    wrapped = counted(sent, lambda: ours(workspace, scripts(unique())).register(name, "of a test"))
    assert len(wrapped) <= len(alone), wrapped
