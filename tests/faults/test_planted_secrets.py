"""Secrets in every place where a user may put one: the service is used, and then none of them is found in clear."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import requests
from azureml.core import Datastore, Environment, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget

from azureml_wrapper import local
from azureml_wrapper.local.home import Home
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.local_only]

# What the shell has in which the service and the program start. Proxies and indexes are used, the others are not.
SHELL = {
    "HTTP_PROXY": "http://me:{}@127.0.0.1:9",
    "HTTPS_PROXY": "http://me:{}@127.0.0.1:9",
    "PIP_INDEX_URL": "https://me:{}@127.0.0.1:9/simple",
    "UV_EXTRA_INDEX_URL": "https://me:{}@127.0.0.1:9/simple",
    "DATABASE_URL": "postgres://me:{}@db/prices",
    "GITHUB_PAT": "{}",
    "AWS_SECRET_ACCESS_KEY": "{}",
    "MY_API_KEY": "{}",
    "AZURE_CLIENT_SECRET": "{}",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey={}",
}
SCRIPT = """
import os, sys, time
from azureml.core import Run
run = Run.get_context()
assert len(run.get_secret("vault")) > 10
run.log("n", 1)
print(sorted(os.environ))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(os.environ["AZUREML_RUN_TOKEN"])
os.rename(sys.argv[1] + ".new", sys.argv[1] + ".token")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
"""


class Planted:
    """Secrets by the place where they were put; each is a string that occurs only there."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.values.setdefault(place, f"Needle{len(self.values):02}haystack{place.replace(' ', '').lower()}")

    def key(self, place: str) -> str:
        """One in base64, as account keys are."""
        self.values[place] = base64.b64encode(self(place).encode()).decode()
        return self.values[place]

    def within(self, content: bytes) -> set[str]:
        return {place for place, value in self.values.items() if value.encode() in content}


@pytest.fixture
def planted(monkeypatch):
    planted = Planted()
    for name, form in SHELL.items():
        monkeypatch.setenv(name, form.format(planted(name)))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return planted


@pytest.fixture
def folder(tmp_path, planted):
    """A script folder with a repository whose address has a password, and with an ignored file of secrets."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "main.py").write_text(SCRIPT)
    (folder / ".env").write_text(f"PASSWORD={planted('ignored file')}")
    (folder / ".amlignore").write_text(".env\n.git/\n")
    remote = f"https://me:{planted('address of the repository')}@example.com/x.git"
    for command in (["init", "-q"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    commit = ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(["git", *commit], cwd=folder, check=True)
    return folder


def plant(ws, planted: Planted) -> None:
    """Give secrets to the workspace."""
    vault = ws.get_default_keyvault()
    vault.set_secret("vault", planted("replaced secret"))
    vault.set_secret("vault", planted("secret"))
    vault.set_secrets({"one": planted("secret of a batch"), "two": planted("deleted secret")})
    vault.delete_secret("two")
    sas = "sv=2020-01-01&sp=rl&sr=c&se=2099-01-01T00:00:00Z&sig={}"
    of_account = {"container_name": "data", "overwrite": True}
    Datastore.register_azure_blob_container(
        ws, "keyed", account_name="keyed", account_key=planted.key("replaced account key"), **of_account
    )
    Datastore.register_azure_blob_container(
        ws, "keyed", account_name="keyed", account_key=planted.key("account key"), **of_account
    )
    for name in ("sas", "gone"):
        token = sas.format(planted(f"SAS of {name}"))
        Datastore.register_azure_blob_container(ws, name, account_name="shared", sas_token=token, **of_account)
    Datastore.get(ws, "gone").unregister()
    cluster = AmlCompute.provisioning_configuration(
        "Standard_D2_v2", max_nodes=1, admin_username="me", admin_user_password=planted("password of a cluster")
    )
    ComputeTarget.create(ws, "cpu", cluster)
    planted.values["own account key"] = ws.get_default_datastore().account_key


def submitted(ws, folder: Path, go: Path):
    environment = Environment("own")
    environment.python.user_managed_dependencies = True
    config = ScriptRunConfig(str(folder), "main.py", [str(go)], compute_target="cpu", environment=environment)
    return Experiment(ws, "planted").submit(config)


def command_lines() -> bytes:
    """Of every process of this machine."""
    found = b""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += file.read_bytes()
        except OSError:
            continue
    return found


def found_in(home: Home, planted: Planted) -> dict[str, set[str]]:
    """The secrets in each file of a home, except in those whose purpose they are."""
    purpose = {home.service_file, home.path / "secret"}
    files = [file for file in home.path.rglob("*") if file.is_file() and file not in purpose]
    assert {"state.sqlite", "service.log"} <= {file.name for file in files}
    return {str(file): places for file in files if (places := planted.within(file.read_bytes()))}


def test_none_of_the_planted_secrets_is_found(home, planted, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    go = tmp_path / "go"
    with local.service(home.path):
        ws = local.workspace()
        planted.values["secret of the home"] = home.secret()
        plant(ws, planted)
        run = submitted(ws, folder, go)
        token = tmp_path / "go.token"
        until(token.exists)
        planted.values["token of the run"] = token.read_text()
        assert planted.within(command_lines()) == set()
        go.touch()
        run.wait_for_completion()
        requests.get(f"http://127.0.0.1:{home.read_service().port}/no/such/route", timeout=10)
        page = requests.get(run.get_portal_url(), timeout=30)
        assert run.id in page.text
        assert planted.within(page.content) == set()
        assert found_in(home, planted) == {}
    assert len(planted.values) >= 20
    assert found_in(home, planted) == {}
