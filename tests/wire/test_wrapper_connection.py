"""Which Azure ML answers, as whom, and how often it is asked."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections import Counter

import pytest
import urllib3
from azureml.core import Environment, Experiment, Workspace
from azureml.core.authentication import TokenAuthentication
from azureml.core.compute import ComputeTarget
from azureml.core.runconfig import RunConfiguration
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper, local
from azureml_wrapper.connection import connections, sdk_workspace
from azureml_wrapper.connection.connections import connect, connect_azure
from azureml_wrapper.connection.local import connect_local, local_authentication, local_environment
from azureml_wrapper.connection.target import Scope
from azureml_wrapper.errors import BadName, ConnectionFailed, LoginFailed
from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens
from tests.conftest import cold_services

pytestmark = pytest.mark.local_only

WRITE = "import sys\nif '--output-folder' in sys.argv:\n    open(sys.argv[-1] + '/x', 'w').close()\n"


@pytest.fixture
def requests(monkeypatch):
    """What the SDK asks over the wire from now on."""
    asked: list[str] = []
    original = urllib3.HTTPConnectionPool.urlopen

    def urlopen(self, method, url, *args, **kwargs):
        asked.append(f"{method} {url}")
        return original(self, method, url, *args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    return asked


def unreachable(closed_port: int) -> TokenAuthentication:
    """As in Azure, but for an ARM that does not answer."""
    auth = local_authentication("local")
    auth._cloud_type.endpoints.resource_manager = f"https://127.0.0.1:{closed_port}/"
    return auth


class TestConnecting:
    def test_nothing_is_asked_before_ws_is_used(self, requests):
        WorkspaceWrapper("a", "b", "local")
        WorkspaceWrapper.from_config({"workspace_name": "a", "resource_group": "b", "subscription_id": "local"})
        assert requests == []

    def test_a_workspace_is_connected_once(self, requests, unique):
        name = unique("ws")
        first = WorkspaceWrapper(name, "rg", "local").ws
        asked = len(requests)
        assert asked
        assert WorkspaceWrapper(name, "rg", "local").ws is first
        assert len(requests) == asked

    def test_one_that_is_given_is_used(self, ws, requests):
        wrapper = WorkspaceWrapper(ws.name, ws.resource_group, ws.subscription_id, workspace=ws)
        assert wrapper.ws is ws
        assert requests == []

    def test_the_nearest_config_names_it(self, tmp_path, monkeypatch, ws):
        ws.write_config(path=str(tmp_path))
        (tmp_path / "a").mkdir()
        monkeypatch.chdir(tmp_path / "a")
        assert WorkspaceWrapper.from_config().ws.get_details()["id"] == ws.get_details()["id"]

    def test_any_config_goes_to_the_local_service_where_asked(self, monkeypatch, unique):
        config = {"ws_name": unique("ws"), "resource_group": "rg", "subscription_id": "1234-5678"}
        given = WorkspaceWrapper.from_config(config, target="local").ws
        monkeypatch.setenv("AZUREML_WRAPPER_TARGET", "local")
        assert WorkspaceWrapper.from_config(config).ws is given
        assert given.location == "local"

    def test_names_that_are_no_text_are_refused(self):
        for names in ((1, "b", "c"), ("a", "", "c"), ("a", "b", None)):
            with pytest.raises(TypeError, match="must be a non-empty string, got"):
                WorkspaceWrapper(*names)


class TestCreating:
    """The code path of Azure, with an ARM that is the local service's."""

    def test_a_workspace_of_a_name_that_azure_refuses_is_not_asked_for(self):
        with pytest.raises(BadName, match="'a b' does not exist"):
            connect_local(Scope("local", "group", "a b"))

    def test_a_workspace_that_does_not_exist_is_created_once(self, unique, reported):
        scope, auth = Scope("local", "rg", unique("ws")), local_authentication("local")
        created = connect_azure(scope, auth)
        assert f"Creating workspace {scope.name} in eastus" in reported()
        found = connect_azure(scope, auth)
        assert "Creating" not in reported()
        assert found.get_details()["id"] == created.get_details()["id"]

    @pytest.mark.slow
    def test_where_nobody_answers_none_is_created(self, unique, monkeypatch):
        created = []
        monkeypatch.setattr(Workspace, "create", lambda *args, **kwargs: created.append(kwargs))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionFailed):
                connect_azure(Scope("local", "rg", unique("ws")), unreachable(closed.getsockname()[1]))
        assert created == []

    def test_where_the_login_is_refused_none_is_created(self, unique, monkeypatch):
        created = []
        monkeypatch.setattr(Workspace, "create", lambda *args, **kwargs: created.append(kwargs))
        stranger = local_authentication("local")
        stranger._get_token_for_audience = lambda audience: Tokens("b" * 64).user(audience)
        with pytest.raises(ConnectionFailed):
            connect_azure(Scope("local", "rg", unique("ws")), stranger)
        assert created == []

    def test_a_subscription_that_is_not_ones_own_is_an_error(self, unique):
        elsewhere = str(uuid.uuid4())
        with pytest.raises(ConnectionFailed, match=elsewhere):
            connect_azure(Scope(elsewhere, "rg", unique("ws")), local_authentication("local"))

    def test_a_404_that_is_not_azures_own_creates_nothing(self):
        class Answer:
            status_code = 404

            def __init__(self, text):
                self.text = text

            def json(self):
                return json.loads(self.text)

        def says_missing(text):
            error = RuntimeError("Workspace not found.")
            error.__context__ = RuntimeError()
            error.__context__.response = Answer(text)
            return sdk_workspace._says_missing(error)

        assert says_missing('{"error": {"code": "ResourceNotFound", "message": "…"}}')
        assert not says_missing("<html>The proxy knows no such page</html>")
        assert not says_missing("[]")
        assert not sdk_workspace._says_missing(RuntimeError("Workspace not found."))


