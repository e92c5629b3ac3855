"""As whom Azure is talked to."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time

import pytest

from azureml_wrapper.connection import credentials
from azureml_wrapper.connection.credentials import CliTokens, Identity, candidates
from azureml_wrapper.errors import LoginFailed

OURS = {
    "AZUREML_SERVICE_PRINCIPAL_ID": "id",
    "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": "tenant",
    "AZUREML_SERVICE_PRINCIPAL_PASSWORD": "hunter2",
}
# Older versions of `az` answer with the local time alone.
PASSED_ON = 'echo "{{\\"accessToken\\": \\"{token}\\", \\"expiresOn\\": \\"2099-01-01 00:00:00.000000\\"}}"'
AZURES = {"AZURE_CLIENT_ID": "id2", "AZURE_TENANT_ID": "tenant2", "AZURE_CLIENT_SECRET": "hunter3"}


def kinds(environment, **has):
    return [
        each.kind
        for each in candidates(environment, has_cli=has.get("cli", False), has_terminal=has.get("tty", False))
    ]


def test_a_service_principal_goes_before_everything_else():
    ways = candidates({**OURS, **AZURES, "MSI_ENDPOINT": "x"}, has_cli=True, has_terminal=True)
    assert ways == [Identity("service principal", "tenant", "id", "hunter2")]


def test_azures_own_variables_name_a_service_principal_too():
    assert candidates(AZURES, has_cli=True, has_terminal=True)[0].client == "id2"


@pytest.mark.parametrize("missing", OURS)
def test_half_a_service_principal_is_an_error_that_names_the_rest(missing):
    with pytest.raises(LoginFailed, match=f"{missing} is not set"):
        candidates({name: value for name, value in OURS.items() if name != missing}, has_cli=True, has_terminal=True)


def test_then_come_managed_identity_cli_and_browser():
    assert kinds({"MSI_ENDPOINT": "x"}, cli=True, tty=True) == ["managed identity", "azure cli", "browser"]
    assert kinds({"IDENTITY_ENDPOINT": "x"}) == ["managed identity"]


def test_a_client_id_alone_names_the_managed_identity():
    assert (
        candidates({"MSI_ENDPOINT": "x", "AZURE_CLIENT_ID": "me"}, has_cli=False, has_terminal=False)[0].client
        == "me"
    )


def test_nobody_logs_in_with_a_browser_where_nobody_looks():
    assert kinds({}, cli=True) == ["azure cli"]
    assert kinds({}) == []


def test_a_secret_is_not_shown():
    assert "hunter2" not in repr(candidates(OURS, has_cli=False, has_terminal=False))


class TestCli:
    """The login of the `az` command, here one of our own making."""

    @pytest.fixture
    def az(self, tmp_path, monkeypatch):
        def make(script: str):
            program = tmp_path / "az"
            program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/calls\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
            return lambda: len((tmp_path / "calls").read_text().split())

        return make

    def test_a_token_is_asked_for_once_per_audience(self, az):
        answer = json.dumps({"accessToken": "token", "expires_on": time.time() + 3600})
        calls = az(f"echo '{answer}'")
        tokens = CliTokens()
        assert [tokens("arm"), tokens("arm"), tokens("aml")] == ["token"] * 3
        assert calls() == 2

    def test_a_token_that_ends_soon_is_asked_for_again(self, az):
        answer = json.dumps({"accessToken": "token", "expires_on": time.time() + 60})
        calls = az(f"echo '{answer}'")
        tokens = CliTokens()
        tokens("arm")
        tokens("arm")
        assert calls() == 2

    def test_the_audience_is_passed_on(self, az):
        az(PASSED_ON.format(token="$6"))
        assert CliTokens()("https://management.core.windows.net/") == "https://management.core.windows.net/"

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            ("echo 'Please run az login to setup account.' >&2; exit 1", "Please run az login"),
            ("echo nonsense", "no token"),
            ("echo '{}'", "no token"),
        ],
    )
    def test_what_az_says_is_told(self, az, script, told):
        az(script)
        with pytest.raises(LoginFailed, match=told):
            CliTokens()("arm")

    def test_an_az_that_does_not_answer_is_not_waited_for(self, az, monkeypatch):
        monkeypatch.setattr(credentials, "CLI_SECONDS", 0.2)
        az("exec sleep 5")
        with pytest.raises(LoginFailed, match=r"no answer within 0\.2 s"):
            CliTokens()("arm")

    def test_where_every_way_fails_each_is_told(self, az, monkeypatch):
        for name in [*OURS, *AZURES, "MSI_ENDPOINT", "IDENTITY_ENDPOINT"]:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(credentials.sys, "stdin", None)
        az("echo 'not logged in' >&2; exit 1")
        with pytest.raises(LoginFailed, match=r"(?s)az login.*auth=.*azure cli: .*not logged in"):
            credentials.authenticate()

    def test_a_plain_token_needs_no_sdk_in_azures_public_cloud(self, az, monkeypatch):
        for name in [*OURS, *AZURES, "MSI_ENDPOINT", "IDENTITY_ENDPOINT", "AZUREML_WRAPPER_AUTH"]:
            monkeypatch.delenv(name, raising=False)
        az(PASSED_ON.format(token="for $6"))
        program = (
            "import sys; from azureml_wrapper.connection.credentials import plain_tokens;"
            "print(plain_tokens('https://eastus.api.azureml.ms')(), 'azureml.core' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "for https://management.core.windows.net/ False"


class TestNamed:
    """`auth=`, AZUREML_WRAPPER_AUTH and `aml --auth` name one way in, and no other is tried."""

    @pytest.mark.parametrize("name", ["cli", "AzureCliAuthentication"])
    def test_the_azure_cli_goes_before_a_service_principal_where_it_is_named(self, name):
        assert credentials.identify(name, OURS) == Identity("azure cli")

    def test_a_service_principal_that_is_named_and_not_there_is_told(self):
        with pytest.raises(LoginFailed, match="AZUREML_SERVICE_PRINCIPAL_ID"):
            credentials.identify("service-principal", {})

    def test_a_name_that_is_none_is_told_with_those_that_are(self):
        with pytest.raises(LoginFailed, match="Did you mean 'AzureCliAuthentication'"):
            credentials.identify("AzureCLIAuthentification", {})

    def test_the_variable_is_read_and_the_argument_wins(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv(credentials.AUTH_VARIABLE, "service-principal")
        with pytest.raises(LoginFailed, match="service-principal"):
            credentials.authenticate()
        with pytest.raises(LoginFailed, match="`az` was not found"):
            credentials.authenticate("cli")
