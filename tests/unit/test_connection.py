"""Which Azure ML answers."""

from __future__ import annotations

import pytest

from azureml_wrapper.connection.target import TARGET_VARIABLE, choose_target


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
