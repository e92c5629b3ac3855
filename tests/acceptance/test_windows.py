"""Windows, played on Linux: everything but the local service works without what Windows lacks, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import machines

pytestmark = [pytest.mark.local_only, machines.needs_linux, pytest.mark.slow]

WSL = "The local Azure ML runs on Linux, macOS and WSL 2, not on Windows itself: run this command in WSL 2"
AML = ["-c", "from azureml_wrapper.cli import main; main()"]


@pytest.fixture
def run(tmp_path):
    path = machines.play(tmp_path / "machine", machines.WINDOWS)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AML_", "AZUREML_"))}
    variables |= {"AZUREML_WRAPPER_HOME": str(tmp_path / "home"), "PYTHONPATH": path}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        environment = {**variables, **more}
        return subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )

    return run


IMPORT_ALL = """
import importlib, pkgutil, azureml_wrapper
# What only the service's processes, or jobs, import.
OF_THE_SERVICE = ("local.app", "local.background", "local.coverage", "local.driver", "local.executor", "local.http")
OF_THE_SERVICE += ("local.scheduler", "local.server", "local.services", "local.store", "local.studio", "local.tls")
prefix = "azureml_wrapper."
count = 0
for module in pkgutil.walk_packages(azureml_wrapper.__path__, prefix, onerror=lambda name: None):
    if not module.name.removeprefix(prefix).startswith(OF_THE_SERVICE):
        importlib.import_module(module.name)
        count += 1
print(count)
"""


def test_every_module_of_the_wrapper_is_imported(run):
    done = run("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


DOWNLOAD = """
import hashlib, os
from pathlib import Path
from azureml_wrapper.file_lock import FileLock
from azureml_wrapper.transfer.download_file import PartialFile, RemoteFile
from azureml_wrapper.transfer.local_files import md5_text
content = b"a\\n\\r\\n\\n" * 1_000_000
remote = RemoteFile("f", str, size=len(content), etag="e", md5=md5_text(hashlib.md5(content)))
part = PartialFile.of(Path("f"), remote, 2_000_000)
for start in reversed(range(0, len(content), 2_000_000)):
    part.write(start, content[start : start + 2_000_000])
part.finish(remote)
assert Path("f").read_bytes() == content
lock = FileLock(Path("lock"))
assert lock.try_acquire() == ""
lock.release()
"""


def test_large_downloads_arrive_as_they_are(run):
    done = run("-c", DOWNLOAD)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["up"], ["up", "--foreground"], ["exec", "python", "x.py"]])
def test_the_local_service_names_wsl(run, words):
    done = run(*AML, "local", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {WSL}")
    assert len(done.stderr.splitlines()) == 1


def test_a_local_workspace_names_wsl(run):
    done = run("-c", "from azureml_wrapper import local; local.workspace()")
    assert done.returncode == 1
    assert WSL in done.stderr.splitlines()[-1]


def test_what_needs_no_service_says_that_none_runs(run):
    assert "No service runs" in run(*AML, "local", "down").stdout
    status = run(*AML, "local", "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "does not run" in status.stdout


HELP = """
from azureml_wrapper.cli.main import _print_any_character, aml
_print_any_character()
def show(*words):
    aml.main([*words, "--help"], standalone_mode=False)
    for name, _ in getattr(command_of(words), "commands", {}).items():
        show(*words, name)
def command_of(words):
    command = aml
    for word in words:
        command = command.commands[word]
    return command
show()
"""


@pytest.mark.parametrize("encoding", ["cp437", "cp1252"])
def test_help_is_printed_in_the_encodings_of_consoles(run, encoding):
    done = run("-c", HELP, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Options:") > 30


# `cmd /c az …` is how azure-identity starts az.cmd.
CMD = """#!/bin/sh
[ "$1 $2" = "/c az" ] || [ "$1" = "/c" ] || exit 9
echo '{"accessToken": "a.b.c", "expiresOn": "2999-01-01 00:00:00.000000", "expires_on": 32472144000}'
"""
LOGIN = """
import shutil
from azureml_wrapper.connection.credentials import CliTokens
print(shutil.which("az"), CliTokens()("https://management.azure.com"))
"""


def test_the_login_of_az_cmd_is_used(run, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in (("cmd", CMD), ("az.CMD", "")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    # Windows' own separator and endings are not what this Python splits PATH by.
    done = run("-c", LOGIN, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", PATHEXT=".CMD", SYSTEMROOT=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(folder / "az.CMD"), "a.b.c"]
