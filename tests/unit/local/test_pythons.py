"""Which Python an environment is built with, and where Pythons are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from azureml_wrapper.local.executor.pythons import (
    Python,
    choose_python,
    installed_pythons,
    is_python,
    older_pythons,
    own_python,
)

SILENT_UV = ("true",)


def python(version: str, source: str = "pyenv") -> Python:
    return Python(version=version, path=Path(f"/pythons/{version}"), source=source)


MACHINE = [python("3.11.7", "the service's own"), *map(python, ("3.13.0", "3.10.13", "3.9.18", "3.8.18", "3.8.10"))]


@pytest.mark.parametrize(
    "wanted",
    [
        *("3.9", "3.9.*", "3.9*", "=3.9", "==3.9", "==3.9.18", "3.9.18", "3.9.18=h955ad1f_0", "3.9 h955ad1f_0"),
        *("~=3.9.1", ">=3.9,<3.10", ">=3.6,<3.10", "3.9|3.8"),
    ],
)
def test_every_spelling_of_a_python_finds_it(wanted):
    chosen, why = choose_python(wanted, MACHINE)
    assert chosen.version == "3.9.18"
    assert why == f"Python 3.9.18 (pyenv: /pythons/3.9.18) is used, because Python {wanted} is requested."


@pytest.mark.parametrize(
    ("wanted", "version"),
    [("3.8.13", "3.8.10"), ("3.8.15", "3.8.18"), ("==3.8.14", "3.8.18"), ("3.10.18=x", "3.10.13")],
)
def test_the_nearest_patch_is_used_and_said(wanted, version):
    chosen, why = choose_python(wanted, MACHINE)
    assert chosen.version == version
    assert f"Python {wanted} is requested, and this is the nearest on this machine." in why


@pytest.mark.parametrize("wanted", ["3", ">=3.8", "3.11", "3.11.7"])
def test_the_services_own_comes_first_where_it_fits(wanted):
    assert choose_python(wanted, MACHINE)[0].version == "3.11.7"


@pytest.mark.parametrize(("wanted", "install"), [("3.7", "3.7"), ("3.7.16", "3.7"), (">=3.14", ">=3.14")])
def test_a_python_that_is_not_there_is_said_with_those_that_are(wanted, install):
    chosen, why = choose_python(wanted, MACHINE)
    assert chosen.version == "3.11.7"
    assert f"although Python {wanted} is requested" in why
    assert "this machine has 3.8.10, 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.13.0." in why
    assert f"`uv python install '{install}'`" in why


def test_older_pythons_are_the_newest_of_each_minor_version():
    assert [python.version for python in older_pythons(MACHINE)] == ["3.10.13", "3.9.18", "3.8.18"]


@pytest.mark.parametrize("wanted", ["nonsense", "", "3.x"])
def test_nonsense_is_no_python(wanted):
    assert not is_python(wanted, "3.11.4")


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (".pyenv/versions/3.9.18", "pyenv"),
        (".asdf/installs/python/3.9.18", "asdf"),
        (".local/share/mise/installs/python/3.9.18", "mise"),
        ("miniconda3/envs/old", "conda"),
        ("elsewhere/env", "conda"),
    ],
)
def test_pythons_are_found_where_people_install_them(tmp_path, place, source):
    path = fake_python(tmp_path / place / "bin" / "python", "3.9.18")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"{tmp_path}/elsewhere/env\n/nowhere\n")
    found = installed_pythons(SILENT_UV, {"HOME": str(tmp_path)})
    assert found[0] == own_python()
    assert Python(version="3.9.18", path=path, source=source) in found


@pytest.mark.parametrize(
    ("variable", "place"),
    [("PYENV_ROOT", "versions/3.9.18"), ("MAMBA_ROOT_PREFIX", "envs/old"), ("CONDA_PREFIX", ".")],
)
def test_folders_that_variables_name_are_searched(tmp_path, variable, place):
    fake_python(tmp_path / "root" / place / "bin" / "python", "3.9.18")
    found = installed_pythons(SILENT_UV, {"HOME": str(tmp_path), variable: str(tmp_path / "root")})
    assert "3.9.18" in {python.version for python in found}


def test_pythons_of_path_come_from_uv_and_shims_do_not_count(tmp_path):
    good = fake_python(tmp_path / "bin" / "python3.9", "3.9.18")
    shim = fake_python(tmp_path / "shims" / "python3.8", "3.8.18")
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho \'[{{"path": "{good}"}}, {{"path": "{shim}"}}]\'\n')
    uv.chmod(0o755)
    found = installed_pythons([str(uv)], {"HOME": str(tmp_path), "PATH": os.defpath})
    assert Python(version="3.9.18", path=good, source="PATH") in found
    assert shim not in {python.path for python in found}


def test_what_does_not_start_or_is_python_2_is_left_out(tmp_path):
    for name, content in (("2.7.18", "echo 2.7.18"), ("3.9.1", "exit 1")):
        fake_python(tmp_path / ".pyenv" / "versions" / name / "bin" / "python", content=content)
    (tmp_path / ".pyenv" / "versions" / "3.9.2" / "bin").mkdir(parents=True)
    (tmp_path / ".pyenv" / "versions" / "3.9.2" / "bin" / "python").symlink_to("/nowhere")
    found = installed_pythons(SILENT_UV, {"HOME": str(tmp_path)})
    assert not {python.version for python in found} & {"2.7.18", "3.9.1", "3.9.2"}


def test_the_services_own_is_this_interpreter():
    assert own_python().path == Path(sys.executable)
    assert sys.version.startswith(own_python().version)


def fake_python(path: Path, version: str = "", content: str = "") -> Path:
    """A program that reports a version as Python does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{content or f'echo {version}'}\n")
    path.chmod(0o755)
    return path
