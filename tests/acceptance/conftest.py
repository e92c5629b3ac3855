"""Commands and programs as a user runs them: as processes, each test in its own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.forks import Forks, can_fork

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FORKS = Forks()


@dataclass
class Shell:
    """Runs commands in `folder` with the service's home at `home`; `aml` and `python` are this environment's."""

    folder: Path
    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    forks: bool = True

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
        return self._checked(done) if check else done

    def _checked(self, done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
        if done.returncode:
            pytest.fail(f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def aml(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`aml` with these words; where that is the same, forked instead of started (tests/forks.py)."""
        return self.fork("aml", *arguments, check=check)

    def python(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A program that prepares or looks at something; forked, too."""
        return self.fork("python", "-c", program, *arguments)

    def fork(self, *command: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        if not self.forks or not can_fork(self.extra):
            return self.run(*command, check=check, timeout=timeout)
        done = FORKS.run(command, folder=self.folder, variables=self.environment, timeout=timeout)
        return self._checked(done) if check else done

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


@pytest.fixture(scope="session", autouse=True)
def _forks_end():
    yield
    FORKS.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The home of a service that all tests of a process share."""
    home = Home(tmp_path_factory.mktemp("served") / "home")
    yield home.path
    service_process.stop(home)


@pytest.fixture
def shared(shell, served):
    """A shell in its own folder whose service other tests use, too; its workspace should be of this test alone.

    Not for tests that look at a home, start or stop its service, or list what all workspaces have.
    """
    return replace(shell, home=served)


def own_workspace(folder: Path) -> str:
    """A name for the workspace of the test that has this folder."""
    return f"w-{zlib.crc32(str(folder).encode()):08x}"


@pytest.fixture
def shell(tmp_path):
    """A shell in its own folder, with a home of its own, whose service ends with the test."""
    folder = tmp_path / "work"
    folder.mkdir()
    shell = Shell(folder, tmp_path / "home")
    yield shell
    service_process.stop(Home(shell.home))
