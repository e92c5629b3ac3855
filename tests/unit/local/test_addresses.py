"""Addresses."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from azureml_wrapper.local.domain.addresses import Addresses, without_proxy


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


@pytest.mark.parametrize("name", ["a.txt", "a b/é.txt", "100%.txt", "%41?x=1#2.txt"])
def test_any_program_finds_the_name_of_a_blob_in_its_address(name):
    parts = urlsplit(Addresses(port=8000, key="k").blob("box", name, "sig=x"))
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("http", "127.0.0.1:8000", f"/box/{name}")
    assert (parts.query, parts.fragment, parts.path.isascii(), " " in parts.path) == ("sig=x", "", True, False)
