"""Secrets in every place where a user may put one: the service is used, and then none of them is found in clear."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
import requests
from azureml.core import Datastore, Environment, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget

from azureml_wrapper import local
from azureml_wrapper.local.home import Home
from tests import planted as suite
from tests.waiting import until

pytestmark = pytest.mark.local_only
REPOSITORY = Path(__file__).parents[2]
LEAKING_TEST = """
from tests import planted

def test_something(tmp_path):
    (tmp_path / "state.sqlite").touch()
    (tmp_path / "service.log").write_text(f"the key is {planted.KEYS[0]}")
"""

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


PIPELINE = {
    "ws_name": "local",
    "subscription_id": "local",
    "resource_group": "local",
    "env_name": "own",
    "compute_name": "cpu",
    "steps": [{"step_name": "main", "script_directory": "scripts", "script_name": "main.py"}],
}


def outputs(folder: Path, run_id: str, requirements: Path) -> bytes:
    """What commands print and write about the workspace, the run, and a pipeline of the folder."""
    config = folder / "pipeline.json"
    config.write_text(json.dumps(PIPELINE))
    commands = (
        ["runs", "-c", str(config), "--json"],
        ["show", run_id, "-c", str(config), "--json"],
        ["pipelines", "-c", str(config), "--json"],
        ["schedules", "-c", str(config), "--json"],
        ["export", str(config), "-o", str(folder / "v2")],
        ["local", "status"],
        # Refused, because of the password in it.
        ["export", str(config), "-o", str(folder / "none"), "--requirements", str(requirements)],
    )
    printed = b""
    for words in commands:
        command = [sys.executable, "-c", "from azureml_wrapper.cli.main import main; main()", *words]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == (2 if str(requirements) in words else 0), (words, done.stderr)
        printed += done.stdout + done.stderr
    exported = [file for file in (folder / "v2").rglob("*") if file.is_file()]
    assert "REPORT.md" in {file.name for file in exported}
    return printed + b"".join(file.read_bytes() for file in exported)


@pytest.mark.slow
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
        requirements = tmp_path / "requirements.txt"
        index = planted("index of requirements")
        requirements.write_text(f"--extra-index-url https://me:{index}@127.0.0.1:9/simple\npandas\n")
        assert planted.within(outputs(tmp_path, run.id, requirements)) == set()
        assert found_in(home, planted) == {}
    assert len(planted.values) >= 20
    assert found_in(home, planted) == {}


@pytest.fixture
def elsewhere():
    """A folder that is not searched when this session is over."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_secret_in_a_home_is_found_also_in_an_archive(elsewhere):
    assert len(set(suite.NEEDLES)) == 20
    for name in ("clean", "leaks", "no home"):
        (elsewhere / name / "blobs").mkdir(parents=True)
    for name in ("clean", "leaks"):
        (elsewhere / name / "state.sqlite").write_bytes(b"\0SQLite")
    assert suite.search(elsewhere) == []
    database, archive = elsewhere / "leaks/state.sqlite", elsewhere / "leaks/blobs/s.zip"
    database.write_bytes(b"\0SQLite\0" + suite.VAULT["planted0"].encode() + b"\0")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("job.py", suite.SHELL["DATABASE_URL"] * 10)
    assert suite.search(elsewhere) == sorted(map(str, (database, archive)))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "workers"])
def test_a_session_whose_homes_have_a_secret_fails(elsewhere, workers):
    (elsewhere / "test_leaking.py").write_text(LEAKING_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(REPOSITORY / "pyproject.toml")]
    command += [f"--rootdir={elsewhere}", f"--basetemp={elsewhere / 'temp'}", *workers, str(elsewhere)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    assert "Secrets lie in clear in 1 files of services:" in done.stdout
    assert "service.log" in done.stdout
