"""Reuse through the SDK: what is reused, what is shown then, and everything that makes a step run again."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import pytest
import requests
from azureml.core import Dataset, Environment, RunConfiguration
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import PipelineParameter, StepRun

from tests.waiting import until
from tests.wire.pipelines.scripts import APPEND, FAIL, PASS, SHOW, SLEEP, WRITE, step_of

pytestmark = pytest.mark.slow

# Its first argument is a file of this machine, to which each process adds a line.
COUNT = """
    import pathlib, sys
    with open(sys.argv[1], "a") as file:
        file.write("ran\\n")
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2], "words.txt").write_text("hello")
"""
MEASURE = """
    import pathlib
    from azureml.core import Run
    run = Run.get_context()
    run.log("accuracy", 0.75)
    run.log_list("loss", [2.0, 1.0])
    pathlib.Path("outputs", "model.txt").write_text("a model")
"""
READ = """
    import pathlib, sys
    place = pathlib.Path(sys.argv[1])
    print("READ", (place / "a.csv" if place.is_dir() else place).read_text())
"""
# Changes what it reads, as somebody else might do meanwhile.
SPOIL = """
    import pathlib, sys
    print(pathlib.Path(sys.argv[1], "a.csv").read_text())
    with open(sys.argv[2], "w") as file:
        file.write("spoilt")
