"""Files and folders of a datastore as a step's input, and the parameters that name them."""

from __future__ import annotations

import pytest

from azureml_wrapper import PipelineStep, PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import BadParameter, BadPipeline, BadSchedule, BadValue, UnregisteredDatastore
from tests.waiting import until

pytestmark = pytest.mark.local_only

SCRIPT = """
import pathlib, sys
given = pathlib.Path(sys.argv[sys.argv.index("--file") + 1])
files = [given] if given.is_file() else sorted(given.iterdir())
print("read", *(f"{file.name}={file.read_text()}" for file in files))
"""


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("paths_env", [])
    wrapper.register_compute("paths-cpu")
    return wrapper


@pytest.fixture
def folder(ws, unique, tmp_path):
    """A folder of the default datastore with two files."""
    name = unique("folder")
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text(file.stem * 2)
    ws.get_default_datastore().upload_files(list(map(str, files)), target_path=name, show_progress=False)
    return name


@pytest.fixture
def make(workspace, tmp_path):
    """A pipeline of one step with an input path."""
    scope = workspace.scope
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "show.py").write_text(SCRIPT)

    def build(path, datastore="workspaceblobstore", **more):
        given = {"datastore": datastore, "path": path, **more}
        step = {"step_name": "show", "script_name": "show", "script_directory": str(tmp_path / "source")}
        return PipelineWrapper.from_config(
            {
                "ws_name": scope.name,
                "resource_group": scope.resource_group,
                "subscription_id": scope.subscription_id,
                "env_name": "paths_env",
                "compute_name": "paths-cpu",
                "steps": [{**step, "input_paths": {"--file": given}}],
            }
        )

    return build


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mount", "download"])
def test_a_script_reads_a_folder_of_a_datastore(make, folder, unique, mode):
    assert "read a.txt=aa b.txt=bb" in make(folder, mode=mode).run(unique("exp")).logs()


@pytest.mark.slow
def test_each_run_may_be_given_another_path_and_one_that_is_submitted_again_too(make, folder, unique):
    pipeline = make(f"{folder}/a.txt", parameter="new_file")
    first = pipeline.run(unique("exp"))
    other = pipeline.run(unique("exp"), parameters={"new_file": f"{folder}/b.txt"})
    whole = {"datastore": "workspaceblobstore", "path": f"{folder}/b.txt"}
    again = first.resubmit(from_failed=False, parameters={"new_file": whole}).wait()
    same = other.resubmit(from_failed=False).wait()
    said = [run.logs().splitlines()[-1] for run in (first, other, again, same)]
    assert said == ["read a.txt=aa", "read b.txt=bb", "read b.txt=bb", "read b.txt=bb"]


@pytest.mark.slow
def test_the_changed_blob_is_what_the_run_reads(ws, make, folder, unique, tmp_path):
    name = unique("pipeline")
    made = make(f"{folder}/a.txt", parameter="new_file").register(
        name,
        "",
        "On_blob_change",
        datastore_name="workspaceblobstore",
        path_on_datastore=folder,
        data_path_parameter="new_file",
    )
    try:
        assert made.parameters() == {"new_file": f"workspaceblobstore/{folder}/a.txt"}
        triggered = made.trigger({"new_file": f"{folder}/b.txt"}).wait()
        assert "read b.txt=bb" in triggered.logs()
        (tmp_path / "c.txt").write_text("new")
        ws.get_default_datastore().upload_files([str(tmp_path / "c.txt")], target_path=folder, show_progress=False)
        assert "read c.txt=new" in RunWrapper(until(made.schedule.get_last_pipeline_run)).wait().logs()
    finally:
        made.disable()


@pytest.mark.slow
def test_a_changed_file_of_a_path_prevents_reuse(ws, make, folder, unique, tmp_path):
    pipeline = make(folder)
    pipeline.run(unique("exp"))
    assert pipeline.run(unique("exp")).steps["show"].reused_from
    (tmp_path / "a.txt").write_text("changed")
    files = [str(tmp_path / "a.txt")]
    ws.get_default_datastore().upload_files(files, target_path=folder, overwrite=True, show_progress=False)
    assert pipeline.run(unique("exp")).steps["show"].reused_from is None


@pytest.mark.parametrize("given", [5, "", {"path": "a"}, {"datastore": "d", "path": ""}])
def test_a_value_that_is_no_path_is_refused_before_anything_is_sent(make, unique, given):
    with pytest.raises(BadParameter, match="workspaceblobstore/folder"):
        make("folder", parameter="new_file").run(unique("exp"), parameters={"new_file": given})


def test_an_unknown_parameter_is_told_with_those_of_paths(make, unique):
    with pytest.raises(BadParameter, match="Its parameters: new_file"):
        make("folder", parameter="new_file").run(unique("exp"), parameters={"x": 1})


def test_a_schedule_is_refused_whose_parameter_no_path_has(make, unique):
    with pytest.raises(BadSchedule, match="new_file"):
        make("folder", parameter="new_file").register(
            unique("pipeline"), "", "On_blob_change", datastore_name="workspaceblobstore", data_path_parameter="x"
        )


def test_a_datastore_that_is_not_registered_is_told(make):
    with pytest.raises(UnregisteredDatastore, match="nowhere"):
        make("folder", datastore="nowhere").build()


@pytest.mark.parametrize("path", ["/absolute", "a/../b", "a\\b"])
def test_a_path_that_is_none_of_a_datastore_is_refused(make, path):
    with pytest.raises(BadValue, match="not a path on a datastore"):
        make(path)


def test_one_parameter_has_one_default(workspace):
    scope = workspace.scope
    names = (scope.name, scope.resource_group, scope.subscription_id)
    steps = [
        PipelineStep(
            *names,
            name,
            "s.py",
            input_paths={"--file": {"datastore": "workspaceblobstore", "path": name, "parameter": "p"}},
        )
        for name in ("one", "two")
    ]
    with pytest.raises(BadPipeline, match="workspaceblobstore/one in one step and workspaceblobstore/two"):
        PipelineWrapper(*names, "e", "c", steps)
    step = PipelineStep(*names, "s", "s.py", arguments={"--x": "${{parameters.p}}"}, **paths_of(steps[0]))
    with pytest.raises(BadPipeline, match="two names"):
        PipelineWrapper(*names, "e", "c", [step], pipeline_parameters={"p": 1})


def paths_of(step):
    return {"input_paths": {name: path.model_dump() for name, path in step.input_paths.items()}}