class TestAsWhom:
    """Programs of their own, with a user's variables and commands; the local service plays Azure's part."""

    PROGRAM = (
        "from azureml_wrapper import WorkspaceWrapper;"
        "ws = WorkspaceWrapper('local', 'local', 'local', target='azure').ws;"
        "print(type(ws._auth).__name__, ws.name)"
    )

    def run(self, *, drop=(), **variables):
        home = Home()
        environment = {**os.environ, **local_environment(home, service_process.start(home)), **variables}
        for name in drop:
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, "-c", self.PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    @pytest.mark.slow
    def test_a_managed_identity_logs_in(self):
        done = self.run()
        assert done.stdout.split() == ["MsiAuthentication", "local"], done.stderr

    @pytest.mark.slow
    def test_the_azure_cli_logs_in(self, tmp_path):
        token = Tokens(service_process.start(Home()).secret).user("https://management.core.windows.net/")
        answer = json.dumps({"accessToken": token, "expires_on": time.time() + 3600})
        az = tmp_path / "az"
        az.write_text(f"#!/bin/sh\necho '{answer}'\n")
        az.chmod(az.stat().st_mode | stat.S_IXUSR)
        done = self.run(drop=["MSI_ENDPOINT"], PATH=f"{tmp_path}:{os.environ['PATH']}")
        assert done.stdout.split() == ["TokenAuthentication", "local"], done.stderr

    @pytest.mark.slow
    def test_nobody_is_an_error_that_says_what_to_do(self, tmp_path):
        done = self.run(drop=["MSI_ENDPOINT"], PATH=str(tmp_path))
        assert done.returncode == 1
        assert "LoginFailed: Not logged in to Azure. Run `az login`" in done.stderr

    def test_half_a_service_principal_is_an_error(self, monkeypatch):
        monkeypatch.setenv("AZUREML_SERVICE_PRINCIPAL_ID", "me")
        with pytest.raises(LoginFailed, match="AZUREML_SERVICE_PRINCIPAL_PASSWORD are not set"):
            connect(Scope("01234567-89ab-cdef-0123-456789abcdef", "rg", "w"), target="azure")


