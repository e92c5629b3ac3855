"""What users give in confidence, encrypted at rest: secrets, account keys, SAS tokens.

The key is derived from the home's secret, which is in another file: a copy of the database alone reveals nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from azureml_wrapper.local.domain.errors import Conflict

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Unreadable(Conflict):
    """The home's secret has changed since the value was encrypted."""


class Seal:
    """Encrypts and decrypts. `key` is a random string of 32 characters."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def seal(self, text: str) -> bytes:
        """Encrypt a string; the results for equal strings differ."""
        return self._cipher().encrypt(text.encode())

    def open(self, sealed: bytes | str, what: str) -> str:
        """What `seal` was given; `what` names it if the key has changed since.

        Raises:
            Unreadable: Another key sealed it.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._cipher().decrypt(sealed).decode()
        except InvalidToken as error:
            raise Unreadable(
                f"Cannot decrypt {what}: the key of this home folder has changed since it was set. Set it again."
            ) from error

    def derive(self, name: str) -> bytes:
        """64 bytes that only this key and this name give: the same each time, so that they need not be stored."""
        return hmac.new(self._key, name.encode(), hashlib.sha512).digest()

    def _cipher(self) -> Fernet:
        # Imported on first use, because it takes as long as the rest of the service's start.
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._key))
