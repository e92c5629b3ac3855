"""The state of the repository in which a job was submitted."""

from __future__ import annotations

import subprocess

import pytest

from azureml_wrapper.jobs.record import git_state, without_login


@pytest.fixture
def repository(tmp_path):
    def run(*words):
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    run("init", "-b", "main")
    (tmp_path / "a.py").write_text("1")
    run("add", ".")
    run("commit", "-m", "first")
    run("remote", "add", "origin", "https://me:secret@example.com/org/project.git")
    return tmp_path


def test_a_clean_state_has_commit_branch_and_repository(repository):
    found = git_state(repository)
    assert len(found.pop("commit")) == 40
    assert found == {"branch": "main", "repository": "https://example.com/org/project.git", "dirty": False}


def test_a_change_since_the_commit_is_told(repository):
    (repository / "b.py").write_text("2")
    assert git_state(repository)["dirty"] is True


def test_outside_of_a_repository_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == {}


def test_without_git_there_is_nothing(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_state(repository) == {}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://token@example.com/x", "https://example.com/x"),
        ("https://user:p@ss@example.com/x", "https://example.com/x"),
        ("https://example.com/x@y", "https://example.com/x@y"),
        ("git@example.com:org/x.git", "git@example.com:org/x.git"),
        (None, None),
    ],
)
def test_logins_do_not_stay_in_addresses(address, shown):
    assert without_login(address) == shown
