"""What a Python below `aml local exec` does when its SDK is too old: it stops before the SDK can ask for a token."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from azureml_wrapper.local import old_clients
from azureml_wrapper.local.home import Home, write_sitecustomize


@pytest.fixture
def folder(tmp_path):
    """The folder that `aml local exec` puts into PYTHONPATH."""
    (tmp_path / "home").mkdir()
    return write_sitecustomize(Home(tmp_path / "home"), Path(old_clients.__file__).read_bytes())


@pytest.fixture
def python(folder, tmp_path):
    """Runs code in a Python that finds modules in `tmp_path/modules`, after what is to be tested."""

    variables = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{tmp_path / 'modules'}"}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def install(tmp_path):
    """Puts a package with the name of the SDK and a version into `tmp_path/modules`."""

    def put(version: str, metadata: str = "azureml_core-{}.dist-info") -> None:
        package = tmp_path / "modules" / "azureml"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "core.py").write_text("print('imported')")
        (tmp_path / "modules" / metadata.format(version)).mkdir()

    return put


@pytest.mark.parametrize("version", ["1.39.0.post1", "1.0.85", "0.1.50"])
@pytest.mark.parametrize("metadata", ["azureml_core-{}.dist-info", "azureml_core-{}-py3.7.egg-info"])
def test_an_old_sdk_stops_the_program_with_one_sentence(python, install, version, metadata):
    install(version, metadata)
    done = python("print('before'); import azureml.core")
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert done.stderr == old_clients.refusal(version) + "\n"
    assert "requires azureml-core>=1.40" in done.stderr
    assert f"has {version}" in done.stderr


@pytest.mark.parametrize("version", ["1.40.0", "1.62.0.post4", "2.0", "0+of-my-own"])
def test_other_versions_are_imported(python, install, version):
    install(version)
    assert python("import azureml.core").stdout == "imported\n"


def test_programs_without_the_sdk_see_nothing_of_it(python, folder):
    done = python("import sys; print(sys.path); import json")
    assert done.returncode == 0, done.stderr
    assert str(folder) not in done.stdout


def test_a_sitecustomize_of_the_users_own_runs(python, folder, tmp_path):
    (tmp_path / "modules").mkdir()
    own = tmp_path / "modules" / "sitecustomize.py"
    own.write_text("print('mine')")
    done = python("import sitecustomize; print(sitecustomize.__file__)")
    assert done.stdout.splitlines() == ["mine", str(own)], done.stderr


def test_an_error_in_it_is_reported_as_usual(python, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text("import nothing_of_the_kind")
    done = python("print('ran')")
    assert done.stdout == "ran\n"
    assert "No module named 'nothing_of_the_kind'" in done.stderr


def test_a_newer_wrapper_replaces_the_file(folder):
    home = Home(folder.parent)
    write_sitecustomize(home, b"x = 1\n")
    assert (folder / "sitecustomize.py").read_text() == "x = 1\n"
