"""Storage accounts, their keys, and blob addresses that carry their own permission."""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import timedelta

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Conflict
from azureml_wrapper.local.domain.signatures import SharedAccess
from azureml_wrapper.local.domain.storage import check_account_name, check_key
from azureml_wrapper.local.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS storage_accounts (
    account TEXT PRIMARY KEY,
    key     TEXT NOT NULL
);
"""
KEY_BYTES = 64
# Azure's addresses for runs are valid from ten minutes ago, for eight hours.
EARLIER = timedelta(minutes=10)
LIFETIME = timedelta(hours=8)


class AccountStore:
    """Accounts by name, one key each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def key(self, account: str) -> str | None:
        """The account's key in base64; None if the account is unknown."""
        row = self._database.one("SELECT key FROM storage_accounts WHERE account = ?", (account,))
        return row["key"] if row else None

    def names(self) -> list[str]:
        """Every account that has a key."""
        return [row["account"] for row in self._database.all("SELECT account FROM storage_accounts")]

    def ensure(self, account: str) -> str:
        """The account's key; a new account gets a random one."""
        check_account_name(account)
        with self._database.transaction() as database:
            key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
            database.execute("INSERT OR IGNORE INTO storage_accounts VALUES (?, ?)", (account, key))
            return self.key(account) or key

    def register(self, account: str, key: str) -> None:
        """Set the key of an account. Raise `Conflict` if the account already has another one."""
        check_account_name(account)
        check_key(key)
        with self._database.transaction() as database:
            database.execute("INSERT OR IGNORE INTO storage_accounts VALUES (?, ?)", (account, key))
            known = self.key(account) or ""
        if not hmac.compare_digest(known.encode(), key.encode()):
            raise Conflict(
                f"Storage account {account!r} is already registered with a different key. The local service keeps "
                "the first key of an account: use that key, or another account name."
            )

    def forget_key(self, account: str) -> None:
        """Forget the account's key; the next registration sets a new one."""
        self._database.execute("DELETE FROM storage_accounts WHERE account = ?", (account,))


class Signatures:
    """Blob addresses signed with the accounts' keys (service SAS)."""

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
        """The blob's address. Until it expires, "r" in `permissions` lets its holder read the blob, "cw" write it."""
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
