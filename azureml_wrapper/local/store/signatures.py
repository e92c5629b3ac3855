"""Addresses of blobs that carry their own permission."""

from __future__ import annotations

from datetime import timedelta

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.signatures import SharedAccess
from azureml_wrapper.local.store.accounts import AccountStore

# As in addresses that real runs gave: valid from ten minutes ago, for eight hours.
EARLIER = timedelta(minutes=10)
LIFETIME = timedelta(hours=8)


class Signatures:
    """Mints service SAS addresses with the accounts' keys."""

    def __init__(self, accounts: AccountStore, addresses: Addresses, clock: Clock) -> None:
        self._accounts, self._addresses, self._clock = accounts, addresses, clock

    def url(
        self,
        account: str,
        container: str,
        name: str,
        *,
        permissions: str = "r",
        lifetime: timedelta = LIFETIME,
    ) -> str:
        """The blob's address; with `permissions` "r" it can be read, with "rcw" also written, until it expires."""
        now = self._clock.now()
        access = SharedAccess(
            account=account,
            container=container,
            name=name,
            permissions="".join(letter for letter in "racwdl" if letter in permissions),
            start=now - EARLIER,
            expiry=now + lifetime,
        )
        return self._addresses.blob(account, container, name, access.query(self._accounts.ensure(account)))
