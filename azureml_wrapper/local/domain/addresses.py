"""Where the service is, in the forms that its clients need."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from azureml_wrapper.local.domain.workspaces import Workspace

LOOPBACK = "127.0.0.1"
NO_PROXY = ("no_proxy", "NO_PROXY")


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep requests to this machine from a proxy, added to what is excepted already.

    Clients read either spelling, so both are set.
    """
    given = next(filter(None, map(environment.get, NO_PROXY)), "")
    hosts = [host for host in given.split(",") if host and host != LOOPBACK]
    return dict.fromkeys(NO_PROXY, ",".join([*hosts, LOOPBACK]))


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a service on `port`; `key` is the unguessable part of the one that gives a token.

    The others that carry no token hold `open_key`: a page's address is printed in logs and may be passed on, so what
    stands in it must not lead to a token.

    Always `127.0.0.1`, never `localhost`: a regular expression in the SDK wants a dot in a host's name
    (azureml/data/context_managers.py).
    """

    port: int
    key: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open_key(self) -> str:
        """Made from `key` in a way that cannot be turned back."""
        return hashlib.sha256(f"open:{self.key}".encode()).hexdigest()[:32]

    @property
    def base(self) -> str:
        """All services but ARM."""
        return f"http://{self.host}"

    @property
    def arm(self) -> str:
        """ARM: azure-core refuses to send a bearer token over plain http."""
        return f"https://{self.host}/"

    @property
    def discovery(self) -> str:
        return f"{self.base}/discovery/{self.open_key}"

    @property
    def metadata(self) -> str:
        """What ARM_CLOUD_METADATA_URL is set to."""
        return f"{self.base}/metadata/{self.open_key}/endpoints"

    @property
    def msi(self) -> str:
        """What MSI_ENDPOINT is set to: gives a user token to programs that bring no authentication of their own."""
        return f"{self.base}/msi/{self.key}/token"

    @property
    def studio(self) -> str:
        """The page; the SDK appends `/runs/{id}?wsid=…`."""
        return f"{self.base}/studio/{self.open_key}"

    @property
    def storage_endpoint(self) -> str:
        """The `endpoint` of a datastore's record.

        The SDK builds `https://{account}.blob.{endpoint}` by itself. What stands before an `@` is user information,
        and the connection goes to this machine. urllib3, requests and rslex all take it.
        """
        return f"core.windows.net@{self.host}"

    def blob(self, account: str, container: str, name: str, query: str = "") -> str:
        """The address of a blob, in the form that the SDK takes apart and puts together again.

        Blanks and letters beyond ASCII stand as they are: the SDK uploads to the name that it finds in the address
        without decoding it (azureml/_file_utils/upload.py), and encodes by itself wherever it asks for it.
        """
        end = f"?{query}" if query else ""
        return f"https://{account}.blob.{self.storage_endpoint}/{container}/{_escaped(name)}{end}"

    def service(self, prefix: str, workspace: Workspace) -> str:
        """A service's address for a workspace: `service("/pipelines/v1.0", workspace)`."""
        return f"{self.base}{prefix}{workspace.scope}"


def _escaped(name: str) -> str:
    """Only what would end the path, or be taken for an escape."""
    return re.sub(r"[?#]|%(?=[0-9A-Fa-f]{2})", lambda found: quote(found[0]), name)
