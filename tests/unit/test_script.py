"""What a step's script uses, here outside any job."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from azureml_wrapper import ScriptWrapper
from azureml_wrapper.errors import BadArgument, BadData, MissingInput
from azureml_wrapper.script import _to_table, parse

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "é"]})


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    TABLE.to_csv(tmp_path / "in" / "table.csv", index=False)
    return ["--input-folder", str(tmp_path / "in"), "--output-folder", str(tmp_path / "out")]


class Table:
    """A tabular dataset."""

    def __init__(self, frame):
        self.to_pandas_dataframe = lambda: frame


def test_dates_that_the_sdk_s_reader_has_multiplied_are_reported(caplog):
    caplog.set_level("INFO", "azureml_wrapper")
    right = pd.to_datetime(pd.Series(["2024-03-01", None]))
    assert _to_table(Table(pd.DataFrame({"day": right, "x": [1, 2]}))) is not None
    assert caplog.text == ""
    wrong = pd.Series(np.array([1709280000000], dtype="datetime64[s]"))
    _to_table(Table(pd.DataFrame({"day": wrong, "there": wrong.dt.tz_localize("UTC"), "x": [1]})))
    assert "day, there: these dates are after the year 9999" in caplog.text


def test_a_script_without_arguments_has_nothing():
    script = ScriptWrapper([])
    assert (script.config, script.get_config(), script.input_folder, script.output_folder) == ({}, {}, None, None)


def test_the_config_is_json():
    config = {"lr": 2e-5, "text": 'quo"te\nélan $HOME', "deep": {"list": [1, None, True]}}
    assert ScriptWrapper(["--config", json.dumps(config)]).get_config() == config


@pytest.mark.parametrize(("name", "text"), [("c.json", '{"lr": 1e-3}'), ("c.yml", "lr: 1e-3\n")])
def test_the_config_may_be_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert ScriptWrapper(["--config", str(tmp_path / name)]).config == {"lr": 1e-3}


def test_a_config_that_is_no_json_is_an_error():
    with pytest.raises(BadArgument, match="--config is neither"):
        ScriptWrapper(["--config", "{'lr': 1}"])


@pytest.mark.parametrize("number", ["-inf", "-Infinity", "-nan", "-1e5", "-.5"])
def test_a_negative_number_is_a_value(number):
    args = parse(["--x", number, "-i", "7"])
    assert (args.x, args.i, args.rest) == (number, "7", [])


def test_unknown_arguments_are_kept():
    args = parse(["x", "--test-data", "id", "--flag", "--n=-1", "--many", "1", "-2", "-q", "7", "--config", "{}"])
    assert (args.test_data, args.flag, args.n, args.many, args.q, args.rest) == (
        "id",
        True,
        "-1",
        ["1", "-2"],
        "7",
        ["x"],
    )
    assert args.config == "{}"


def test_an_argument_that_begins_like_a_known_one_is_another():
    args = parse(["--input", "a", "--input-folder-2", "b"])
    assert (args.input, args.input_folder_2, args.input_folder) == ("a", "b", None)


def test_arguments_come_from_the_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--input-folder", "/data"])
    assert ScriptWrapper().input_folder == "/data"


@pytest.mark.parametrize("name", ["table", "table.csv"])
def test_a_table_is_read_from_the_input_folder(folders, name):
    pd.testing.assert_frame_equal(ScriptWrapper(folders).get_csv_from_input_folder(name), TABLE)


def test_a_table_that_is_not_there_is_named_with_what_is(folders):
    with pytest.raises(MissingInput, match=r"tabel.csv not found in the input folder. Did you mean 'table.csv'"):
        ScriptWrapper(folders).get_csv_from_input_folder("tabel")


def test_an_empty_table_is_an_error(folders, tmp_path):
    (tmp_path / "in" / "empty.csv").touch()
    with pytest.raises(BadData, match="empty"):
        ScriptWrapper(folders).get_csv_from_input_folder("empty")


def test_a_first_step_has_no_input_folder():
    with pytest.raises(KeyError, match="no --input-folder"):
        ScriptWrapper([]).get_csv_from_input_folder("table")


def test_a_table_is_saved_in_the_output_folder(folders):
    script = ScriptWrapper(folders)
    file = script.save_csv_in_output_folder(TABLE, "sub/result")
    assert file.read_text(encoding="utf-8") == "a,b\n1,x\n2,é\n"
    with_index = script.save_csv_in_output_folder(TABLE, "raw.csv", index=True, header=False)
    assert with_index.read_text(encoding="utf-8") == "0,1,x\n1,2,é\n"


def test_a_last_step_has_no_output_folder():
    with pytest.raises(MissingInput, match="'outputs'"):
        ScriptWrapper([]).save_csv_in_output_folder(TABLE, "x")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x"])
def test_a_name_does_not_lead_out_of_the_folder(folders, name):
    with pytest.raises(BadData, match="leads out of the folder"):
        ScriptWrapper(folders).save_csv_in_output_folder(TABLE, name)


class TestOutsideAJob:
    """Datasets of a script that was started by hand."""

    def test_a_dataset_is_the_file_given_under_the_key_of_the_config(self, folders, tmp_path):
        argv = ["--config", '{"test_data": "sales"}', "--test-data", str(tmp_path / "in" / "table.csv")]
        pd.testing.assert_frame_equal(ScriptWrapper(argv).get_csv_from_config("test_data"), TABLE)

    def test_a_dataset_is_the_file_given_under_its_name(self, folders, tmp_path):
        argv = ["--config", '{"key": "sales"}', "--sales", str(tmp_path / "in" / "table.csv")]
        for key_or_name in ("key", "sales"):
            pd.testing.assert_frame_equal(ScriptWrapper(argv).get_csv_from_config(key_or_name), TABLE)

    def test_a_dataset_is_the_file_of_its_name_here(self, folders, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path / "in")
        pd.testing.assert_frame_equal(ScriptWrapper([]).get_csv_from_config("table"), TABLE)

    def test_a_dataset_that_is_nowhere_says_what_to_give(self):
        with pytest.raises(MissingInput, match=r"--new-data path\.csv"):
            ScriptWrapper([]).get_csv_from_config("new_data")

    def test_metrics_are_printed_and_complete_does_nothing(self, capsys):
        script = ScriptWrapper([])
        script.run.log("loss", 0.5)
        script.complete()
        assert "loss" in capsys.readouterr().out


def test_reading_arguments_imports_neither_the_sdk_nor_pydantic():
    code = (
        "import sys; from azureml_wrapper import ScriptWrapper; ScriptWrapper(['--config', '{}']);"
        "print([name for name in ('azureml.core', 'pydantic', 'pandas', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
