"""Commands and programs as a user runs them: as processes, each test in its own home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass
class Shell:
    """Runs commands in `folder` with the service's home at `home`; `aml` and `python` are this environment's."""

    folder: Path
    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "AZUREML_WRAPPER_HOME": str(self.home), **self.extra}

    def run(self, *command: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def aml(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("aml", *arguments, check=check)

    def fails(self, *arguments: str, code: int) -> str:
        """What `aml` says on stderr where it ends with `code`, and without a traceback of its own."""
        done = self.aml(*arguments, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "azureml_wrapper/cli" not in done.stderr
        return done.stderr

    def network_namespace(self) -> tuple[str, ...]:
        """What to put before a command so that it sees no network; skips the test where that is not possible."""
        unshare = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
        possible = shutil.which("unshare") and self.run(*unshare, "true", check=False).returncode == 0
        if not possible and not os.environ.get("CI"):
            pytest.skip("this machine has no `unshare`, or does not allow network namespaces")
        return unshare


@pytest.fixture
def shell(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    shell = Shell(folder, tmp_path / "home")
    yield shell
    service_process.stop(Home(shell.home))
