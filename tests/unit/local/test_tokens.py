"""Tokens are signed, bounded in time, and tell who is there."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.tokens import RUN_LIFETIME, USER_LIFETIME, BadToken, Tokens

TOKENS = Tokens("a" * 64)


def test_a_token_may_name_the_python_of_its_user():
    assert TOKENS.identify(TOKENS.user(python="/a/bin/python")).python == "/a/bin/python"
    assert TOKENS.identify(TOKENS.user()).python == ""


def test_a_user_token_names_no_run():
    identity = TOKENS.identify(TOKENS.user(subscriptions=["sub"]))
    assert (identity.run_id, identity.subscriptions, identity.is_run) == (None, ("sub",), False)
    assert not identity.creates_workspaces


def test_a_run_token_names_its_run_and_workspace():
    identity = TOKENS.identify(TOKENS.run("workspace", "run-1"))
    assert (identity.run_id, identity.workspace_id, identity.is_run) == ("run-1", "workspace", True)


def test_a_token_of_another_secret_is_refused():
    with pytest.raises(BadToken, match="does not come from this service"):
        TOKENS.identify(Tokens("b" * 64).user())


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "no token at all", "é.é.é"])
def test_a_string_that_is_no_token_is_refused(token):
    with pytest.raises(BadToken):
        TOKENS.identify(token)


def test_a_changed_claim_breaks_the_signature():
    header, _, signature = TOKENS.run("workspace", "run-1").split(".")
    _, foreign, _ = Tokens("x" * 64).run("workspace", "run-2").split(".")
    with pytest.raises(BadToken):
        TOKENS.identify(f"{header}.{foreign}.{signature}")


@pytest.mark.parametrize(
    ("mint", "lifetime"),
    [(TOKENS.user, USER_LIFETIME), (lambda now: TOKENS.run("w", "r", now=now), RUN_LIFETIME)],
)
def test_a_token_is_good_until_its_time_is_over(mint, lifetime):
    token = mint(now=1000.0)
    assert TOKENS.identify(token, now=1000.0 + lifetime - 1)
    with pytest.raises(BadToken, match="expired"):
        TOKENS.identify(token, now=1000.0 + lifetime + 1)


def test_keys_differ_by_purpose_and_secret():
    keys = {TOKENS.key("a"), TOKENS.key("b"), Tokens("b" * 64).key("a")}
    assert len(keys) == 3
    assert TOKENS.key("a") == Tokens("a" * 64).key("a")
