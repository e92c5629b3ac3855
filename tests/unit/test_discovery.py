"""A workspace's services in Azure, found without the SDK: against a small server that answers as Azure does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from azureml_wrapper.connection import connections, discovery
from azureml_wrapper.connection.credentials import MANAGEMENT
from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed

SCOPE = Scope("11111111-2222-3333-4444-555555555555", "a group", "ws")
SERVICES = {
    "history": "https://westeurope.api.azureml.ms",
    "pipelines": "https://westeurope.aether.azureml.ms",
    "studio": "https://ml.azure.com",
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        status, content = self.server.answers[self.path.partition("?")[0]]
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def azure(monkeypatch):
    """Answers as Azure Resource Manager and as the discovery service; the Azure CLI is logged in."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, address = [], f"http://127.0.0.1:{server.server_port}"
        server.answers = {
            SCOPE.path: (200, {"properties": {"discoveryUrl": f"{address}/discovery"}}),
            "/discovery": (200, SERVICES),
        }
        monkeypatch.setattr(discovery, "RESOURCE_MANAGER", address)
        monkeypatch.setattr(discovery, "cli_tokens", lambda name: lambda audience: f"token for {audience}")
        for name in discovery.CLOUD_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_the_services_are_those_of_the_workspace(azure):
    found = discovery.discover(SCOPE)
    assert (found.address, found.pipelines, found.portal) == tuple(SERVICES.values())
    assert found.token() == f"token for {MANAGEMENT}"
    (path, login), (second, none) = azure.asked
    assert path == f"{SCOPE.path}?api-version={discovery.VERSION}"
    assert "/resourceGroups/a%20group/" in path
    assert (login, second, none) == (f"Bearer token for {MANAGEMENT}", "/discovery", None)


def test_only_the_login_of_the_cli_and_the_public_cloud_do_without_the_sdk(azure, monkeypatch):
    azure.answers["/discovery"] = (200, {"history": "https://chinaeast2.api.ml.azure.cn"})
    assert discovery.discover(SCOPE) is None
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureChinaCloud")
    azure.asked.clear()
    assert discovery.discover(SCOPE) is None
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD")
    monkeypatch.setattr(discovery, "cli_tokens", lambda name: None)
    assert discovery.discover(SCOPE) is None
    assert azure.asked == []


def test_a_workspace_that_azure_does_not_know_is_left_to_the_sdk_which_creates_it(azure, monkeypatch):
    azure.answers[SCOPE.path] = (404, {"error": {"code": "ResourceNotFound", "message": "not found"}})
    assert discovery.discover(SCOPE) is None
    made = Access("https://made", lambda: "")
    monkeypatch.setattr(connections, "connect", lambda scope, **how: (scope, how))
    monkeypatch.setattr(connections, "access_of", lambda given: made if given[0] == SCOPE else None)
    assert connections.open_services(SCOPE, target="azure") is made


@pytest.mark.parametrize(
    ("status", "content", "error", "told"),
    [
        (
            401,
            {"error": {"code": "Expired", "message": "expired"}},
            LoginFailed,
            "refused the login to .*expired",
        ),
        (403, {"error": {"code": "Denied", "message": "no role"}}, LoginFailed, "refused the login to .*no role"),
        (404, b"<html>proxy</html>", ConnectionFailed, "Cannot connect to workspace ws"),
        (500, {"error": {"code": "X", "message": "broken"}}, ConnectionFailed, "Cannot connect to .*broken"),
    ],
)
def test_errors_are_told(azure, status, content, error, told):
    azure.answers[SCOPE.path] = (status, content)
    with pytest.raises(error, match=told):
        discovery.discover(SCOPE)
