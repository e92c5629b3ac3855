"""A job's config, its script's arguments, and what stands in a command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from azureml_wrapper import JobWrapper, WorkspaceWrapper
from azureml_wrapper.cli.options import parse_overrides
from azureml_wrapper.cli.submit import submit
from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.errors import BadValue, ConfigError, FolderTaken, ScriptNotFound, SnapshotTooLarge, WrongType
from azureml_wrapper.jobs.occupancy import check_place
from azureml_wrapper.jobs.preparation import is_sent, protect
from azureml_wrapper.jobs.record import RECORD
from azureml_wrapper.jobs.script_run import output_path
from azureml_wrapper.jobs.submission import asked
from azureml_wrapper.runs.history_client import history_time
from azureml_wrapper.snapshots.script_folder import describe_size

FIELDS = {
    "ws_name": "w",
    "resource_group": "rg",
    "subscription_id": "local",
    "script_name": "main.py",
    "env_name": "e",
    "compute_name": "c",
}


def job(**fields):
    return JobWrapper.from_config({**FIELDS, **fields})


class TestArguments:
    def test_come_in_one_order_and_the_overrides_last(self):
        made = job(
            config_file="my file #1.yaml",
            parameters={"SOLVER.LR": 0.1, "NAME": "é b", "ON": True},
            arguments={"--tag": "x"},
            num_gpus=2,
            output_dir="output/a",
        )
        assert made.arguments == [
            *("--config_file", "my file #1.yaml"),
            *("--input_dir", "$AZUREML_DATAREFERENCE_job_input"),
            *("--output_dir", "$AZUREML_DATAREFERENCE_job_output"),
            *("--num_gpus", "2", "--tag", "x"),
            *("SOLVER.LR", "0.1", "NAME", "é b", "ON", "true"),
        ]

    def test_what_nobody_asked_for_is_left_out(self):
        assert job().arguments == ["--input_dir", "$AZUREML_DATAREFERENCE_job_input"]

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"parameters": {"A": "costs $x"}}, r"\$ before a name"),
            ({"parameters": {"--lr": 1}}, "is not a key"),
            ({"arguments": {"--output_dir": "x"}}, "is set by another key"),
            ({"input_dir": "../other"}, "below the datastore's root"),
            ({"num_gpus": -1}, "num_gpus"),
            ({"script_name": "../main.py"}, "must be inside"),
            ({"max_run_seconds": 0}, "max_run_seconds"),
            ({"outputdir": "x"}, "Did you mean 'output_dir'"),
        ],
    )
    def test_what_cannot_be_is_told(self, given, told):
        with pytest.raises(BadValue, match=told):
            job(**given)

    def test_a_wrong_type_is_told(self):
        with pytest.raises(WrongType, match="tags"):
            job(tags=["a"])

    def test_the_constructor_checks_as_a_config_does(self):
        with pytest.raises(ConfigError, match="env_name is missing"):
            JobWrapper("w", "rg", "local", "main.py", compute_name="c")

    def test_the_constructor_takes_what_a_config_has(self):
        parameters = inspect.signature(JobWrapper).parameters
        assert JobConfig.model_fields.keys() <= parameters.keys()
        connection = inspect.signature(WorkspaceWrapper).parameters.keys() - JobConfig.model_fields.keys()
        assert connection == parameters.keys() - JobConfig.model_fields.keys()

    def test_an_unknown_keyword_is_reported_with_the_class_that_was_called(self):
        with pytest.raises(TypeError, match=r"JobWrapper.__init__\(\) got an unexpected keyword argument 'wram'"):
            JobWrapper(**FIELDS, wram=True)


class TestOutput:
    @pytest.mark.parametrize(
        ("folder", "path"),
        [("output/a/", "output/a"), ("./output/a b", "output/a b"), ("/other/place", "output/place"), (".", None)],
    )
    def test_the_datastores_folder_is_called_as_the_job_folder(self, folder, path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        expected = path or f"output/{tmp_path.name}"
        assert output_path(JobConfig(**FIELDS, output_dir=folder)) == expected

    def test_a_folder_in_a_job_folder_or_around_one_is_refused(self, tmp_path):
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "b" / RECORD).write_text("{}")
        check_place(tmp_path / "a" / "b")
        check_place(tmp_path / "a" / "c")
        with pytest.raises(FolderTaken, match="is inside the job folder"):
            check_place(tmp_path / "a" / "b" / "c")
        with pytest.raises(FolderTaken, match=r"contains the job folder .*/a/b\."):
            check_place(tmp_path / "a")


class TestFolder:
    """What is sent, and what is not."""

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "main.py").write_text("1")
        (tmp_path / ".azureml").mkdir()
        (tmp_path / ".azureml" / "datastore.json").write_text("{}")
        return tmp_path

    def test_a_missing_script_and_a_missing_config_file_are_told(self, folder):
        with pytest.raises(ScriptNotFound, match=r"No script 'mian\.py'.*Did you mean 'main\.py'"):
            job(script_directory=folder, script_name="mian.py").check()
        with pytest.raises(ScriptNotFound, match=r"No file 'c\.yaml'"):
            job(script_directory=folder, config_file="c.yaml").check()

    def test_a_script_that_would_not_be_sent_is_told(self, folder):
        (folder / ".amlignore").write_bytes(b"*.yaml\r\n/main.py\r\n")
        with pytest.raises(ScriptNotFound, match=r"main\.py would not be uploaded: .*\.amlignore excludes it"):
            job(script_directory=folder).check()

    def test_amlignore_wins_over_gitignore(self, folder):
        (folder / "big.bin").write_bytes(b"x" * 2048)
        (folder / ".gitignore").write_text("big.bin\n.azureml\n")
        assert describe_size(folder).startswith("2 files")
        (folder / ".amlignore").write_text(".azureml\n")
        assert describe_size(folder).startswith("4 files")

    def test_the_heaviest_and_the_limits_are_told(self, folder, monkeypatch):
        (folder / "data").mkdir()
        (folder / "data" / "big.bin").write_bytes(b"x" * 3 * 2**20)
        told = describe_size(folder)
        assert told.startswith("3 files, 3.0 MB (limits of Azure ML: 2000 files, 300.0 MB); largest: data 3.0 MB, ")
        monkeypatch.setattr("azureml._restclient.snapshots_client.SNAPSHOT_MAX_SIZE_BYTES", 2**20)
        with pytest.raises(SnapshotTooLarge, match=r"has 3\.0 MB.*Largest: data 3\.0 MB"):
            job(script_directory=folder).check()

    def test_a_folder_without_any_list_gets_one(self, folder):
        told = protect(folder, [], folder / "runs" / "first")
        left_out = ".git .azureml __pycache__ .venv .env /runs/"
        assert told == f"Created .amlignore, which excludes from the upload: {left_out}\n"
        assert describe_size(folder).startswith("2 files")
        assert protect(folder, [], folder / "runs" / "first") == ""

    def test_a_key_that_would_be_sent_is_refused(self, folder):
        (folder / ".gitignore").write_text("*.pyc\n")
        told = r"datastore\.json has an account key .* Add the line \.azureml to .*ignore"
        with pytest.raises(BadValue, match=told):
            protect(folder, [folder / ".azureml" / "datastore.json"], folder / "output" / "a")
        (folder / ".gitignore").write_text(".azureml\n")
        assert protect(folder, [folder / ".azureml" / "datastore.json"], folder / "output" / "a") == ""

    def test_a_key_beside_the_scripts_is_not_sent_either(self, folder, monkeypatch):
        key = folder / "conf" / "store.json"
        key.parent.mkdir()
        key.write_text("{}")
        monkeypatch.chdir(key.parent)
        named = Path("..", "conf", "store.json")
        assert protect(folder, [named], folder / "output" / "a").endswith(" /output/ /conf/store.json\n")
        assert not is_sent(folder, key)
        (folder / ".amlignore").write_text("*.pyc\n")
        with pytest.raises(BadValue, match=r"Add the line /conf/store\.json to .*amlignore"):
            protect(folder, [named], folder / "output" / "a")

    def test_job_folders_that_would_be_sent_are_told(self, folder):
        (folder / ".amlignore").write_text(".azureml\n")
        (folder / "output" / "a").mkdir(parents=True)
        (folder / "output" / "a" / RECORD).write_text("{}")
        assert "includes 1 job folder(s). To exclude them, add the line /output/ to .amlignore" in protect(
            folder, [], folder / "output" / "b"
        )


class TestCommandLine:
    def test_pairs_become_overrides(self):
        assert parse_overrides(["SOLVER.IMS_PER_BATCH", "8", "LR", "-1e-5"]) == {
            "SOLVER.IMS_PER_BATCH": "8",
            "LR": "-1e-5",
        }

    def test_a_key_without_a_value_is_told(self):
        with pytest.raises(click.UsageError, match="KEY 'LR' has no VALUE"):
            parse_overrides(["A", "1", "LR"])

    def test_an_option_that_nobody_knows_is_not_taken_for_a_key(self):
        told = r"Unknown option --exp_nme\. Did you mean '--exp_name'"
        with click.Context(submit), pytest.raises(click.UsageError, match=told):
            parse_overrides(["--exp_nme", "me"])


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2022-10-05T18:03:07.340605Z", 340605),
        ("2022-10-05T18:03:07.34835Z", 348350),
        ("2022-10-05T18:03:07Z", 0),
        ("2022-10-05T18:03:07.3406051+00:00", 340605),
    ],
)
def test_times_are_read_with_as_many_digits_as_they_have(text, microseconds):
    found = history_time(text)
    assert (found.second, found.microsecond, found.utcoffset().total_seconds()) == (7, microseconds, 0)


def test_no_time_is_none():
    assert history_time(None) is None


def test_a_config_file_says_everything_and_its_folder_is_sent(tmp_path):
    (tmp_path / "main.py").write_text("1")
    config = tmp_path / "job.yml"
    config.write_text("\r\n".join(f"{name}: {value}" for name, value in FIELDS.items()) + "\r\nnum_gpus: 2\r\n")
    made = JobWrapper.from_config(config)
    assert (made.script_directory, made.output_dir, made.workspace.scope.name) == (tmp_path, None, "w")
    made.check()
    assert WorkspaceWrapper.from_config(config).scope == made.workspace.scope


def test_the_parameters_of_a_record_are_kept_also_if_an_earlier_version_called_them_overrides(tmp_path):
    for name in ("parameters", "overrides"):
        held = SimpleNamespace(
            path=tmp_path, record=SimpleNamespace(asked={**FIELDS, name: {"LR": 0.1, "KEEP": "x"}})
        )
        assert asked(held, {"LR": 0.2}).parameters == {"LR": 0.2, "KEEP": "x"}
