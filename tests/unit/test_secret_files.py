"""What looks secret in a script folder is refused before it is sent, whichever way it is sent."""

from __future__ import annotations

import base64
import json

import pytest
from azureml._project.ignore_file import get_project_ignore_file

from azureml_wrapper import JobWrapper, PipelineStep, PipelineWrapper, SecretInFolder
from azureml_wrapper.pipelines import checks
from azureml_wrapper.projects.execution import Execution, ExecutionOptions
from azureml_wrapper.projects.project import Project
from azureml_wrapper.snapshots.script_folder import check_upload
from azureml_wrapper.v2 import client
from azureml_wrapper.v2.read import read_job
from azureml_wrapper.v2.v1_jobs.run_config import source_directory
from azureml_wrapper.workspace import WorkspaceWrapper

KEY = base64.b64encode(b"k" * 64).decode()
WHERE = ("ws", "group", "local")


@pytest.fixture
def folder(tmp_path):
    """A script folder, with a file `main.py`, and an ignore file that lists nothing secret."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / ".amlignore").write_text("*.pyc\n")
    (tmp_path / "scripts" / "main.py").write_text("print('ran')\n")
    return tmp_path / "scripts"


def put(folder, name: str, text: str):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (".env", f"# of the storage\nBLOB_ACCOUNT_NAME=me\nexport BLOB_ACCOUNT_KEY='{KEY}'\n", "storage account"),
        (".env", "WANDB_API_KEY=abc\n", "WANDB_API_KEY, a password or a key, by its name"),
        (".env.production", "DATABASE_URL=postgres://me:pass@host/db\n", "a login in an address"),
        ("conf/prod.env", "AZURE_CLIENT_SECRET: 'abc'\n", "AZURE_CLIENT_SECRET"),
        (".azureml/datastore.json", '{"account_name": "me","account_key":"short"}', "account_key"),
        (".azureml/environment.json", '{"docker": {"baseImageRegistry": {"password": "p"}}}', "password"),
        ("credentials.json", '{"clientSecret": 1, "client_secret": "abc"}', "client_secret"),
        ("conf/workspaceConfig.json", json.dumps({"storage_key": KEY}), "a key of a storage account"),
        ("conf/data.yml", "url: https://me.blob.core.windows.net/c?sv=1&sig=abcdefghijk\n", "shared access"),
        ("conf/data.yml", "c: DefaultEndpointsProtocol=https;AccountName=me;AccountKey=abcdefghi\n", "connection"),
        ("server.pem", "-----BEGIN RSA PRIVATE KEY-----\nabc\n", "a private key"),
        ("conf/STORE.JSON", json.dumps({"any": KEY}), "a key of a storage account"),
        (".ssh/id_rsa", "x", "secrets, by its name"),
        (".ssh/id_ed25519", "x", "secrets, by its name"),
        (".netrc", "machine host login me password p\n", "secrets, by its name"),
        ("conf/.pgpass", "host:5432:db:me:p\n", "secrets, by its name"),
        (".git-credentials", "x", "secrets, by its name"),
        (".pypirc", "x", "secrets, by its name"),
        (".databrickscfg", "x", "secrets, by its name"),
        ("tls/client.p12", "x", "secrets, by its name"),
        (".git/config", '[remote "origin"]\n\turl = https://me:token@host/repo.git\n', "a login in an address"),
        ("requirements.txt", "--extra-index-url https://me:token@host/simple\nsix\n", "a login in an address"),
    ],
)
def test_a_file_that_looks_secret_is_refused_with_what_to_do(folder, name, text, what):
    put(folder, name, text)
    with pytest.raises(SecretInFolder) as told:
        check_upload(folder)
    message = str(told.value)
    assert f"\n  {name}: " in message
    assert what in message
    assert f"Add these lines to {folder / '.amlignore'}: /{name}\n" in message
    for secret in (KEY, "pass@", "token", "'abc'", "short"):
        assert secret not in message
    (folder / ".amlignore").write_text(f"/{name}\n")
    check_upload(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "AML_COMPUTE_CLUSTER_NAME=cpu\nAPI_KEY=\nPASSWORD=${PASSWORD}\nTOKEN_LIMIT=5\n"),
        (".env", "HF_TOKEN=<your token>\nDATABASE_URL=postgres://me:$PASSWORD@host/db\n"),
        (".env.example", "API_KEY=abcdefgh\n"),
        (".azureml/config.json", '{"subscription_id": "local", "resource_group": "g", "workspace_name": "w"}'),
        (".azureml/datastore.json", '{"datastore_name": "d", "account_key": "${STORAGE_KEY}"}'),
        (".azureml/environment.json", '{"registry": {"username": null, "password": null}}'),
        ("translations.json", '{"password": "Passwort", "secret": "Geheimnis"}'),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nabc\n"),
        ("requirements.txt", "-i https://${USER}:${TOKEN}@host/simple\ngit+https://host/repo@main\n"),
        ("train.py", f"password = 'abc'\nkey = '{KEY}'\n"),
        ("data.json", "x " * 100_000 + KEY),
    ],
)
def test_what_only_resembles_a_secret_is_sent(folder, name, text):
    put(folder, name, text)
    check_upload(folder)


def test_the_file_that_counts_is_named_and_a_file_is_sent_on_purpose(folder):
    put(folder, ".env", "API_KEY=abc\n")
    put(folder, "conf/key.pem", "-----BEGIN PRIVATE KEY-----\n")
    put(folder, ".gitignore", "*.pyc\n")
    (folder / ".amlignore").unlink()
    with pytest.raises(SecretInFolder, match=r"to .*\.gitignore: /\.env /conf/key\.pem\n.* the line !/\.env"):
        check_upload(folder)
    put(folder, ".gitignore", "*.pyc\n!/.env\n/conf/*.pem\n")
    check_upload(folder)
    put(folder, ".amlignore", "!.env\n!conf/key.pem\n")
    check_upload(folder)


@pytest.mark.parametrize(
    "name", ["workspaceConfig.json", "test\\workspaceConfig.json", "a*[1]?.json", "conf/x .json"]
)
def test_a_folder_without_an_ignore_file_gets_one_that_lists_what_looks_secret(folder, reported, name):
    # The first version's own tests have such a file beside the scripts.
    put(folder, name, json.dumps({"storage_key": KEY}))
    put(folder, "other.json", "{}")
    (folder / ".amlignore").unlink()
    check_upload(folder)
    assert name in reported()
    excluded = get_project_ignore_file(str(folder)).is_file_excluded
    assert excluded(str(folder / name))
    assert not excluded(str(folder / "other.json"))
    assert not excluded(str(folder / "main.py"))
    # The line of the created file and its comment tell how to send it on purpose.
    lines = (folder / ".amlignore").read_text().splitlines()
    (folder / ".amlignore").write_text(f"!{lines[1]}\n")
    check_upload(folder)


def test_a_folder_without_secrets_gets_no_ignore_file(folder):
    (folder / ".amlignore").unlink()
    check_upload(folder)
    assert not (folder / ".amlignore").exists()


class TestEveryWay:
    @pytest.fixture(autouse=True)
    def _env(self, folder, tmp_path, monkeypatch):
        put(folder, ".env", "API_KEY=abc\n")
        monkeypatch.chdir(tmp_path)

    @pytest.fixture
    def pipeline(self, folder):
        step = PipelineStep(*WHERE, "step", "main", script_directory=folder)
        return PipelineWrapper(*WHERE, "env", "cpu", [step])

    def test_a_pipeline(self, pipeline):
        with pytest.raises(SecretInFolder):
            checks.check(pipeline.definition)

    def test_a_pipeline_for_sdk_v2(self, pipeline):
        with pytest.raises(SecretInFolder):
            client.check(pipeline, "exp", {})

    def test_a_job_of_a_folder(self, folder):
        with pytest.raises(SecretInFolder):
            JobWrapper(*WHERE, "main.py", env_name="env", compute_name="cpu", script_directory=folder).submit("exp")

    def test_a_script_of_a_project(self, folder, tmp_path):
        for name in ("data_blobs", "pipeline"):
            (tmp_path / name).mkdir()
        put(tmp_path, "pptdaml.yaml", "dependencies: [python]\n")
        put(tmp_path, "compute.yaml", "compute_name: cpu\n")
        (folder / "main.py").rename(tmp_path / "pipeline" / "main.py")
        for name in (".env", ".amlignore"):
            (folder / name).rename(tmp_path / "pipeline" / name)
        with pytest.raises(SecretInFolder):
            Execution(WorkspaceWrapper(*WHERE), Project.at(tmp_path), ExecutionOptions(script_path="main.py"))

    def test_a_job_of_az_ml(self, tmp_path):
        file = put(
            tmp_path,
            "job.yml",
            "command: python main.py\ncode: scripts\nenvironment: azureml:env@latest\ncompute: azureml:cpu\n",
        )
        job, _ = read_job(file)
        with pytest.raises(SecretInFolder), source_directory(job.command):
            pass
