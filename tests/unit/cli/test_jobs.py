"""What the commands for jobs print and check."""

from __future__ import annotations

import json
from types import SimpleNamespace

import click
import pytest
from azure.core.exceptions import ServiceRequestError
from azureml.exceptions import UserErrorException

from azureml_wrapper.cli.work import job_folders as work
from azureml_wrapper.cli.work.runs import check_folder_options
from azureml_wrapper.cli.work.submit import _entry_script, _inside
from azureml_wrapper.errors import ScriptNotFound


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0.4, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90000, "25:00:00")]
)
def test_a_duration_is_a_clock(seconds, shown):
    assert work._clock(seconds) == shown


def test_a_long_line_is_cropped():
    assert work._cropped("x" * work.LINE) == "x" * work.LINE
    assert work._cropped("x" * 100) == "x" * (work.LINE - 1) + "…"


def test_one_problem_of_many_jobs_is_told_once(capsys):
    with pytest.raises(click.exceptions.Exit):
        work._exit_if_any({"output/a": "no answer", "output/b": "no answer", "output/c": "gone"})
    told = capsys.readouterr().err.splitlines()
    assert told == ["Error: output/a and 1 more: no answer", "Error: output/c: gone"]


def test_jobs_without_a_line_of_their_own_are_in_the_json(capsys):
    with pytest.raises(click.exceptions.Exit):
        work._show([{"job": "a", "run": "r"}], ("job",), {"a": "late", "b": "damaged"}, as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"job": "a", "run": "r"}, {"job": "b", "problem": "damaged"}]


def test_columns_that_are_empty_everywhere_are_left_out(capsys):
    work._show([{"job": "a", "note": ""}, {"job": "b", "note": ""}], ("job", "note"), {}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["job"], ["a"], ["b"]]


@pytest.mark.parametrize(("option", "told"), [("from_failed", "--from-failed"), ("no_wait", "--no-wait")])
def test_options_of_pipelines_are_refused_for_folders(option, told):
    given = {"from_failed": False, "no_wait": False}
    check_folder_options(**given)
    with pytest.raises(click.UsageError, match=f"{told} is for runs of pipelines"):
        check_folder_options(**{**given, option: True})


class TestProject:
    def test_the_entry_script_is_the_first_that_is_there(self, tmp_path):
        with pytest.raises(ScriptNotFound, match=r"neither aml_main\.py nor tools/azureml/aml_main\.py"):
            _entry_script(tmp_path)
        (tmp_path / "tools" / "azureml").mkdir(parents=True)
        (tmp_path / "tools" / "azureml" / "aml_main.py").write_text("")
        assert _entry_script(tmp_path) == "tools/azureml/aml_main.py"
        (tmp_path / "aml_main.py").write_text("")
        assert _entry_script(tmp_path) == "aml_main.py"

    def test_a_config_file_is_named_as_it_lies_in_the_folder_that_is_sent(self, tmp_path, monkeypatch):
        (tmp_path / "project" / "my configs").mkdir(parents=True)
        file = tmp_path / "project" / "my configs" / "é #1.yaml"
        file.write_text("")
        monkeypatch.chdir(tmp_path / "project" / "my configs")
        for given in (file, file.relative_to(tmp_path / "project" / "my configs")):
            assert _inside(tmp_path / "project", given) == "my configs/é #1.yaml"
        with pytest.raises(ScriptNotFound, match=r"is not in .*, the folder that is uploaded. Copy it there"):
            _inside(tmp_path / "other", file)
        with pytest.raises(ScriptNotFound, match=r"Config file not found: .*é #1\.yml\. Did you mean 'é #1\.yaml'"):
            _inside(tmp_path / "project", file.with_suffix(".yml"))


def test_what_the_sdk_raises_for_one_job_does_not_hide_the_others(monkeypatch, capsys):
    jobs = [SimpleNamespace(path=name) for name in ("output/a", "output/b", "output/c")]
    faults = {"output/a": UserErrorException("no such thing"), "output/b": ServiceRequestError("no route")}

    def look(job):
        if job.path in faults:
            raise faults[job.path]
        return {"job": job.path}

    monkeypatch.setattr(work, "select", list)
    monkeypatch.setattr(work, "_open", lambda _: (jobs, {}))
    monkeypatch.setattr(work, "_connected", lambda found, _: found)
    with pytest.raises(click.exceptions.Exit):
        work._on_each(["all"], look, ("job",), as_json=False)
    told = capsys.readouterr()
    assert told.out.split() == ["job", "output/c"]
    assert told.err.splitlines() == ["Error: output/a: no such thing", "Error: output/b: no route"]
