"""Reuse: when two recipes are one, and how a difference is told. Each kind of change has its words."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from azureml_wrapper.local.app import build_context
from azureml_wrapper.local.domain.jobs import Job, JobInput, Mode, Script
from azureml_wrapper.local.domain.reuse import (
    CHANGES_SHOWN,
    FILES_LISTED,
    TEXT_SHOWN,
    Recipe,
    changes,
    files_of,
    flat,
    labelled,
    outputs_problem,
)
from azureml_wrapper.local.executor.inputs import InputStager
from azureml_wrapper.local.executor.reuse import Recipes
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.results import MOST_CANDIDATES, Result, ResultStore
from tests.work import statements

CONDA = {"channels": ["conda-forge"], "dependencies": ["python=3.10", {"pip": ["pandas==1.5", "numpy"]}]}
DATA = {
    "mode": "mount",
    "path_on_compute": None,
    "variable": "penguins",
    "dataset": "id-1",
    "datastore": None,
    "path": "",
    "made_by": None,
    "files": files_of([("a.csv", "1"), ("b.csv", "2")]),
}
RECIPE = Recipe(
    step="train",
    snapshot_id="s1",
    code="c1",
    script="train.py",
    arguments=["--lr", "2e-5", "--config", '{"rows": 5, "nested": {"deep": 1}}', "data"],
    parameters={"epochs": "3"},
    environment={"python": {"condaDependencies": CONDA}, "docker": {"baseImage": "ubuntu"}},
    variables={"COLOUR": "blue", "API_KEY": "hush-1"},
    settings={"compute": "cpu", "NodeCount": "1"},
    inputs={"penguins": DATA, "words": {**DATA, "made_by": "run-1"}},
    outputs={"out": {"mode": "mount", "path": "dataset/out"}},
)


def data(**changed):
    return {**RECIPE.inputs, "penguins": {**DATA, **changed}}


def arguments(*given):
    return {"arguments": list(given)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"script": "fit.py"}, "the script changed (train.py → fit.py)"),
        (arguments("--lr", "1e-4", *RECIPE.arguments[2:]), "arguments changed (lr 2e-5 → 1e-4)"),
        (
            arguments("--lr", "2e-5", "--config", '{"rows": 6, "nested": {"deep": 1}}', "data"),
            "arguments changed (config.rows 5 → 6)",
        ),
        (
            arguments("--lr", "2e-5", "--config", '{"rows": 5, "nested": {"deep": 2}}', "data"),
            "arguments changed (config.nested.deep 1 → 2)",
        ),
        (arguments(*RECIPE.arguments, "--fast"), "arguments changed (fast nothing → set)"),
        (arguments(*RECIPE.arguments[:-1], "-1.5"), "arguments changed (argument 5 data → -1.5)"),
        (
            arguments("data", *RECIPE.arguments[:-1]),
            "arguments changed (argument 5 data → nothing, argument 1 nothing → data)",
        ),
        (
            arguments("--config", RECIPE.arguments[3], "--lr", "2e-5", "data"),
            "arguments changed (their order or form)",
        ),
        ({"parameters": {"epochs": "4"}}, "parameters changed (epochs 3 → 4)"),
        ({"parameters": {}}, "parameters changed (epochs 3 → nothing)"),
        (
            {"environment": {**RECIPE.environment, "docker": {"baseImage": "debian"}}},
            "the environment changed (baseImage ubuntu → debian)",
        ),
        ({"variables": {**RECIPE.variables, "COLOUR": "red"}}, "environment variables changed (COLOUR blue → red)"),
        (
            {"variables": {**RECIPE.variables, "API_KEY": "hush-2"}},
            "environment variables changed (API_KEY (not shown))",
        ),
        ({"settings": {"compute": "gpu", "NodeCount": "1"}}, "settings changed (compute cpu → gpu)"),
        (
            {"outputs": {"out": {"mode": "upload", "path": "dataset/out"}}},
            "output settings changed (out.mode mount → upload)",
        ),
        ({"inputs": data(mode="download")}, "inputs changed (penguins mode mount → download)"),
        ({"inputs": {"penguins": DATA}}, "inputs changed (words is gone)"),
        ({"inputs": {**RECIPE.inputs, "more": DATA}}, "inputs changed (more is new)"),
        ({"inputs": data(dataset="id-2")}, "input data changed (penguins: dataset id-1 → id-2)"),
        ({"inputs": data(path="other")}, "input data changed (penguins: path nothing → other)"),
        (
            {"inputs": data(files=files_of([("a.csv", "9"), ("b.csv", "2")]))},
            "input data changed (penguins: file a.csv)",
        ),
        (
            {"inputs": data(files=files_of([("b.csv", "2"), ("c.csv", "3")]))},
            "input data changed (penguins: file c.csv is new, penguins: file a.csv is gone)",
        ),
        (
            {"inputs": {**RECIPE.inputs, "words": {**DATA, "made_by": "run-2"}}},
            "input data changed (words was made by run run-1, now by run run-2)",
        ),
        ({"inputs": data(made_by="run-2")}, "input data changed (penguins was made by no step, now by run run-2)"),
    ],
)
def test_each_kind_of_change_is_told_and_gives_another_key(changed, told):
    now = replace(RECIPE, **changed)
    assert changes(RECIPE, now) == [told]
    assert now.key != RECIPE.key


def test_every_part_of_a_recipe_counts():
    for part in fields(Recipe):
        other = replace(RECIPE, **{part.name: ["other"]})
        assert (other.key == RECIPE.key) == (part.name == "snapshot_id"), part.name


def test_equal_recipes_have_equal_keys_whatever_the_order_of_their_parts():
    turned = dict(reversed(RECIPE.variables.items()))
    assert replace(RECIPE, variables=turned, snapshot_id="s2").key == RECIPE.key
    assert changes(RECIPE, replace(RECIPE, snapshot_id="s2")) == []


def test_a_changed_script_folder_is_told_by_its_files():
    before = {"train.py": "1", "old.py": "1", "same.py": "1"}
    now = {"train.py": "2", "new.py": "1", "same.py": "1"}
    told = changes(RECIPE, replace(RECIPE, code="c2"), (before, now))
    assert told == ["the script folder changed (train.py, new.py is new, old.py is gone)"]


def test_a_script_folder_that_is_not_there_any_more_is_told_too():
    assert changes(RECIPE, replace(RECIPE, code="c2")) == ["the script folder changed (its files)"]


def test_packages_are_told_one_by_one():
    conda = {**CONDA, "dependencies": ["python=3.10", {"pip": ["pandas==2.2", "numpy"]}]}
    told = changes(
        RECIPE, replace(RECIPE, environment={**RECIPE.environment, "python": {"condaDependencies": conda}})
    )
    assert told == ["the environment changed (pip pandas==1.5 → pandas==2.2)"]


def test_a_package_that_is_added_is_told():
    conda = {**CONDA, "dependencies": ["python=3.10", {"pip": ["pandas==1.5", "numpy", "scipy"]}]}
    told = changes(
        RECIPE, replace(RECIPE, environment={**RECIPE.environment, "python": {"condaDependencies": conda}})
    )
    assert told == ["the environment changed (pip nothing → scipy)"]


def test_several_kinds_of_change_are_all_told():
    told = changes(RECIPE, replace(RECIPE, script="b.py", parameters={"epochs": "9"}))
    assert told == ["the script changed (train.py → b.py)", "parameters changed (epochs 3 → 9)"]


def test_of_many_changes_the_first_are_told():
    before = replace(RECIPE, parameters={f"p{n}": "1" for n in range(CHANGES_SHOWN + 2)})
    now = replace(RECIPE, parameters={f"p{n}": "2" for n in range(CHANGES_SHOWN + 2)})
    (told,) = changes(before, now)
    assert told.count("→") == CHANGES_SHOWN
    assert told.endswith(", and 2 more)")


def test_a_long_value_is_cut():
    (told,) = changes(RECIPE, replace(RECIPE, parameters={"epochs": "x" * 1000}))
    assert told == f"parameters changed (epochs 3 → {'x' * (TEXT_SHOWN - 1)}…)"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["--password", "one"], ["--password", "two"]),
        (["--config", '{"db_password": "one"}'], ["--config", '{"db_password": "two"}']),
        (["--url", "https://x?sig=one"], ["--url", "https://x?sig=two"]),
        (["--token", "one"], ["--token", "two"]),
    ],
)
def test_secrets_are_not_told(before, now):
    (told,) = changes(replace(RECIPE, arguments=before), replace(RECIPE, arguments=now))
    assert "(not shown)" in told
    assert "one" not in told
    assert "two" not in told


def test_the_number_of_tokens_is_no_secret():
    before, now = (replace(RECIPE, arguments=["--max-tokens", value]) for value in ("5", "6"))
    assert changes(before, now) == ["arguments changed (max-tokens 5 → 6)"]


def test_arguments_are_labelled_by_their_options():
    assert labelled(["a", "--x", "1", "-f", "--y", "-2", "b"]) == {
        "argument 1": "a",
        "x": "1",
        "f": "set",
        "y": "-2",
        "argument 7": "b",
    }


def test_an_option_that_is_given_twice_has_two_labels():
    assert labelled(["--x", "1", "--x", "2"]) == {"x": "1", "x #2": "2"}


def test_leaves_of_lists_stay_together():
    assert flat({"a": [1, 2], "b": [{"c": 1}, {"c": 2}]}) == {"a": (1, 2), "b": (), "b[0].c": 1, "b[1].c": 2}


def test_many_files_are_not_listed_but_a_change_is_seen():
    before = [(f"f{n}", "1") for n in range(FILES_LISTED + 1)]
    first, second = files_of(before), files_of([*before[:-1], ("last", "2")])
    assert (first["count"], first["listed"]) == (FILES_LISTED + 1, None)
    told = changes(replace(RECIPE, inputs=data(files=first)), replace(RECIPE, inputs=data(files=second)))
    assert told == [f"input data changed (penguins: {FILES_LISTED + 1} files → {FILES_LISTED + 1} files)"]


class TestOutputs:
    made = {"out": files_of([("a", "1"), ("b", "2")])}

    def test_those_that_are_as_they_were_can_be_taken(self):
        assert outputs_problem("r", self.made, self.made) is None

    def test_no_outputs_are_no_problem(self):
        assert outputs_problem("r", {}, {}) is None

    @pytest.mark.parametrize(
        ("left", "told"),
        [
            ([], "deleted (out: file a is gone, file b is gone)"),
            ([("a", "1")], "deleted (out: file b is gone)"),
            ([("a", "1"), ("c", "2")], "deleted (out: file c is new, file b is gone)"),
            ([("a", "1"), ("b", "3")], "changed since (out: file b)"),
            ([("a", "1"), ("b", "2"), ("c", "1")], "changed since (out: file c is new)"),
        ],
    )
    def test_others_are_told(self, left, told):
        assert outputs_problem("r", self.made, {"out": files_of(left)}) == f"outputs of run r were {told}"


class TestResults:
    @pytest.fixture
    def results(self):
        return ResultStore(Database(":memory:"))

    def add(self, results, run_id, recipe=RECIPE, *, workspace="w", is_reusable=True):
        result = Result(run_id=run_id, step="train", recipe=recipe, outputs={"out": files_of([("a", "1")])})
        results.add(workspace, result, is_reusable=is_reusable)
        return result

    def test_a_result_comes_back_as_it_was(self, results):
        result = self.add(results, "r1")
        assert results.by_key("w", RECIPE.key) == [result]
        assert results.latest("w", "train") == result

    def test_the_newest_come_first_and_not_all_of_them(self, results):
        for number in range(MOST_CANDIDATES + 2):
            self.add(results, f"r{number}")
        found = [result.run_id for result in results.by_key("w", RECIPE.key)]
        assert found == [f"r{number}" for number in range(MOST_CANDIDATES + 1, 1, -1)]

    def test_what_is_not_reusable_is_only_compared_with(self, results):
        self.add(results, "r1", is_reusable=False)
        self.add(results, "r2", recipe=None)
        assert results.by_key("w", RECIPE.key) == []
        assert results.latest("w", "train").run_id == "r2"

    def test_workspaces_steps_and_keys_do_not_mix(self, results):
        self.add(results, "r1")
        assert results.by_key("other", RECIPE.key) == []
        assert results.by_key("w", "other") == []
        assert results.latest("w", "other") is None

    def test_both_ways_to_look_use_an_index(self, results):
        plan = "EXPLAIN QUERY PLAN SELECT * FROM step_results WHERE workspace = ? AND"
        for sql in (f"{plan} key = ? ORDER BY sequence", f"{plan} step = ? ORDER BY sequence"):
            (row,) = results._database.all(sql, ("w", "x"))
            assert "USING INDEX step_results_" in row["detail"]


class TestData:
    """The files that a job reads, as its recipe holds them."""

    @pytest.fixture
    def context(self, tmp_path):
        home = Home(tmp_path / "home")
        home.create()
        return build_context(home, 1)

    @pytest.fixture
    def workspace(self, context):
        return context.workspaces.get("local", "local", "local")

    @pytest.fixture
    def folder(self, context, workspace):
        folder = context.datastore_folder(workspace.workspace_id, "workspaceblobstore", "data")
        (folder / "a.csv").write_text("1")
        (folder / "sub").mkdir()
        (folder / "sub" / "b.csv").write_text("2")
        return folder

    def item(self, context, workspace, path="data"):
        saved = context.datasets.save_folder(workspace.workspace_id, "workspaceblobstore", path)
        return JobInput(name="in", mode=Mode.MOUNT, variable="in", dataset_id=saved.saved_id)

    def inputs(self, context, workspace, path="data"):
        items = (self.item(context, workspace, path),)
        job = Job(
            workspace_id=workspace.workspace_id,
            run_id="r",
            target="cpu",
            snapshot_id=None,
            task=Script(path="s.py"),
            inputs=items,
        )
        recipes = Recipes(context, None)
        return lambda: recipes.inputs(job, {})["in"]["files"]

    @pytest.mark.parametrize(
        ("path", "names"),
        [
            ("data", ["a.csv", "sub/b.csv"]),
            ("data/*.csv", ["a.csv"]),
            ("data/**/b.csv", ["sub/b.csv"]),
            ("data/a.csv", ["data/a.csv"]),
            ("data/none", []),
        ],
    )
    def test_they_have_names_below_the_folder(self, context, workspace, folder, path, names):
        assert list(self.inputs(context, workspace, path)()["listed"]) == names

    def test_they_are_read_without_the_database(self, context, workspace, folder):
        look = self.inputs(context, workspace)
        before = look()
        assert statements(context.database, look) == []
        (folder / "sub" / "b.csv").write_text("other")
        assert look() != before

    def test_a_folder_that_a_client_has_marked_is_a_folder(self, context, workspace, folder):
        """Clients of Data Lake Storage mark folders with an empty blob."""
        found = context.datastores.get(workspace.workspace_id, "workspaceblobstore")
        context.blobs.make_marked_folder(found.account, found.container, "data", {"hdi_isfolder": "true"})
        look = self.inputs(context, workspace)
        before = look()
        assert list(before["listed"]) == ["a.csv", "sub/b.csv"]
        (folder / "a.csv").write_text("other")
        assert look() != before
        stager = InputStager(context, workspace.workspace_id, folder.parent / "in", folder.parent / "wd")
        assert stager.stage(self.item(context, workspace)).value == str(folder)
