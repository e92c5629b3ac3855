"""The folders of a project, on a laptop and in a job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from azureml_wrapper import file_paths

MODULE = Path(file_paths.__file__)
ASK = """
import os, sys
sys.path.insert(0, {module!r})
import file_paths as f
{before}
for path in (f.pipeline_path(), f.raw_path(), f.working_path("a", "b"), f.outputs_path("x.txt"), f.data_blobs_path()):
    print(path)
"""


@pytest.fixture
def ask(tmp_path):
    """Runs a script of the project, `pipeline/deep/script.py`, and returns the five paths relative to `tmp_path`."""

    def run(cwd="project", before="", **variables):
        script = tmp_path / "project" / "pipeline" / "deep" / "script.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(ASK.format(module=str(MODULE.parent), before=before))
        (tmp_path / cwd).mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=tmp_path / cwd,
            env=variables,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return [Path(line).relative_to(tmp_path.resolve()).as_posix() for line in done.stdout.splitlines()]

    return run


LAPTOP = [
    "project/pipeline",
    "project/data_blobs/raw",
    "project/data_blobs/working/a/b",
    "project/outputs/x.txt",
    "project/data_blobs",
]
JOB = [
    "project/pipeline",
    "project/pipeline/data_blobs/raw",
    "project/pipeline/data_blobs/working/a/b",
    "project/pipeline/outputs/x.txt",
    "project/pipeline/data_blobs",
]


@pytest.mark.parametrize("cwd", ["project", "project/pipeline/deep", "elsewhere"])
def test_on_a_laptop_the_script_s_own_place_tells_the_project(ask, cwd):
    assert ask(cwd) == LAPTOP


def test_the_folders_for_results_are_made(ask, tmp_path):
    ask()
    for name in ("data_blobs/raw", "data_blobs/working", "outputs"):
        assert (tmp_path / "project" / name).is_dir()


@pytest.mark.parametrize("before", ["", "os.chdir('/')"])
def test_in_a_job_everything_is_in_the_working_directory(ask, before):
    assert ask("project/pipeline", before, CLOUD_EXECUTOR_SCRIPT="deep/script.py") == JOB


def in_job(tmp_path, datasets, place):
    """The data that a job sees: name -> content."""
    code = f"""
import sys
sys.path.insert(0, {str(MODULE.parent)!r})
import file_paths as f
for path in sorted(f.data_blobs_path().glob("**/*")):
    if path.is_symlink():
        content = sorted(each.name for each in path.iterdir()) if path.is_dir() else "file"
        print(path.relative_to(f.data_blobs_path()), content)
f.working_path()
"""
    variables = {
        "CLOUD_EXECUTOR_SCRIPT": "s.py",
        "CLOUD_EXECUTOR_DATASETS": datasets,
        "required_datasets": str(place),
    }
    folder = tmp_path / "wd"
    folder.mkdir(exist_ok=True)
    (folder / "s.py").write_text(code)
    done = [
        subprocess.run(
            [sys.executable, "s.py"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        for _ in range(2)  # a second process of the same job
    ]
    return done[-1].stdout.splitlines()


def test_the_required_folder_of_a_job_is_where_it_is_on_the_laptop(tmp_path):
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt" / "x.npy").write_text("")
    assert in_job(tmp_path, "working/a/64x64/", tmp_path / "mnt") == ["working/a/64x64 ['x.npy']"]


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_required_file_is_there_whether_it_came_as_itself_or_in_a_folder(tmp_path, as_folder):
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt" / "x.zip").write_text("")
    place = tmp_path / "mnt" if as_folder else tmp_path / "mnt" / "x.zip"
    assert in_job(tmp_path, "raw/x.zip", place) == ["raw/x.zip file"]


def test_all_of_data_blobs_may_be_required(tmp_path):
    (tmp_path / "mnt" / "raw").mkdir(parents=True)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import file_paths; print(file_paths.raw_path())"
    variables = {
        "CLOUD_EXECUTOR_SCRIPT": "s",
        "CLOUD_EXECUTOR_DATASETS": "/",
        "required_datasets": str(tmp_path / "mnt"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(MODULE.parent)],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "mnt" / "raw")


def test_outside_a_project_it_is_said_what_is_missing(tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import file_paths; file_paths.raw_path()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(MODULE.parent)], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert "No folder 'pipeline' found" in done.stderr
