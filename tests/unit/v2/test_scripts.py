"""What a script uses of SDK v1, and what replaces it."""

from __future__ import annotations

import pytest

from azureml_wrapper.v2.export.scripts import inspect, packages, read

HEAD = "import azureml.core as core\nfrom azureml.core import Dataset, Run\nrun = Run.get_context()\n"


def uses(folder, line):
    file = folder / "script.py"
    file.write_text(HEAD + line + "\n")
    return [(use.line, use.what, use.instead) for use in read(file).uses if use.line > 3]


@pytest.mark.parametrize(
    ("line", "what", "instead"),
    [
        ("run.log('a', 1)", "run.log(…)", "mlflow.log_metric"),
        ("core.Run.get_context().log_row('a', x=1)", "core.Run.get_context().log_row(…)", "mlflow.log_metrics"),
        ("run.parent.log('a', 1)", "run.parent.log(…)", "MlflowClient().log_metric(parent_run_id"),
        ("x = run.input_datasets['a']", "run.input_datasets['a']", "the argument that holds"),
        ("run.input_datasets['a'].to_pandas_dataframe()", "run.input_datasets['a'].to_pandas_dataframe()", "mltable"),
        ("ws = run.experiment.workspace", "run.experiment.workspace", "MLClient"),
        ("run.upload_file('a', 'b')", "run.upload_file(…)", "mlflow.log_artifact"),
        ("run.get_secret('a')", "run.get_secret(…)", "SecretClient"),
        ("run.complete()", "run.complete()", "nothing"),
    ],
)
def test_each_use_is_told_with_its_line_and_what_replaces_it(tmp_path, line, what, instead):
    ((number, found, text),) = uses(tmp_path, line)
    assert (number, found) == (4, what)
    assert instead in text


def test_what_stands_in_brackets_is_looked_at_too(tmp_path):
    found = uses(tmp_path, "run.log(run.id, Dataset.get_by_name(1, 'a'))")
    assert [what for _, what, _ in found] == ["Dataset.get_by_name(…)", "run.id", "run.log(…)"]


def test_tables_and_plain_values_are_nothing_of_azure_ml_s(tmp_path):
    line = "table = run.input_datasets['a'].to_pandas_dataframe()\ntable.pop('x').sum()"
    assert [number for number, _, _ in uses(tmp_path, line)] == [4]


def test_the_script_wrapper_s_run_is_the_run(tmp_path):
    line = "from azureml_wrapper import ScriptWrapper as S\ns = S()\ns.run.log('a', 1)\ns.get_config()['b'].c"
    found = {what: text for _, what, text in uses(tmp_path, line)}
    assert "mlflow.log_metric" in found["s.run.log(…)"]
    assert "s.get_config()" in found


def test_a_script_without_azure_ml_has_no_uses(tmp_path):
    (tmp_path / "a.py").write_text("import pandas\nrun = 1\nrun.log\n")
    assert read(tmp_path / "a.py").uses == ()


def test_a_script_that_cannot_be_read_is_told_of(tmp_path):
    (tmp_path / "a.py").write_text("def (:\n")
    assert "Python cannot parse it" in read(tmp_path / "a.py").problem


def test_modules_of_the_folder_are_followed_and_are_no_packages(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "deep.py").write_text("import sklearn\nimport helper\n")
    (tmp_path / "helper.py").write_text("import os, PIL, azureml.core\n")
    (tmp_path / "main.py").write_text("from pack.deep import x\nimport json\n")
    found = inspect(tmp_path, "main.py")
    assert {script.file.name for script in found} == {"main.py", "__init__.py", "deep.py", "helper.py"}
    assert packages(found, tmp_path) == ["azureml-defaults", "pillow", "scikit-learn"]