class TestLocal:
    def test_workspace_is_a_real_one(self, unique):
        found = local.workspace()
        assert isinstance(found, Workspace)
        assert (found.name, found.subscription_id) == ("local", "local")
        assert local.workspace() is found
        assert local.workspace(unique("other")).resource_group == "local"

    def test_a_service_of_ones_own_lives_for_a_block(self, tmp_path):
        before = local.workspace()
        with cold_services(), local.service(tmp_path / "home") as info:
            other = local.workspace()
            assert service_process.find(Home(tmp_path / "home")) == info
            assert other.get_details()["workspaceid"] != before.get_details()["workspaceid"]
        assert service_process.find(Home(tmp_path / "home")) is None
        assert local.workspace() is before

    def test_after_a_block_the_environment_is_as_it_was(self, tmp_path, unique):
        before = dict(os.environ)
        with cold_services(), local.service(tmp_path / "home"):
            local.workspace(unique("block"))
            assert os.environ["REQUESTS_CA_BUNDLE"].startswith(str(tmp_path))
        assert dict(os.environ) == before

    @pytest.mark.slow
    def test_a_home_that_was_deleted_meanwhile_is_connected_again(self, tmp_path, unique):
        name = unique("again")
        with cold_services(), local.service(tmp_path / "home"):
            first = local.workspace(name).get_details()["workspaceid"]
            local.stop(tmp_path / "home")
            Home(tmp_path / "home").clear()
            assert local.workspace(name).get_details()["workspaceid"] != first

    def test_certificates_that_are_not_there_are_told(self, tmp_path, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "company.pem"))
        missing = pytest.raises(ConnectionFailed, match=r"REQUESTS_CA_BUNDLE must be .* got '.*company\.pem'")
        with cold_services(), local.service(tmp_path / "home"), missing:
            local.workspace("local")

    def test_start_and_stop_are_of_a_home(self, tmp_path):
        with cold_services():
            info = local.start(tmp_path / "home")
        assert local.start(tmp_path / "home") == info
        assert local.stop(tmp_path / "home") is True
        assert local.stop(tmp_path / "home") is False


def test_the_wrapper_asks_no_more_than_the_raw_sdk(ws, unique, tmp_path, requests, monkeypatch):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    env, compute = unique("env"), unique("c")
    wrapper.register_env(env, ["pandas"])
    wrapper.register_compute(compute)
    for kind in ("warm", "wrapped", "raw"):
        for name in ("a", "b"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / f"{name}.py").write_text(f"# {kind} {unique()}\n{WRITE}")

    def fresh():
        monkeypatch.setattr(connections, "_connections", {})
        requests.clear()

    def wrapped_pipeline(kind):
        names = {"ws_name": ws.name, "resource_group": ws.resource_group, "subscription_id": ws.subscription_id}
        steps = [{"step_name": name, "script_name": name, "script_directory": str(tmp_path / kind)} for name in "ab"]
        return PipelineWrapper.from_config({**names, "env_name": env, "compute_name": compute, "steps": steps})

    # The first snapshot of a process costs one request more.
    wrapped_pipeline("warm").run(unique("exp"))
    fresh()
    run = wrapped_pipeline("wrapped").run(unique("exp"), wait=False)
    wrapped = list(requests)

    fresh()
    raw_ws = connect(Scope(ws.subscription_id, ws.resource_group, ws.name))
    configuration = RunConfiguration()
    configuration.environment = Environment.get(raw_ws, env)
    target = ComputeTarget(raw_ws, compute)
    folder = OutputFileDatasetConfig("folder")
    arguments = {"a": ["--output-folder", folder], "b": ["--input-folder", folder.as_input("input")]}
    built = [
        PythonScriptStep(
            f"{name}.py", name, arguments[name], target, configuration, source_directory=str(tmp_path / "raw")
        )
        for name in "ab"
    ]
    Experiment(raw_ws, unique("exp")).submit(Pipeline(raw_ws, built))
    assert len(wrapped) <= len(requests), Counter(wrapped) - Counter(requests)
    assert run.wait(60).status == "Completed"
