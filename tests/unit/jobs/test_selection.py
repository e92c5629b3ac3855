"""Which job folders a word means."""

from __future__ import annotations

import pytest

from azureml_wrapper.errors import NoSuchJob
from azureml_wrapper.jobs.record import ALL, RECORD, find, names_jobs, select

JOBS = (
    "output/20190802_test",
    "output/20190802_test2",
    "output/20190803_big_test",
    "output/deep/20190802_x",
    "output/été #1 100% 🐧",
    "output/[old]",
    "elsewhere/20190802",
)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in JOBS:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / RECORD).write_text("{}")
    # What lies in a job folder is the job's, also where it looks like a job folder.
    (tmp_path / "output/20190802_test/results/copy").mkdir(parents=True)
    (tmp_path / "output/20190802_test/results/copy" / RECORD).write_text("{}")
    (tmp_path / "output/20190802_no_job").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("output/20190802_test/", ["output/20190802_test"]),
        ("output/20190802_test", ["output/20190802_test"]),
        ("./output/20190802_test", ["output/20190802_test"]),
        ("output/20190802", ["output/20190802_test", "output/20190802_test2"]),
        ("output/2019080", ["output/20190802_test", "output/20190802_test2", "output/20190803_big_test"]),
        ("output/deep", ["output/deep/20190802_x"]),
        ("output/*_test*", ["output/20190802_test", "output/20190802_test2", "output/20190803_big_test"]),
        ("output/2019080[23]_test", ["output/20190802_test"]),
        ("output/*/20190802_?", ["output/deep/20190802_x"]),
        ("**/20190802*", [JOBS[6], JOBS[0], JOBS[1], JOBS[3]]),
        ("output/été #1 100% 🐧", ["output/été #1 100% 🐧"]),
        ("output/été", ["output/été #1 100% 🐧"]),
        ("output/[old]", ["output/[old]"]),
        (ALL, sorted(name for name in JOBS if name.startswith("output/"))),
    ],
)
def test_a_word_means(word, meant):
    assert [str(folder) for folder in select([word])] == meant


def test_an_absolute_path_stands_for_itself(project):
    assert find(str(project / "output/20190802_test")) == [project / "output/20190802_test"]
    assert len(find(f"{project}/output/2019*_test*")) == 3


def test_folders_that_two_words_name_come_once():
    assert len(select(["output/20190802_test", "output/20190802", "output/*_test"])) == 3


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("output/20190802_tset", r"No job folder is or matches 'output/20190802_tset'\. Did you mean 'output/2019"),
        ("outptu/20190802_test", "Did you mean 'output/20190802_test'"),
        ("output/*_tset*", "Did you mean 'output/20190802_test'"),
        ("nothing-like-it*", r"Found: output/20190802_test, .* and 1 more\."),
        ("output/20190802_no_job", "No job folder is or matches"),
    ],
)
def test_a_word_that_means_none_is_told_with_the_nearest(word, told):
    with pytest.raises(NoSuchJob, match=told):
        find(word)


def test_without_any_job_the_way_to_one_is_told(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(NoSuchJob, match=r"No job folders found in .*/empty/output\. `aml submit --output_dir"):
        find(ALL)
    with pytest.raises(NoSuchJob, match="nor any other here"):
        find("output/x")


@pytest.mark.parametrize(
    ("word", "is_of_jobs"),
    [
        (ALL, True),
        ("output/nowhere", True),
        ("nowhere*", True),
        ("elsewhere", True),
        ("me_1795240605_0d47609f", False),
        ("8f4a2f6e-0d6b-4f0a-9a0e-3d1f7b0c2a11", False),
    ],
)
def test_an_id_of_a_run_is_told_from_job_folders(word, is_of_jobs):
    assert names_jobs(word) is is_of_jobs
