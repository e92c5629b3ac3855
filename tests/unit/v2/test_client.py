"""As whom SDK v2 submits: the same names and variables as for SDK v1."""

from __future__ import annotations

import pytest

from azureml_wrapper.connection.credentials import AUTH_VARIABLE, MANAGED_VARIABLES, PRINCIPAL_VARIABLES
from azureml_wrapper.errors import BadArgument, LoginFailed
from azureml_wrapper.v2.client import _credential


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Nothing of who is logged in on this machine; `az` is there."""
    for name in (AUTH_VARIABLE, *MANAGED_VARIABLES, *PRINCIPAL_VARIABLES[0], *PRINCIPAL_VARIABLES[1]):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "az").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def principal(monkeypatch):
    for name in PRINCIPAL_VARIABLES[0]:
        monkeypatch.setenv(name, "11111111-2222-3333-4444-555555555555")


@pytest.mark.parametrize(
    ("auth", "made"),
    [
        (None, "DefaultAzureCredential"),
        ("cli", "AzureCliCredential"),
        ("AzureCliAuthentication", "AzureCliCredential"),
        ("browser", "InteractiveBrowserCredential"),
        ("managed-identity", "ManagedIdentityCredential"),
    ],
)
def test_names_of_sdk_v1_become_credentials(auth, made):
    assert type(_credential(auth)).__name__ == made


def test_the_variable_counts_where_nothing_was_given(monkeypatch):
    monkeypatch.setenv(AUTH_VARIABLE, "cli")
    assert type(_credential(None)).__name__ == "AzureCliCredential"
    assert type(_credential("browser")).__name__ == "InteractiveBrowserCredential"


@pytest.mark.usefixtures("principal")
@pytest.mark.parametrize("auth", [None, "service-principal"])
def test_a_service_principal_of_the_environment_is_used(auth):
    assert type(_credential(auth)).__name__ == "ClientSecretCredential"


def test_what_cannot_be_is_told(monkeypatch, tmp_path):
    with pytest.raises(LoginFailed, match=r"Unknown authentication 'clii'\. Did you mean 'cli'"):
        _credential("clii")
    with pytest.raises(LoginFailed, match="AZUREML_SERVICE_PRINCIPAL_TENANT_ID"):
        _credential("service-principal")
    with pytest.raises(BadArgument, match="auth is a object, which is of SDK v1"):
        _credential(object())
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(LoginFailed, match="`az` was not found"):
        _credential("cli")
