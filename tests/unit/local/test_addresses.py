"""Addresses."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.addresses import without_proxy


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1"),
        ({"no_proxy": ".corp,10.0.0.1"}, ".corp,10.0.0.1,127.0.0.1"),
        ({"no_proxy": "", "NO_PROXY": ".corp"}, ".corp,127.0.0.1"),
        ({"NO_PROXY": "127.0.0.1,.corp"}, ".corp,127.0.0.1"),
    ],
)
def test_this_machine_is_added_to_what_needs_no_proxy(given, expected):
    assert without_proxy(given) == {"no_proxy": expected, "NO_PROXY": expected}


def test_adding_it_twice_changes_nothing():
    once = without_proxy({"no_proxy": ".corp"})
    assert without_proxy(once) == once
