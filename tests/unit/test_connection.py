"""Which Azure ML answers."""

from __future__ import annotations

import pytest

from azureml_wrapper import WorkspaceWrapper
from azureml_wrapper.connection.connections import access, connect
from azureml_wrapper.connection.credentials import AUTH_VARIABLE
from azureml_wrapper.connection.target import TARGET_VARIABLE, Scope, choose_target
from azureml_wrapper.errors import BadValue, LoginFailed
from azureml_wrapper.v2.client import open_client

GUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("subscription", "target", "variable", "expected"),
    [
        ("local", None, None, "local"),
        ("1234", None, None, "azure"),
        ("1234", "local", None, "local"),
        ("1234", None, "local", "local"),
        ("1234", "azure", "local", "azure"),
        ("local", "azure", None, "azure"),
    ],
)
def test_argument_then_variable_then_subscription(monkeypatch, subscription, target, variable, expected):
    monkeypatch.delenv(TARGET_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(TARGET_VARIABLE, variable)
    assert choose_target(subscription, target) == expected


def test_another_target_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'azure' or 'local'"):
        choose_target("1234", "cloud")


def test_a_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv(TARGET_VARIABLE, "lokal")
    with pytest.raises(
        BadValue, match=f"{TARGET_VARIABLE} must be 'azure' or 'local', got 'lokal'. Did you mean 'lo"
    ):
        WorkspaceWrapper("w", "g", "local").ws  # noqa: B018
    monkeypatch.setenv(TARGET_VARIABLE, "azure")
    monkeypatch.setenv(AUTH_VARIABLE, "clii")
    with pytest.raises(LoginFailed, match=f"'clii' in {AUTH_VARIABLE}. Did you mean 'cli'"):
        WorkspaceWrapper("w", "g", GUID).ws  # noqa: B018
    with pytest.raises(LoginFailed, match=r"'brouser'\. Did you mean 'browser'"):
        WorkspaceWrapper("w", "g", GUID, auth="brouser").ws  # noqa: B018


@pytest.mark.parametrize(
    ("subscription", "hint"),
    [
        ("loca", "Did you mean 'local'?"),
        ("Local", "Did you mean 'local'?"),
        (GUID[:-1], "got '0123"),
        ("my sub", "GUID"),
    ],
)
def test_what_is_neither_a_guid_nor_local_is_refused_before_any_login(monkeypatch, subscription, hint):
    monkeypatch.delenv(TARGET_VARIABLE, raising=False)
    scope = Scope(subscription, "g", "w")
    opening = (connect, lambda scope: access(scope, target=None, address="https://x"), open_client)
    for each in opening:
        with pytest.raises(BadValue) as caught:
            each(scope)
        assert "subscription_id must be the GUID" in str(caught.value)
        assert hint in str(caught.value)
