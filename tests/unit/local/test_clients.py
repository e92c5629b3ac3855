"""What a Python below `aml local exec` does: it stops if its SDK is too old, and logs in with any credential."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from azureml_wrapper.local import clients
from azureml_wrapper.local.home import Home, write_sitecustomize


@pytest.fixture
def folder(tmp_path):
    """The folder that `aml local exec` puts into PYTHONPATH."""
    (tmp_path / "home").mkdir()
    return write_sitecustomize(Home(tmp_path / "home"), Path(clients.__file__).read_bytes())


@pytest.fixture
def python(folder, tmp_path):
    """Runs code in a Python that finds modules in `tmp_path/modules`, after what is to be tested."""

    variables = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{tmp_path / 'modules'}"}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def install(tmp_path):
    """Puts a package with the name of the SDK and a version into `tmp_path/modules`."""

    def put(version: str, metadata: str = "azureml_core-{}.dist-info") -> None:
        package = tmp_path / "modules" / "azureml"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "core.py").write_text("print('imported')")
        (tmp_path / "modules" / metadata.format(version)).mkdir()

    return put


@pytest.mark.parametrize("version", ["1.39.0.post1", "1.0.85", "0.1.50"])
@pytest.mark.parametrize("metadata", ["azureml_core-{}.dist-info", "azureml_core-{}-py3.7.egg-info"])
def test_an_old_sdk_stops_the_program_with_one_sentence(python, install, version, metadata):
    install(version, metadata)
    done = python("print('before'); import azureml.core")
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert done.stderr == clients.refusal(version) + "\n"
    assert "requires azureml-core>=1.40" in done.stderr
    assert f"has {version}" in done.stderr


@pytest.mark.parametrize("version", ["1.40.0", "1.62.0.post4", "2.0", "0+of-my-own"])
def test_other_versions_are_imported(python, install, version):
    install(version)
    assert python("import azureml.core").stdout == "imported\n"


def test_programs_without_the_sdk_see_nothing_of_it(python, folder):
    done = python("import sys; print(sys.path); import json")
    assert done.returncode == 0, done.stderr
    assert str(folder) not in done.stdout


def test_a_sitecustomize_of_the_users_own_runs(python, folder, tmp_path):
    (tmp_path / "modules").mkdir()
    own = tmp_path / "modules" / "sitecustomize.py"
    own.write_text("print('mine')")
    done = python("import sitecustomize; print(sitecustomize.__file__)")
    assert done.stdout.splitlines() == ["mine", str(own)], done.stderr


def test_an_error_in_it_is_reported_as_usual(python, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text("import nothing_of_the_kind")
    done = python("print('ran')")
    assert done.stdout == "ran\n"
    assert "No module named 'nothing_of_the_kind'" in done.stderr


def test_a_newer_wrapper_replaces_the_file(folder):
    home = Home(folder.parent)
    write_sitecustomize(home, b"x = 1\n")
    assert (folder / "sitecustomize.py").read_text() == "x = 1\n"


IDENTITY = {
    "__init__.py": "from .aio import AsyncCredential as _\n"
    "class MyCredential:\n"
    "    def get_token(self, *scopes, **options):\n"
    "        return 'as always'\n"
    "class Below(MyCredential): pass\n"
    "__all__ = ['MyCredential', 'Below']\n",
    "aio.py": "class AsyncCredential:\n"
    "    async def get_token(self, *scopes, **options):\n"
    "        return 'as always'\n"
    "__all__ = ['AsyncCredential']\n",
}
ASK = """
import asyncio
from azure.identity import MyCredential
from azure.identity.aio import AsyncCredential
for scope in ("https://ml.azure.com/.default", "https://vault.azure.net/.default"):
    tokens = MyCredential().get_token(scope), asyncio.run(AsyncCredential().get_token(scope))
    print([token if isinstance(token, str) else token.token for token in tokens])
"""


@pytest.fixture
def identity(tmp_path):
    """A package that looks like azure.identity."""
    package = tmp_path / "modules" / "azure" / "identity"
    package.mkdir(parents=True)
    for name, content in IDENTITY.items():
        (package / name).write_text(content)


@pytest.fixture
def issuer(monkeypatch):
    """Issues tokens for https://ml.azure.com only; MSI_ENDPOINT is its address."""

    class Issuer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            (resource,) = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["resource"]
            self.send_response(200 if resource == "https://ml.azure.com" else 400)
            self.end_headers()
            self.wfile.write(json.dumps({"access_token": f"for {resource}", "expires_on": "7"}).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("MSI_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/msi")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("identity", "issuer")
def test_every_credential_gets_the_tokens_of_the_local_service_and_others_as_always(folder, tmp_path):
    variables = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{tmp_path / 'modules'}"}
    done = subprocess.run([sys.executable, "-c", ASK], env=variables, capture_output=True, text=True, check=False)
    issued = ["for https://ml.azure.com"] * 2
    assert done.stdout.splitlines() == [str(issued), str(["as always"] * 2)], done.stderr


@pytest.mark.usefixtures("identity")
def test_without_the_local_service_a_credential_does_what_it_always_does(python):
    assert python(ASK).stdout.splitlines() == [str(["as always"] * 2)] * 2