"""


def await_sleep(run):
    until(lambda: any("asleep" in step.get_stdout_log() for step in run.get_steps()))


def reused(run, name: str) -> str | None:
    """The id of the run that a step reuses."""
    return step_of(run, name).get_properties().get("azureml.reusedrunid")


def reason(run, name: str) -> str:
    """Why a step was not reused, from what the service writes into its log."""
    start = "[local] Not reused: "
    (line,) = [line for line in step_of(run, name).get_stdout_log().splitlines() if line.startswith(start)]
    return line.removeprefix(start)


@pytest.fixture
def make(make):
    """Steps that may be reused."""
    return partial(make, allow_reuse=True)


@pytest.fixture
def name(unique):
    """Of a step that no other test has, so that nothing of theirs is reused."""
    return unique("step")


@pytest.fixture
def put(ws, tmp_path):
    """Writes a file of the default datastore."""

    def write(path: str, text: str):
        folder, _, file = path.rpartition("/")
        (tmp_path / file).write_text(text)
        ws.get_default_datastore().upload_files(
            [str(tmp_path / file)], target_path=folder, overwrite=True, show_progress=False
        )

    return write


def settings(cluster, **variables) -> RunConfiguration:
    config = RunConfiguration()
    config.target, config.environment = cluster, Environment("mine")
    config.environment.python.user_managed_dependencies = True
    config.environment_variables = variables
    return config


class TestReused:
    @pytest.mark.local_only
    def test_nothing_runs_and_the_outputs_are_those_of_the_first_run(self, complete, make, name, tmp_path):
        marks = tmp_path / "marks"

        def steps():
            made, end = OutputFileDatasetConfig("made"), OutputFileDatasetConfig("end")
            first = make(COUNT, name, [str(marks), made])
            return [first, make(APPEND, f"{name}-2", [made.as_input("words"), end, "b"])]

        first, second, third = (complete(steps()) for _ in range(3))
        assert marks.read_text().splitlines() == ["ran"]
        for step in (name, f"{name}-2"):
            assert (reused(first, step), reused(second, step)) == (None, step_of(first, step).id)
            # Not that of the second run, which has made nothing.
            assert reused(third, step) == step_of(first, step).id
        data = [step_of(run, f"{name}-2").get_output_data("end") for run in (first, third)]
        assert data[0].path_on_datastore == data[1].path_on_datastore
        data[1].download(str(tmp_path / "down"), show_progress=False)
        (file,) = (tmp_path / "down").rglob("words.txt")
        assert file.read_text() == "hello and b"

    def test_the_run_says_of_which_run_it_has_its_outputs(self, complete, make, name):
        first, second = complete([make(PASS, name)]), complete([make(PASS, name)])
        original, step = step_of(first, name), step_of(second, name)
        assert step.id != original.id
        node = original.get_properties()["azureml.nodeid"]
        expected = {
            "azureml.isreused": "true",
            "azureml.reusedrunid": original.id,
            "azureml.reusednodeid": node,
            "azureml.reusedpipeline": first.id,
            "azureml.reusedpipelinerunid": first.id,
            "azureml.rootpipelinerunid": first.id,
            "azureml.pipelinerunid": second.id,
        }
        properties = step.get_properties()
        assert {key: properties.get(key) for key in expected} == expected
        (seen,) = second.get_steps()
        assert isinstance(seen, StepRun)
        assert (seen._is_reused, seen._reused_run_id) == (True, original.id)
        assert (seen._reused_node_id, seen._reused_pipeline_run_id) == (node, first.id)

    def test_it_is_finished_at_once(self, complete, make, name):
        complete([make(PASS, name)])
        run = complete([make(PASS, name)])
        step = step_of(run, name)
        details = step.get_details()
        assert (step.get_status(), details["status"]) == ("Finished", "Completed")
        start, created, end = (
            datetime.fromisoformat(text.replace("Z", "+00:00"))
            for text in (details["startTimeUtc"], step._run_dto["created_utc"], details["endTimeUtc"])
        )
        assert start == created <= end
        assert step.wait_for_completion(show_output=False) == "Finished"

    def test_the_state_of_the_node_tells_of_the_earlier_run(self, complete, make, name):
        first, second = complete([make(PASS, name)]), complete([make(PASS, name)])
        caller = second._pipeline_run_provider._service_caller
        (before,) = caller.get_all_nodes_in_level_status_async(first.id).values()
        (status,) = caller.get_all_nodes_in_level_status_async(second.id).values()
        assert before.reuse_info is None
        assert status.status_code == "Finished"
        assert (status.reuse_info.run_id, status.reuse_info.experiment_id) == (step_of(first, name).id, first.id)
        assert status.reuse_info.node_end_time >= status.reuse_info.node_start_time

    def test_it_shows_metrics_files_and_log_of_the_earlier_run(self, complete, make, name, tmp_path):
        first, second = complete([make(MEASURE, name)]), complete([make(MEASURE, name)])
        original, step = step_of(first, name), step_of(second, name)
        assert step.get_metrics() == original.get_metrics() == {"accuracy": 0.75, "loss": [2.0, 1.0]}
        assert step.get_file_names() == original.get_file_names()
        step.download_file("outputs/model.txt", str(tmp_path / "model.txt"))
        assert (tmp_path / "model.txt").read_text() == "a model"
        log = step.get_stdout_log()
        assert log.startswith(f"[local] Reused from run {original.id}")
        assert log.endswith(original.get_stdout_log())
        assert f"Reused from run {original.id}" in step.get_job_log()
        assert "Starting run" not in step.get_job_log()

    @pytest.mark.local_only
    def test_the_page_shows_it(self, complete, make, name):
        first, second = complete([make(MEASURE, name)]), complete([make(MEASURE, name)])
        original, step = step_of(first, name), step_of(second, name)
        assert ">reused</span>" in requests.get(second.get_portal_url(), timeout=30).text
        assert ">reused</span>" not in requests.get(first.get_portal_url(), timeout=30).text
        page = requests.get(step.get_portal_url(), timeout=30).text
        assert "Reused from" in page
        assert f">{original.id}</a>" in page
        assert "accuracy" in page

    def test_datasets_of_the_earlier_run_are_its_own(self, ws, complete, make, name):
        for _ in range(2):
            made = OutputFileDatasetConfig("made").register_on_complete(name)
            run = complete([make(WRITE, name, [made, "a"])])
        (lineage,) = step_of(run, name).get_details()["outputDatasets"]
        # Nothing was made, so nothing was registered.
        registered = Dataset.get_by_name(ws, name)
        assert (lineage["dataset"].id, registered.version) == (registered.id, 1)

    def test_other_experiments_and_new_folders_with_equal_files_do_as_well(
        self, complete, make, name, unique, tmp_path
    ):
        complete([make(PASS, name)])
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "script.py").write_text(PASS)
        run = complete([make(PASS, name, source_directory=str(elsewhere))], experiment=unique("other"))
        assert reused(run, name)

    def test_only_the_branch_that_changed_runs_again(self, complete, make, name):
        def steps(word):
            made, left, right, end = (OutputFileDatasetConfig(each) for each in ("made", "left", "right", "end"))
            join = make(
                "import sys; print(*sys.argv[1:3])", f"{name}-join", [left.as_input("l"), right.as_input("r"), end]
            )
            return [
                make(WRITE, name, [made, "a"]),
                make(APPEND, f"{name}-left", [made.as_input("x"), left, "l"]),
                make(APPEND, f"{name}-right", [made.as_input("x"), right, word]),
                join,
            ]

        pairs = [(name, True), (f"{name}-left", True), (f"{name}-right", False), (f"{name}-join", False)]
        first, second = complete(steps("r")), complete(steps("other"))
        assert [(step, reused(second, step) is not None) for step, _ in pairs] == pairs
        assert reason(second, f"{name}-right") == "arguments changed (argument 3 r → other)."
        before, now = (step_of(run, f"{name}-right").id for run in (first, second))
        assert reason(second, f"{name}-join").startswith(
            f"input data changed (r was made by run {before}, now by run {now})"
        )


class TestForced:
    def test_by_regenerate_outputs(self, complete, make, name):
        complete([make(PASS, name)])
        run = complete([make(PASS, name)], regenerate_outputs=True)
        assert (reused(run, name), reason(run, name)) == (None, "regenerate_outputs.")
        # The next one reuses the newest.
        assert reused(complete([make(PASS, name)]), name) == step_of(run, name).id

    def test_by_allow_reuse(self, complete, make, name):
        runs = [complete([make(PASS, name, allow_reuse=False)]) for _ in range(2)]
        assert [reason(run, name) for run in runs] == ["allow_reuse is off."] * 2
        allowed = complete([make(PASS, name)])
        assert reason(allowed, name) == f"allow_reuse was off in run {step_of(runs[1], name).id}."

    def test_by_a_first_run(self, complete, make, name):
        assert reason(complete([make(PASS, name)]), name).startswith("first run of this step")

    def test_by_the_script_folder(self, complete, make, name):
        complete([make(PASS, name)])
        run = complete([make("print('other')", name)])
        assert reason(run, name) == "the script folder changed (script.py)."

    def test_by_another_file_of_the_script_folder(self, complete, make, name, tmp_path):
        complete([make(PASS, name)])
        (tmp_path / name / "more.txt").write_text("more")
        run = complete([make(PASS, name)])
        assert reason(run, name) == "the script folder changed (more.txt is new)."

    def test_by_an_argument(self, complete, make, name):
        complete([make(PASS, name, ["--lr", 2e-5])])
        run = complete([make(PASS, name, ["--lr", 1e-4])])
        assert reason(run, name) == "arguments changed (lr 2e-05 → 0.0001)."

    def test_by_a_parameter_of_the_pipeline(self, complete, make, name):
        def steps():
            return [make(SHOW, name, ["--n", PipelineParameter("number", 1)])]

        complete(steps())
        assert reused(complete(steps(), pipeline_parameters={"number": 1}), name)
        run = complete(steps(), pipeline_parameters={"number": 7})
        assert reason(run, name) == "parameters changed (number 1 → 7)."

    def test_by_an_environment_variable(self, complete, make, name, cluster):
        complete([make(PASS, name, runconfig=settings(cluster, COLOUR="blue", MY_TOKEN="one"))])
        run = complete([make(PASS, name, runconfig=settings(cluster, COLOUR="red", MY_TOKEN="two"))])
        told = "environment variables changed (COLOUR blue → red, MY_TOKEN (not shown))."
        assert reason(run, name) == told

    def test_by_the_environment(self, complete, make, name, cluster):
        complete([make(PASS, name, runconfig=settings(cluster))])
        config = settings(cluster)
        config.environment.python.conda_dependencies.add_pip_package("pandas==1.5.3")
        run = complete([make(PASS, name, runconfig=config)])
        assert reason(run, name) == "the environment changed (pip nothing → pandas==1.5.3)."

    def test_but_not_by_the_environment_s_name(self, complete, make, name, cluster):
        complete([make(PASS, name, runconfig=settings(cluster))])
        config = settings(cluster)
        config.environment.name = "renamed"
        assert reused(complete([make(PASS, name, runconfig=config)]), name)

    def test_by_the_compute(self, ws, complete, make, name, cluster, unique):
        complete([make(PASS, name)])
        made = AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1)
        other = ComputeTarget.create(ws, unique("c"), made)
        other.wait_for_completion(show_output=False)
        run = complete([make(PASS, name, compute_target=other)])
        assert f"compute {cluster.name} → {other.name}" in reason(run, name)

    def test_by_where_an_output_goes(self, ws, complete, make, name, unique):
        complete([make(WRITE, name, [OutputFileDatasetConfig("made"), "a"])])
        place = (ws.get_default_datastore(), f"{unique('out')}/")
        run = complete([make(WRITE, name, [OutputFileDatasetConfig("made", destination=place), "a"])])
        assert reason(run, name).startswith("output settings changed (made.path dataset/{run-id}/")

    @pytest.mark.parametrize("mode", ["as_mount", "as_download"])
    def test_by_a_changed_file_of_an_input(self, ws, complete, make, name, folder, put, mode):
        def steps():
            data = Dataset.File.from_files((ws.get_default_datastore(), folder), validate=False)
            return [make(READ, name, [getattr(data.as_named_input("data"), mode)()])]

        complete(steps())
        assert reused(complete(steps()), name)
        put(f"{folder}/a.csv", "x,y\n5,6\n")
        run = complete(steps())
        assert reason(run, name) == "input data changed (data: file a.csv)."
        assert "5,6" in step_of(run, name).get_stdout_log()

    def test_by_a_changed_file_of_a_table(self, ws, complete, make, name, folder, put):
        def steps():
            path = (ws.get_default_datastore(), f"{folder}/a.csv")
            data = Dataset.Tabular.from_delimited_files(path, validate=False, infer_column_types=False)
            return [make(SHOW, name, [data.as_named_input("table")])]

        complete(steps())
        assert reused(complete(steps()), name)
        put(f"{folder}/a.csv", "x,y\n5,6\n")
        assert reason(complete(steps()), name) == f"input data changed (table: file {folder}/a.csv)."

    def test_by_new_and_deleted_files_but_only_by_those_it_reads(self, ws, complete, make, name, folder, put):
        def steps():
            data = Dataset.File.from_files((ws.get_default_datastore(), f"{folder}/*.csv"), validate=False)
            return [make(SHOW, name, [data.as_named_input("data").as_mount()])]

        complete(steps())
        put(f"{folder}/sub/b.txt", "changed")
        put(f"{folder}/c.txt", "new")
        assert reused(complete(steps()), name)
        put(f"{folder}/c.csv", "new")
        assert reason(complete(steps()), name) == "input data changed (data: file c.csv is new)."

    def test_by_another_version_of_a_dataset(self, ws, complete, make, name, folder, unique, put):
        registered = unique("data")

        def steps(path):
            data = Dataset.File.from_files((ws.get_default_datastore(), path), validate=False)
            data = data.register(ws, registered, create_new_version=True)
            return [make(SHOW, name, [data.as_named_input("data").as_mount()])]

        complete(steps(folder))
        assert reason(complete(steps(f"{folder}/sub")), name).startswith("input data changed (data: dataset ")


class TestNeverReused:
    def test_a_failed_step(self, submit, complete, make, name):
        for _ in range(2):
            run = submit([make(FAIL, name)])
            assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
            assert reused(run, name) is None
        assert reason(run, name).startswith("first run of this step")

    def test_a_canceled_step(self, submit, make, name):
        for _ in range(2):
            run = submit([make(SLEEP, name)])
            await_sleep(run)
            assert reused(run, name) is None
            run.cancel()
            run.wait_for_completion(show_output=False, raise_on_error=False)
        assert reason(run, name).startswith("first run of this step")

    def test_but_the_finished_steps_before_a_failed_one_are(self, submit, make, name):
        def steps():
            made = OutputFileDatasetConfig("made")
            return [make(WRITE, name, [made, "a"]), make(FAIL, f"{name}-2", [made.as_input("x")])]

        first = submit(steps())
        assert first.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
        second = submit(steps())
        assert second.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
        assert reused(second, name) == step_of(first, name).id
        assert step_of(second, f"{name}-2").get_status() == "Failed"

    @pytest.mark.local_only
    @pytest.mark.parametrize(("change", "word"), [("delete", "deleted"), ("write", "changed since")])
    def test_outputs_that_are_not_as_they_were(self, complete, make, name, change, word):
        def steps():
            return [make(WRITE, name, [OutputFileDatasetConfig("made"), "a"])]

        first = complete(steps())
        _change_output(first, name, change)
        second = complete(steps())
        assert reason(second, name) == f"outputs of run {step_of(first, name).id} were {word} (made: " + (
            "file words.txt is gone)." if change == "delete" else "file words.txt)."
        )
        # What was made instead can be reused.
        assert reused(complete(steps()), name) == step_of(second, name).id

    @pytest.mark.local_only
    def test_a_step_whose_input_changed_while_it_ran(self, ws, complete, make, name, folder):
        path = _store_path(ws, f"{folder}/a.csv")

        def steps():
            data = Dataset.File.from_files((ws.get_default_datastore(), folder), validate=False)
            return [make(SPOIL, name, [data.as_named_input("data").as_mount(), str(path)])]

        complete(steps())
        assert reason(complete(steps()), name) == "input data changed (data: file a.csv)."

    @pytest.mark.local_only
    def test_a_step_that_read_a_file_which_came_and_went(self, ws, complete, make, name, folder):
        """The data are again what they were when it began, but its result was made of others."""
        path = _store_path(ws, f"{folder}/b.csv")

        def steps():
            data = Dataset.File.from_files((ws.get_default_datastore(), folder), validate=False)
            return [make(SPOIL, name, [data.as_named_input("data").as_mount(), str(path)])]

        first = complete(steps())
        path.unlink()
        told = f"data changed while run {step_of(first, name).id} was reading it."
        assert reason(complete(steps()), name) == told


def _store_path(ws, path: str):
    from azureml_wrapper.local.home import Home

    store = ws.get_default_datastore()
    return Home().blobs / store.account_name / store.container_name / path


def _change_output(run, name: str, change: str) -> None:
    data = step_of(run, name).get_output_data("made")
    file = _store_path(run.experiment.workspace, f"{data.path_on_datastore.strip('/')}/words.txt")
    if change == "delete":
        file.unlink()
    else:
        file.write_text("something else")
