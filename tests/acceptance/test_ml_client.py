"""Unmodified programs of SDK v2 on the local service: how they log in, and that nothing else is asked."""

from __future__ import annotations

import json
import sys

import pytest

# Ends the program as soon as it looks for another machine.
WATCH = """
import sys

def watch(event, given):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = given[0]
    elif event == "socket.connect":
        host = given[1][0] if isinstance(given[1], tuple) else "127.0.0.1"
    else:
        return
    if host not in ("127.0.0.1", b"127.0.0.1", None):
        raise SystemExit(f"left the machine: {event} {host}")

sys.addaudithook(watch)
"""
PROGRAM = (
    WATCH
    + """
import azure.identity
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute

given = {"ClientSecretCredential": ("tenant", "client", "secret")}
for name in sys.argv[1:]:
    client = MLClient.from_config(getattr(azure.identity, name)(*given.get(name, ())))
    print(name, client.workspaces.get().name)
print(client.workspaces.get().mlflow_tracking_uri.partition("://")[0])
client.compute.begin_create_or_update(AmlCompute(name="cpu", size="STANDARD_D2_V2", max_instances=2)).result()
sizes = [size.name for size in client.compute.list_sizes()]
print(client.compute.get("cpu").max_instances, "Standard_D2_v2" in sizes)
try:
    list(MLClient(azure.identity.DefaultAzureCredential(), registry_name="shared").models.list())
except Exception as error:
    print(str(error).splitlines()[0])

from azureml.core import Workspace
print(list(Workspace.from_config().compute_targets))
"""
)
CREDENTIALS = [
    "DefaultAzureCredential",
    "ManagedIdentityCredential",
    "AzureCliCredential",
    "InteractiveBrowserCredential",
    "DeviceCodeCredential",
    "ClientSecretCredential",
]


@pytest.mark.slow
def test_programs_log_in_with_every_credential_and_leave_this_machine_with_none(shell):
    config = {
        "subscription_id": "11111111-2222-3333-4444-555555555555",
        "resource_group": "g",
        "workspace_name": "mine",
    }
    (shell.folder / "config.json").write_text(json.dumps(config))
    (shell.folder / "program.py").write_text(PROGRAM)
    done = shell.aml("local", "exec", "--", sys.executable, "program.py", *CREDENTIALS)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Found the config file")]
    assert lines == [
        *(f"{name} mine" for name in CREDENTIALS),
        "azureml",
        "2 True",
        "(NotImplemented) The local Azure ML has no registries: 'shared' was asked for. "
        "Open a workspace, and register there what you need.",
        "['cpu']",
    ]


IN_PYTHON = (
    WATCH
    + """
from azureml_wrapper import local
from azure.ai.ml.entities import AmlCompute

client = local.ml_client("both")
client.compute.begin_create_or_update(AmlCompute(name="cpu", size="STANDARD_D2_V2", max_instances=2)).result()
again = local.ml_client("both")
print(again.workspaces.get().name, [compute.name for compute in again.compute.list()])
print([*local.workspace("both").compute_targets])
try:
    local.ml_client("no/name")
except Exception as error:
    print(type(error).__name__, "no/name" in str(error))
"""
)


@pytest.mark.slow
def test_both_sdks_in_one_process_see_the_same_workspace(shell):
    (shell.folder / "program.py").write_text(IN_PYTHON)
    done = shell.run(sys.executable, "program.py")
    assert done.stdout.splitlines()[-3:] == ["both ['cpu']", "['cpu']", "ConnectionFailed True"]


@pytest.mark.slow
def test_the_fixture_is_a_client_of_the_same_workspace(shell):
    (shell.folder / "test_mine.py").write_text(
        "def test_names(local_workspace, local_ml_client):\n"
        "    assert local_ml_client.workspaces.get().name == local_workspace.name\n"
        "    assert [*local_ml_client.compute.list()] == []\n"
    )
    done = shell.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py")
    assert "1 passed" in done.stdout, done.stdout
