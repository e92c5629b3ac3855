"""The service's addresses, in the forms that its clients need."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from azureml_wrapper.local.domain.workspaces import Workspace

LOOPBACK = "127.0.0.1"
# The names of the service among clouds (services/discovery.py).
PUBLIC_CLOUD, LOCAL_CLOUD = "AzureCloud", "AzureLocal"
# The portal that SDK v2 gets, because it makes the audience of its tokens, https://ml.azure.com, from this address
# (azure/ai/ml/_azure_environments.py, `_convert_arm_to_cli`).
V2_PORTAL = "https://portal.azure.com/"
NO_PROXY = ("no_proxy", "NO_PROXY")


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that exclude this machine from proxies, in addition to the hosts that are excluded already.

    Clients read one spelling or the other, so both are set.
    """
    given = next(filter(None, map(environment.get, NO_PROXY)), "")
    hosts = [host.strip() for host in given.split(",")]
    # A star excludes every host, but only where it stands alone (urllib.request, proxy_bypass_environment).
    others = [host for host in hosts if host not in ("", LOOPBACK)]
    return dict.fromkeys(NO_PROXY, "*" if "*" in hosts else ",".join([*others, LOOPBACK]))


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a service on `port`. `key` is the secret part of the address that issues tokens.

    Other addresses that work without a token contain `open_key`: the page's address is printed in logs and may be
    passed on, so `key` must not be derivable from it.

    Always `127.0.0.1`, never `localhost`: a regular expression in the SDK requires a dot in host names
    (azureml/data/context_managers.py).
    """

    port: int
    key: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open_key(self) -> str:
        """Derived from `key` by a one-way function."""
        return hashlib.sha256(f"open:{self.key}".encode()).hexdigest()[:32]

    @property
    def base(self) -> str:
        """All services except for ARM."""
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
        """The value of ARM_CLOUD_METADATA_URL."""
        return f"{self.base}/metadata/{self.open_key}/endpoints"

    def msi(self, subscriptions: Iterable[str] = (), program: str = "") -> str:
        """The value of MSI_ENDPOINT: issues a user token to programs without authentication of their own."""
        given = {"subscriptions": ",".join(subscriptions), "program": program}
        query = urlencode({name: value for name, value in given.items() if value}, safe=",")
        return f"{self.base}/msi/{self.key}/token{'?' if query else ''}{query}"

    def mlflow(self, workspace: Workspace) -> str:
        """What MLflow logs to: with this scheme, azureml-mlflow logs in, and uses https."""
        return f"azureml://{self.host}/mlflow/v1.0{workspace.scope}"

    @property
    def studio(self) -> str:
        """The page; the SDK appends `/runs/{id}?wsid=…`."""
        return f"{self.base}/studio/{self.open_key}"

    @property
    def storage_endpoint(self) -> str:
        """The `endpoint` of a datastore's record.

        The SDK itself builds `https://{account}.blob.{endpoint}`. The part before the `@` is user information,
        and the connection goes to this machine. urllib3, requests and rslex all accept it.
        """
        return f"core.windows.net@{self.host}"

    def blob(self, container: str, name: str, query: str) -> str:
        """The address of a blob that any program can open: `query` says by which account's key it is signed.

        urllib, and so pandas, accepts neither user information nor the service's own certificate.
        """
        return f"{self.base}/{container}/{quote(name)}?{query}"

    def sdk_blob(self, account: str, container: str, name: str, query: str = "") -> str:
        """The address of a blob, in the form that the SDK splits and joins again.

        Spaces and non-ASCII letters are not encoded: the SDK uploads to the name in the address without decoding it
        (azureml/_file_utils/upload.py), and encodes it itself in requests.
        """
        end = f"?{query}" if query else ""
        return f"https://{account}.blob.{self.storage_endpoint}/{container}/{_escaped(name)}{end}"

    def service(self, prefix: str, workspace: Workspace) -> str:
        """A service's address for a workspace: `service("/pipelines/v1.0", workspace)`."""
        return f"{self.base}{prefix}{workspace.scope}"


def _escaped(name: str) -> str:
    """The name with only those characters encoded that would end the path or start an escape."""
    return re.sub(r"[?#]|%(?=[0-9A-Fa-f]{2})", lambda found: quote(found[0]), name)
