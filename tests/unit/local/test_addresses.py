"""Addresses, and the keys in them."""

from __future__ import annotations

from urllib.parse import urlsplit

from azureml_wrapper.local.domain.addresses import Addresses

ADDRESSES = Addresses(port=4711, key="0123456789abcdef0123456789abcdef")


def test_only_the_address_of_the_token_holds_the_key_that_gives_one():
    others = (ADDRESSES.discovery, ADDRESSES.metadata, ADDRESSES.studio, ADDRESSES.base, ADDRESSES.arm)
    assert ADDRESSES.key in ADDRESSES.msi
    assert not [address for address in others if ADDRESSES.key in address]


def test_the_open_key_belongs_to_the_key():
    assert len(ADDRESSES.open_key) == 32
    assert ADDRESSES.open_key == Addresses(port=1, key=ADDRESSES.key).open_key
    assert ADDRESSES.open_key != Addresses(port=4711, key="other").open_key


def test_a_blob_is_on_this_machine_whatever_stands_before_the_at():
    parts = urlsplit(ADDRESSES.blob("account", "container", "a/b", "sig=x"))
    assert (parts.hostname, parts.port) == ("127.0.0.1", 4711)
    assert parts.username == "account.blob.core.windows.net"
    assert (parts.path, parts.query) == ("/container/a/b", "sig=x")
