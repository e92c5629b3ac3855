"""A stand-in for the front end of Azure ML that SDK v2 speaks to: enough of it to take a pipeline job.

Only over a real socket: azure-ai-ml itself is not touched. It keeps what it is sent, so that a test can look.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AUDIENCE = "https://ml.azure.com"


def token() -> str:
    """azure-ai-ml reads the audience of the token that it sends along with a pipeline."""
    parts = ({"alg": "none", "typ": "JWT"}, {"aud": AUDIENCE, "exp": 4102444800})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2ln"])


def certificate(folder: Path) -> Path:
    """A file with a key and its certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class FrontEnd:
    """One server for https (the front end, blobs) and one for http (tokens, as a managed identity gets them)."""

    def __init__(self, folder: Path) -> None:
        self.jobs: dict[str, dict] = {}
        self.components: list[dict] = []
        self.blobs: dict[str, bytes] = {}
        self.unknown: list[str] = []
        self.certificate = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        handler = type("Handler", (_Handler,), {"front": self})
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
        self._servers[0].socket = context.wrap_socket(self._servers[0].socket, server_side=True)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self._servers[0].server_port}"
        self.tokens = f"http://127.0.0.1:{self._servers[1].server_port}/token"

    @property
    def variables(self) -> dict[str, str]:
        """What makes azure-ai-ml speak to it, logged in as a managed identity."""
        return {
            "AZUREML_DEV_URL_MFE": self.url,
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "IDENTITY_ENDPOINT": self.tokens,
            "IDENTITY_HEADER": "x",
            "NO_PROXY": "127.0.0.1",
        }

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, dict | None, dict[str, str]]:
        if path.startswith("/blob/"):
            return self._blob(method, path, query, body)
        if path == "/token":
            return 200, {"access_token": token(), "expires_on": "4102444800", "resource": AUDIENCE}, {}
        within = re.fullmatch(r"/?(?:mferp/managementfrontend)?(/subscriptions/.*?/workspaces/[^/]+)(/.*)?", path)
        if within:
            found = self._asset(method, within[1], within[2] or "", json.loads(body or b"{}"))
            if found is not None:
                return 200, found, {}
        self.unknown.append(f"{method} {path}?{query}")
        return 404, {"error": {"code": "NotFound", "message": f"no {path}"}}, {}

    def _asset(self, method: str, workspace: str, rest: str, body: dict) -> dict | None:
        asset = {"id": workspace + rest, "name": rest.rpartition("/")[2], **body}
        if not rest:
            storage = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
            return {**asset, "location": "eastus", "properties": {"workspaceId": "1", "storageAccount": storage}}
        if rest.endswith("/startPendingUpload"):
            uri = f"{self.url}/blob/acct/{rest.split('/')[2]}"
            credential = {"credentialType": "SAS", "sasUri": f"{uri}?sig=x"}
            return {"blobReferenceForConsumption": {"blobUri": uri, "credential": credential}}
        if method == "GET" and rest.endswith("/versions"):
            is_code = rest.startswith("/codes/")
            return {"value": [] if is_code else [{**asset, "id": f"{asset['id']}/3", "name": "3", "properties": {}}]}
        if method == "GET" and rest.startswith("/data/"):
            return {**asset, "properties": {"latestVersion": "2", "dataType": "mltable", "dataUri": "azureml://x"}}
        if method == "GET" and rest.startswith("/environments/"):
            return {**asset, "properties": {"latestVersion": "3"}}
        if method == "PUT" and rest.startswith("/components/"):
            self.components.append(body)
        elif method == "PUT" and rest.startswith("/jobs/"):
            asset["properties"] = {
                **body["properties"],
                "status": "Preparing",
                "services": {
                    "Studio": {"jobServiceType": "Studio", "endpoint": f"https://ml.azure.com/{asset['name']}"}
                },
            }
            self.jobs[asset["name"]] = body["properties"]
        elif method != "PUT":
            return None
        return asset

    def _blob(self, method: str, path: str, query: str, body: bytes) -> tuple[int, dict | None, dict[str, str]]:
        if method == "PUT" and "comp=metadata" in query:
            return 200, None, {}
        if method == "PUT":
            self.blobs[path] = body
            return 201, None, {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        return 404, None, {"x-ms-error-code": "BlobNotFound"}


class _Handler(BaseHTTPRequestHandler):
    front: FrontEnd
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, value, headers = self.front.answer(self.command, url.path, url.query, body)
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **headers, "Content-Length": len(content)}.items():
            self.send_header(name, str(text))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = _answer

    def log_message(self, *args: object) -> None:
        pass
