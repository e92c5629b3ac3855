"""`aml` and `aml local` as a user types them."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.acceptance.conftest import BIN
from tests.waiting import until

COMMANDS = ["", "run", "local", "local up", "local down", "local status", "local reset", "local exec"]


@pytest.fixture
def shell(shell):
    """One whose `aml` always begins as the console script: here starts and ends of processes count."""
    return replace(shell, forks=False, extra={"AZUREML_WRAPPER_WARM": "off"})


def status(shell):
    return dict(line.split(None, 1) for line in shell.aml("local", "status").stdout.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(shell, command):
    help_text = shell.aml(*command.split(), "--help").stdout
    assert help_text.startswith("Usage: aml")
    assert len(help_text.splitlines()) > 5


def test_help_is_quick_because_nothing_heavy_is_imported(shell):
    code = "import sys, azureml_wrapper.cli; print(*sys.modules)"
    modules = shell.run(sys.executable, "-c", code).stdout.split()
    assert {"azureml.core", "pandas", "pydantic", "rich", "uvicorn"}.isdisjoint(modules)


def test_the_version_is_that_of_the_package(shell):
    from importlib.metadata import version

    assert shell.aml("--version").stdout.split()[-1] == version("azureml_wrapper")


def test_an_unknown_command_is_a_usage_error(shell):
    assert "No such command 'rum'" in shell.fails("rum", code=2)


def test_up_starts_status_tells_and_down_stops(shell):
    assert status(shell)["service"] == "does not run"
    up = shell.aml("local", "up").stdout
    info = service_process.find(Home(shell.home))
    assert f"127.0.0.1:{info.port}" in up
    told = status(shell)
    assert told["service"] == f"runs (pid {info.pid})"
    assert told["address"] == f"http://127.0.0.1:{info.port}"
    python, version = told["python"].split(" ")
    assert (Path(python).parent, version) == (BIN, f"({platform.python_version()})")
    assert told["home"] == str(shell.home)
    assert told["runs"] == "none"
    assert shell.aml("local", "down").stdout.startswith("Stopped")
    assert service_process.find(Home(shell.home)) is None
    assert "No service runs" in shell.aml("local", "down").stdout


def test_neither_the_secret_nor_a_storage_key_is_printed_for_people(shell):
    shell.aml("local", "up")
    info = service_process.find(Home(shell.home))
    given = json.loads(shell.aml("local", "status", "--json").stdout)
    assert (given["address"], given["home"]) == (f"http://127.0.0.1:{info.port}", str(shell.home))
    [(account, connection)] = given["storage"].items()
    assert connection.startswith(f"BlobEndpoint={given['address']};AccountName={account};AccountKey=")
    shown = shell.aml("local", "status").stdout
    assert [secret for secret in (info.secret, connection.partition("AccountKey=")[2]) if secret in shown] == []
    assert info.secret not in str(given)


def test_up_on_a_port_uses_it_and_says_so_where_another_one_is_in_use(shell):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shell.aml("local", "up", "--port", str(port))
    assert service_process.find(Home(shell.home)).port == port
    assert f"already, on port {port}" in shell.fails("local", "up", "--port", str(port % 60000 + 1024), code=1)


def test_a_home_that_cannot_be_written_is_an_error_that_says_what_to_do(shell):
    shell.home.write_text("not a folder")
    assert "Set AZUREML_WRAPPER_HOME" in shell.fails("local", "up", code=1)


def test_a_service_in_another_network_namespace_is_told_and_can_be_stopped(shell):
    unshare = shell.network_namespace()
    shell.aml("local", "up")
    done = shell.run(*unshare, "aml", "local", "up", check=False)
    assert done.returncode == 1
    assert "runs in another network namespace" in done.stderr
    assert "aml local down" in done.stderr
    assert shell.run(*unshare, "aml", "local", "down").stdout.startswith("Stopped")


def test_foreground_stays_until_it_is_interrupted(shell):
    command = ["aml", "local", "up", "--foreground"]
    process = subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert until(lambda: service_process.find(Home(shell.home))).pid == process.pid
        assert "runs already" in shell.fails("local", "up", "--foreground", code=1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert str(shell.home) in output


def test_reset_asks_first(shell):
    shell.aml("local", "up")
    refused = shell.aml("local", "reset", check=False)
    assert refused.returncode == 1
    assert f"below {shell.home}?" in refused.stdout
    assert service_process.find(Home(shell.home))


def test_reset_deletes_what_is_the_services_and_nothing_else(shell):
    shell.aml("local", "up")
    (shell.home / "mine.txt").write_text("not the service's")
    shell.aml("local", "reset", "--yes")
    assert service_process.find(Home(shell.home)) is None
    assert [path.name for path in shell.home.iterdir()] == ["mine.txt"]


def write_config(folder, workspace="field-station", subscription="11111111-2222-3333-4444-555555555555"):
    folder.mkdir(exist_ok=True, parents=True)
    config = {"subscription_id": subscription, "resource_group": "research", "workspace_name": workspace}
    (folder / "config.json").write_text(json.dumps(config))


PROGRAM = "from azureml.core import Workspace; ws = Workspace.from_config(); print(ws.name, ws.subscription_id)"


@pytest.mark.slow
@pytest.mark.parametrize(("place", "times"), [(".azureml", 2), (".", 1)])
def test_exec_runs_a_program_that_knows_only_the_sdk(shell, place, times):
    write_config(shell.folder / place)
    for _ in range(times):
        done = shell.aml("local", "exec", "--", "python", "-c", PROGRAM)
        assert done.stdout.splitlines()[-1] == "field-station 11111111-2222-3333-4444-555555555555"


@pytest.mark.slow
def test_exec_makes_the_workspace_that_is_named(shell):
    call = "Workspace.get('other', subscription_id='sub', resource_group='group')"
    code = f"from azureml.core import Workspace; print({call}.name)"
    done = shell.aml("local", "exec", "--workspace", "sub/group/other", "--", "python", "-c", code)
    assert done.stdout.split()[-1] == "other"


@pytest.mark.slow
def test_exec_creates_the_workspaces_that_a_program_asks_for_and_says_so(shell):
    write_config(shell.folder / "conf", "by-path")
    (shell.folder / "conf" / "config.json").rename(shell.folder / "conf" / "ws.json")
    other = "bbbbbbbb-2222-3333-4444-555555555555"
    (shell.folder / "program.py").write_text(
        f"from azureml.core import Workspace\n"
        f"names = {{'subscription_id': '{other}', 'resource_group': 'research'}}\n"
        f"found = Workspace.from_config('conf/ws.json'), Workspace.get('by-name', **names)\n"
        f"made = Workspace.create('created', show_output=False, **names)\n"
        f"print(*[ws.name for ws in (*found, made)])\n"
    )
    done = shell.aml("local", "exec", "--", "python", "program.py")
    assert done.stdout.splitlines()[-1] == "by-path by-name created"
    reports = [line for line in done.stderr.splitlines() if line.startswith("Created workspace")]
    assert reports == [
        "Created workspace by-path on the local Azure ML (11111111-2222-3333-4444-555555555555/research/by-path).",
        f"Created workspace by-name on the local Azure ML ({other}/research/by-name).",
    ]
    again = shell.aml("local", "exec", "--", "python", "-c", PROGRAM.replace("()", "('conf/ws.json')"))
    assert "Created" not in again.stderr
    assert list((shell.home / "reports").iterdir()) == []
    assert "Created workspace by-name in research" in Home(shell.home).log_file.read_text()


def test_exec_ends_as_the_program_does(shell):
    killed = shell.aml("local", "exec", "--", "sh", "-c", "kill -9 $$", check=False)
    assert killed.returncode == -signal.SIGKILL
    script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    command = ["aml", "local", "exec", "--", "sh", "-c", script]
    with subprocess.Popen(command, env=shell.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(60) == 3


def test_exec_refuses_the_name_of_a_workspace_that_azure_would_refuse(shell):
    error = shell.fails("local", "exec", "--workspace", "sub/group/x", "true", code=2)
    assert "Invalid workspace name 'x': use 2 to 33 letters" in error
    (shell.folder / "config.json").write_text(
        json.dumps({"subscription_id": "<yours>", "resource_group": "g", "workspace_name": "x"})
    )
    assert shell.aml("local", "exec", "--", "echo", "ran").stdout == "ran\n"


def test_exec_names_a_folder_for_the_sdks_cache_that_exists(shell):
    code = "import os; print(os.path.isdir(os.environ['AZURE_CONFIG_DIR']))"
    assert shell.aml("local", "exec", "--", "python", "-c", code).stdout.strip() == "True"


def test_exec_stops_programs_with_an_sdk_that_is_too_old_also_below_other_programs(shell):
    package = shell.folder / "old" / "azureml" / "core"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("print('imported')")
    (shell.folder / "old" / "azureml_core-1.39.0.dist-info").mkdir()
    shell.extra["PYTHONPATH"] = str(shell.folder / "old")
    done = shell.aml("local", "exec", "--", "sh", "-c", "python -c 'import azureml.core'", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "requires azureml-core>=1.40" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_exec_leaves_with_the_programs_own_exit_code(shell):
    assert shell.aml("local", "exec", "python", "-c", "raise SystemExit(7)", check=False).returncode == 7


def test_exec_of_a_program_that_does_not_exist_is_a_usage_error(shell):
    assert "Program not found: 'nix'" in shell.fails("local", "exec", "--", "nix", code=2)


def test_exec_wants_a_workspace_of_three_names(shell):
    assert "SUBSCRIPTION/RESOURCE_GROUP/NAME" in shell.fails("local", "exec", "--workspace", "a/b", "true", code=2)


def test_exec_leaves_a_config_that_is_no_workspaces_to_the_program(shell):
    (shell.folder / "config.json").write_text("[1, 2")
    assert shell.aml("local", "exec", "--", "python", "-c", "print('ran')").stdout == "ran\n"


def test_output_into_a_closed_pipe_is_no_traceback(shell):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            ["aml", "local", "status"],
            env=shell.environment,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
