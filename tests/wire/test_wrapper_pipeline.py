"""PipelineStep, PipelineWrapper and RunWrapper: from a config to a run that has ended, and what it tells."""

from __future__ import annotations

import json
import signal
import sys
import textwrap
import threading

import pytest
from azureml.core import Experiment, Workspace
from azureml.pipeline.core import PipelineRun, StepRun

from azureml_wrapper import PipelineStep, PipelineWrapper, RunWrapper, WorkspaceWrapper
from azureml_wrapper.errors import (
    BadName,
    BadPipeline,
    MissingInput,
    RunCanceled,
    RunFailed,
    RunTimeout,
    ScriptNotFound,
    SnapshotTooLarge,
    UnregisteredCompute,
    UnregisteredDataset,
    UnregisteredEnvironment,
)
from tests.waiting import until

pytestmark = pytest.mark.local_only

# Example 1 of the original project's README, as it is, but for its TODO.
EXAMPLE_1 = """
from azureml.core import Run
import argparse
import json
import os

run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config")
parser.add_argument("--new-data", type=str, dest="new_data")
parser.add_argument("--test-data", type=str, dest="test_data")
parser.add_argument("--input-folder", type=str, dest="input_folder")
parser.add_argument("--output-folder", type=str, dest="output_folder")
args = parser.parse_args()
config = args.config
new_dataset = run.input_datasets[config.get("new_dataset_name")].to_pandas_dataframe()
test_dataset = run.input_datasets[config.get("test_dataset_name")].to_pandas_dataframe()

first = open(os.path.join(args.input_folder, "first.txt")).read()
with open(os.path.join(args.output_folder, "result.txt"), "w") as file:
    file.write(first + " and %d rows" % (len(new_dataset) + len(test_dataset)))

run.complete()
"""
WRITE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--output-folder")
args, _ = parser.parse_known_args()
if args.output_folder:
    pathlib.Path(args.output_folder, "first.txt").write_text("hello")
"""
SHOW = """
import argparse, pathlib, sys
print("arguments", sys.argv[1::2])
for value in sys.argv[2::2]:
    if pathlib.Path(value).is_dir():
        print(*sorted(path.name + "=" + path.read_text() for path in pathlib.Path(value).iterdir()))
"""
# One fails, and only then the other one.
EARLY = """
import os, pathlib, sys
pathlib.Path(sys.argv[2] + ".new").write_text(str(os.getpid()))
os.rename(sys.argv[2] + ".new", sys.argv[2])
raise SystemError("early")
"""
LATE = """
import os, pathlib, sys, time
flag = pathlib.Path(sys.argv[2])
while not flag.exists() or os.path.exists("/proc/" + flag.read_text()):
    time.sleep(0.05)
# The service is about to store its end.
time.sleep(1)
raise SystemError("late")
"""


@pytest.fixture(scope="module")
def workspace(ws):
    """With an environment and a compute that tests may share."""
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("wrapper_env", ["pandas"])
    wrapper.register_compute("wrapper-cpu", compute_max_nodes=2)
    return wrapper


@pytest.fixture
def names(ws):
    return {"ws_name": ws.name, "resource_group": ws.resource_group, "subscription_id": ws.subscription_id}


@pytest.fixture
def scripts(tmp_path):
    """Writes scripts into a folder: `scripts(a="print(1)")`."""

    def write(**texts):
        folder = tmp_path / "scripts"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def make(workspace, names, scripts):
    """A pipeline of steps given as dicts; a step's script has its name. Steps run each time unless it says so."""

    def pipeline(*steps, **texts):
        folder = scripts(**texts)
        common = {"script_directory": str(folder), "allow_reuse": False}
        configs = [{"script_name": step["step_name"], **common, **step} for step in steps]
        config = {**names, "env_name": "wrapper_env", "compute_name": "wrapper-cpu", "steps": configs}
        return PipelineWrapper.from_config(config)

    return pipeline


def step(name, **others):
    return {"step_name": name, **others}


def register(workspace, tmp_path, name, rows):
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n" + "1.5,x\n" * rows)
    return workspace.register_csv("workspaceblobstore", name, source=file)


class TestArguments:
    def test_they_are_config_and_named_inputs(self, workspace, names, tmp_path, unique):
        data = unique("data")
        register(workspace, tmp_path, data, 1)
        config = {"lr": 2e-5, "text": "élan"}
        made = PipelineStep(*names.values(), "step name", "step_script", config, {"--test-data": data})
        first, given, second, named = made.arguments
        assert (first, second) == ("--config", "--test-data")
        assert json.loads(given) == config
        assert named.name == data
        assert (made.name, made.script_name) == ("step name", "step_script.py")

    def test_without_config_and_datasets_there_are_none(self, names):
        assert PipelineStep(*names.values(), "a", "a.py").arguments == []

    def test_a_dollar_does_not_reach_the_command_line(self, names):
        made = PipelineStep(*names.values(), "a", "a.py", {"password": "a$HOME"})
        assert "$" not in made.arguments[1]
        assert json.loads(made.arguments[1]) == {"password": "a$HOME"}

    def test_an_unregistered_dataset_is_a_name_error_with_near_names(self, workspace, names, tmp_path, unique):
        data = unique("sales")
        register(workspace, tmp_path, data, 1)
        inputs = {"--a": data + "x", "--b": "nothing like it"}
        with pytest.raises(NameError) as caught:
            PipelineStep(*names.values(), "a", "a.py", None, inputs)
        assert isinstance(caught.value, UnregisteredDataset)
        assert f"no dataset '{data}x'. Did you mean '{data}'" in str(caught.value)
        assert "no dataset 'nothing like it'" in str(caught.value)

    def test_without_a_connection_it_is_found_when_the_arguments_are_asked_for(self, names):
        with pytest.warns(UserWarning, match="owner"):
            made = PipelineStep.from_config(
                {
                    **names,
                    "ws_name": "never-opened",
                    **step("a", script_name="a"),
                    "owner": "me",
                    "input_datasets": {"--a": "nothing_like_it"},
                }
            )
        with pytest.raises(NameError, match="nothing_like_it"):
            _ = made.arguments

    def test_a_given_workspace_is_connected(self, ws, names):
        config = {**names, **step("a", script_name="a"), "input_datasets": {"--a": "nothing_like_it"}}
        with pytest.raises(NameError, match="nothing_like_it"):
            PipelineStep.from_config(config, workspace=ws)

    def test_those_of_a_pipeline_s_steps_are_what_their_scripts_get(self, make):
        place = {"datastore": "workspaceblobstore", "path": "folder"}
        inputs = {"--left-folder": "left", "--right-folder": "right"}
        pipeline = make(
            step("left", step_config={"a": 1}),
            step("right", input_paths={"--place": place}, input_steps={}),
            step("join", input_steps=inputs),
            left=SHOW,
            right=SHOW,
            join=SHOW,
        )
        left, right, join = (each.arguments for each in pipeline.steps)
        assert left[:3] == ["--config", '{"a": 1}', "--output-folder"]
        assert (right[0], right[1].path_on_datastore, right[2]) == ("--place", "folder", "--output-folder")
        assert join[::2] == ["--left-folder", "--right-folder"]
        assert pipeline.steps[2].input_steps == inputs
        assert pipeline.steps[1].input_steps == {}

    def test_the_folders_are_those_of_the_one_pipeline(self, names):
        steps = [PipelineStep(*names.values(), name, name) for name in "ab"]
        pipeline = PipelineWrapper(*names.values(), "env", "cpu", steps)
        assert [each.arguments[0] for each in pipeline.steps] == ["--output-folder", "--input-folder"]
        assert [each.arguments for each in steps] == [[], []]

    def test_two_datasets_that_would_share_a_name_are_refused(self, workspace, names, tmp_path, unique):
        data = unique("d")
        for name in (f"{data}-x", f"{data}_x"):
            register(workspace, tmp_path, name, 1)
        made = PipelineStep(*names.values(), "a", "a.py", None, {"--a": f"{data}-x", "--b": f"{data}_x"})
        with pytest.raises(BadPipeline, match=f"would both be '{data}_x'"):
            _ = made.arguments


class TestRunning:
    @pytest.mark.slow
    def test_the_original_examples_run(self, workspace, names, scripts, tmp_path, unique):
        new, test = unique("new"), unique("test")
        register(workspace, tmp_path, new, 3)
        register(workspace, tmp_path, test, 4)
        folder = scripts(first=WRITE, example=EXAMPLE_1, last=SHOW)
        scope = tuple(names.values())
        config = {"new_dataset_name": new, "test_dataset_name": test}
        steps = [
            PipelineStep(*scope, "first", "first.py", script_directory=folder),
            PipelineStep(*scope, "step name", "example.py", config, {"--new-data": new, "--test-data": test}, folder),
            PipelineStep(*scope, "last", "last.py", script_directory=folder),
        ]
        pipeline = PipelineWrapper(*scope, "wrapper_env", "wrapper-cpu", steps)
        run = pipeline.run(unique("exp"))
        assert run.status == "Completed"
        assert list(run.steps) == ["first", "step name", "last"]
        assert {each.status for each in run.steps.values()} == {"Completed"}
        assert "result.txt=hello and 7 rows" in run.logs("last")
        assert isinstance(pipeline.experiment, Experiment)
        assert isinstance(run.raw, PipelineRun)
        assert isinstance(run.steps["first"].raw, StepRun)

    def test_folders_go_from_step_to_step(self, make, unique):
        run = make(step("a"), step("b"), step("c"), a=WRITE, b=SHOW + WRITE, c=SHOW).run(unique("exp"))
        assert "arguments ['--input-folder', '--output-folder']" in run.logs("b")
        assert "arguments ['--input-folder']" in run.logs("c")
        assert "first.txt=hello" in run.logs("c")

    def test_a_single_step_gets_no_folder(self, make, unique):
        assert "arguments []" in make(step("a"), a=SHOW).run(unique("exp")).logs()

    def test_steps_fan_out_and_in(self, make, unique):
        pipeline = make(
            step("prep"),
            step("left", input_steps={"--data": "prep"}),
            step("right", input_steps={"--data": "prep"}),
            step("join", input_steps={"--left-folder": "left", "--right-folder": "right"}),
            prep=WRITE,
            left=WRITE + SHOW,
            right=WRITE + SHOW,
            join=SHOW,
        )
        run = pipeline.run(unique("exp"))
        assert "arguments ['--data', '--output-folder']" in run.logs("left")
        assert "arguments ['--left-folder', '--right-folder']" in run.logs("join")
        assert run.logs("join").count("first.txt=hello") == 2

    def test_steps_that_do_not_depend_on_each_other_run_at_once(self, make, tmp_path, unique):
        # Each waits for the sign of the other.
        wait = """
            import json, pathlib, sys, time
            config = json.loads(sys.argv[2])
            pathlib.Path(config["own"]).touch()
            end = time.monotonic() + 30
            while not pathlib.Path(config["other"]).exists():
                assert time.monotonic() < end, "the other one does not run"
                time.sleep(0.02)
        """
        one, two = str(tmp_path / "one"), str(tmp_path / "two")
        make(
            step("a", step_config={"own": one, "other": two}, input_steps={}),
            step("b", step_config={"own": two, "other": one}, input_steps={}),
            a=wait,
            b=wait,
        ).run(unique("exp"))

    def test_a_script_gets_its_config_unharmed(self, make, unique):
        config = {
            "quote": 'it\'s "so"',
            "lines": "a\nb",
            "dollar": "$HOME ${HOME}",
            "text": "é 漢 😀",
            "n": [1, 2.5, None],
        }
        show = """
            import json, sys
            print(json.dumps(json.loads(sys.argv[2]), sort_keys=True))
        """
        escaped = {**config, "dollar": "$HOME $${HOME}"}
        run = make(step("a", step_config=escaped), a=show).run(unique("exp"))
        assert json.dumps(config, sort_keys=True) in run.logs()

    @pytest.mark.slow
    def test_datasets_of_any_name_reach_a_script_wrapper(self, make, workspace, tmp_path, unique):
        data = unique("my-data ")
        register(workspace, tmp_path, data, 2)
        script = """
            from azureml_wrapper import ScriptWrapper
            script = ScriptWrapper()
            for key_or_name in ("key", script.config["key"]):
                print("rows", len(script.get_csv_from_config(key_or_name)), script.args.my_data is not None)
            print(list(script.run.input_datasets))
            script.run.log("rows", 2)
            script.complete()
        """
        config = step("a", step_config={"key": data}, input_datasets={"--my-data": data})
        run = make(config, a=script).run(unique("exp"))
        assert run.logs().count("rows 2 True") == 2
        assert run.steps["a"].metrics == {"rows": 2}

    def test_script_wrappers_pass_tables_on(self, make, unique):
        first = """
            import pandas as pd
            from azureml_wrapper import ScriptWrapper
            script = ScriptWrapper()
            script.save_csv_in_output_folder(pd.DataFrame({"a": [1, 2, 3]}), "table")
        """
        second = """
            from azureml_wrapper import ScriptWrapper
            print("sum", ScriptWrapper().get_csv_from_input_folder("table.csv")["a"].sum())
        """
        assert "sum 6" in make(step("a"), step("b"), a=first, b=second).run(unique("exp")).logs("b")

    def test_a_changed_script_is_what_runs_next(self, make, scripts, unique):
        experiment = unique("exp")
        pipeline = make(step("a"), a="print('old')")
        assert "old" in pipeline.run(experiment).logs()
        scripts(a="print('new')")
        assert "new" in pipeline.run(experiment).logs()

    def test_a_step_in_which_nothing_has_changed_is_reused(self, make, unique):
        names = unique("a"), unique("b")
        config = {"rows": 1}
        texts = dict.fromkeys(names, WRITE + SHOW)

        def pipeline(second=True):
            first = step(names[0], step_config=config, allow_reuse=True)
            return make(first, step(names[1], allow_reuse=second), **texts)

        first, again = (pipeline().run(unique("exp")) for _ in range(2))
        assert [first.steps[name].reused_from for name in names] == [None, None]
        assert [again.steps[name].reused_from for name in names] == [first.steps[name].id for name in names]
        assert first.steps[names[0]].raw.id != again.steps[names[0]].raw.id
        assert again.steps[names[0]].raw is not None
        assert (again.reused_from, again.status) == (None, "Completed")
        assert again.logs(names[1]).startswith(f"[local] Reused from run {first.steps[names[1]].id}")
        config["rows"] = 2
        third = pipeline().run(unique("exp"))
        assert "Not reused: arguments changed (config.rows 1 → 2)." in third.logs(names[0])
        assert third.steps[names[1]].reused_from is None
        assert pipeline(second=False).run(unique("exp")).steps[names[1]].reused_from is None

    def test_building_twice_gives_the_same_and_changes_no_step(self, make, unique):
        pipeline = make(step("a"), step("b"), a=WRITE, b=SHOW)
        before = [vars(each).copy() for each in pipeline.steps]

        def shape(built):
            return [
                (node.name, [p.name for p in node.inputs], [p.name for p in node.outputs])
                for node in built.graph.module_nodes
            ]

        first = shape(pipeline.build())
        assert shape(pipeline.build()) == first
        assert [vars(each) for each in pipeline.steps] == before
        assert pipeline.pipeline is pipeline.pipeline
        experiment = unique("exp")
        runs = [pipeline.run(experiment), pipeline.run(experiment)]
        modules = [{step.raw.properties["azureml.moduleid"] for step in run.steps.values()} for run in runs]
        # The same module means that Azure ML may take the result of the first run.
        assert modules[0] == modules[1]

    def test_a_step_may_have_its_own_environment_and_compute(self, make, workspace, unique):
        env, compute = unique("env"), unique("c")
        workspace.register_env(env, ["numpy"])
        workspace.register_compute(compute)
        pipeline = make(step("a", env_name=env, compute_name=compute), step("b", input_steps={}), a=SHOW, b=SHOW)
        run = pipeline.run(unique("exp"))
        definitions = {name: each.raw.get_details()["runDefinition"] for name, each in run.steps.items()}
        assert definitions["a"]["environment"]["name"] == env
        assert definitions["a"]["target"] == compute
        assert definitions["b"]["environment"]["name"] == "wrapper_env"

    def test_tags_are_on_the_run(self, make, unique):
        assert make(step("a"), a=SHOW).run(unique("exp"), tags={"who": "me"}).raw.get_tags()["who"] == "me"


class TestBeforeTheSubmit:
    """What is told before anything is sent."""

    def test_a_missing_script(self, make, unique):
        with pytest.raises(ScriptNotFound, match=r"No script 'tran\.py'.*Did you mean 'train\.py'"):
            make(step("a", script_name="tran"), train=SHOW).run(unique("exp"))

    def test_a_folder_over_the_limits(self, make, scripts, unique):
        pipeline = make(step("a"), a=SHOW)
        with (scripts() / "big.bin").open("wb") as file:
            file.truncate(301 * 1024 * 1024)
        with pytest.raises(SnapshotTooLarge, match=r"big\.bin 301\.0 MB"):
            pipeline.run(unique("exp"))
        (scripts() / ".amlignore").write_text("*.bin\n")
        assert pipeline.run(unique("exp")).status == "Completed"

    def test_a_name_that_azure_refuses_for_an_experiment(self, make):
        with pytest.raises(BadName, match="such as 'nom-de-l-experiment'"):
            make(step("a"), a=SHOW).run("nom de l'experiment")

    @pytest.mark.parametrize(
        ("others", "error", "told"),
        [
            ({"env_name": "wrapper_enf"}, UnregisteredEnvironment, "Did you mean 'wrapper_env'"),
            ({"env_name": "wrapper_enf"}, UnregisteredEnvironment, r"register_env or `aml env"),
            # Not one of the many that are Azure's own.
            ({"env_name": "wrapper_enf"}, UnregisteredEnvironment, r"Registered: (?!.*AzureML-)"),
            ({"compute_name": "wrapper-cpo"}, UnregisteredCompute, "Did you mean 'wrapper-cpu'"),
            ({"input_datasets": {"--x": "no_such_data"}}, UnregisteredDataset, "no dataset 'no_such_data'"),
        ],
    )
    def test_what_the_workspace_does_not_have(self, make, unique, others, error, told):
        with pytest.raises(error, match=told):
            make(step("a", **others), a=SHOW).run(unique("exp"))

    def test_all_that_the_workspace_does_not_have_is_told_at_once(self, make, unique):
        first = step("a", input_datasets={"--x": "no_such_data"})
        second = step("b", env_name="no_such_env", compute_name="no-such-cpu")
        with pytest.raises(UnregisteredDataset) as caught:
            make(first, second, a=SHOW, b=SHOW).run(unique("exp"))
        told = str(caught.value).splitlines()
        assert len(told) == 3
        for line, missing in zip(told, ("no_such_data", "no_such_env", "no-such-cpu"), strict=True):
            assert f" {missing!r}." in line

    def test_a_step_of_another_workspace(self, names):
        other = PipelineStep("other", "rg", "local", "a", "a.py")
        with pytest.raises(BadPipeline, match="belongs to"):
            PipelineWrapper(*names.values(), "e", "c", [other])

    def test_something_else_than_steps(self, names):
        for steps in ({"a": {}}, ["a"], "a"):
            with pytest.raises(TypeError, match="list of PipelineStep"):
                PipelineWrapper(*names.values(), "e", "c", steps)


class TestFailures:
    def test_a_failed_step_is_told_with_its_traceback(self, make, unique):
        crash = """
            print("before")
            def main():
                raise ValueError("no rows in the table")
            main()
        """
        run = make(step("a"), step("train"), step("c"), a=WRITE, train=crash, c=SHOW).run(unique("exp"), wait=False)
        with pytest.raises(RunFailed) as caught:
            run.wait()
        told = str(caught.value)
        assert told.startswith("Step 'train' failed with exit code 1.\nTraceback (most recent call last):")
        assert "ValueError: no rows in the table" in told
        assert run.portal_url in told
        assert len(told.splitlines()) <= 12
        assert run.status == "Failed"
        assert run.failure.step == "train"
        assert run.failure.exit_code == 1
        assert run.failure.traceback.endswith("ValueError: no rows in the table")
        assert "c" not in run.steps or run.steps["c"].status != "Completed"

    def test_an_import_error_names_the_python_of_the_service_and_of_the_submitter(self, make, unique, monkeypatch):
        pipeline = make(step("a"), a="import nowhere_at_all")
        with pytest.raises(RunFailed, match="No module named 'nowhere_at_all'") as caught:
            pipeline.run(unique("exp"))
        ran = f"The job ran in the service's Python, {sys.executable}"
        assert f"{ran}. If the module is installed in another one" in str(caught.value)
        monkeypatch.setattr(sys, "executable", "/elsewhere/bin/python")
        with pytest.raises(RunFailed, match="No module named 'nowhere_at_all'") as caught:
            pipeline.run(unique("exp"))
        assert f"{ran}; the run was submitted from /elsewhere/bin/python." in str(caught.value)
        assert "`aml local down`" in str(caught.value)

    def test_an_exit_code_without_a_traceback(self, make, unique):
        with pytest.raises(RunFailed, match="Step 'a' failed with exit code 3"):
            make(step("a"), a="import sys; print('last words'); sys.exit(3)").run(unique("exp"))

    def test_a_killed_process(self, make, unique):
        kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        with pytest.raises(RunFailed, match="Step 'a' failed: killed by SIGKILL"):
            make(step("a"), a=kill).run(unique("exp"))

    def test_the_first_of_several_failed_steps_is_told(self, make, tmp_path, unique):
        run = make(
            step("late", input_steps={}, arguments={"--flag": str(tmp_path / "flag")}),
            step("early", input_steps={}, arguments={"--flag": str(tmp_path / "flag")}),
            late=LATE,
            early=EARLY,
        ).run(unique("exp"), wait=False, continue_on_step_failure=True)
        with pytest.raises(RunFailed, match="early"):
            run.wait()
        assert {name: each.status for name, each in run.steps.items()} == {"early": "Failed", "late": "Failed"}

    def test_output_that_is_no_utf8_can_be_read(self, make, unique):
        run = make(step("a"), a="import os; os.write(1, b'caf\\xe9 ok\\n')").run(unique("exp"))
        assert "ok" in run.logs()

    def test_a_run_that_went_well_has_no_failure(self, make, unique):
        assert make(step("a"), a=SHOW).run(unique("exp")).failure is None


class TestSettings:
    def test_results_are_made_anew_if_that_is_wanted(self, make, unique):
        pipeline = make(step("a", allow_reuse=True), a=f"print({unique()!r})")
        first, second, third = (
            pipeline.run(unique("exp"), regenerate_outputs=anew).steps["a"] for anew in (False, False, True)
        )
        assert [run.reused_from for run in (first, second, third)] == [None, first.id, None]

    def test_other_branches_go_on_after_a_failure_if_that_is_wanted(self, make, unique):
        pipeline = make(
            step("broken", input_steps={}),
            step("other", input_steps={}),
            step("last", input_steps={"--x": "other"}),
            broken="raise SystemError('broken')",
            other=WRITE,
            last=SHOW,
        )
        run = pipeline.run(unique("exp"), wait=False, continue_on_step_failure=True)
        with pytest.raises(RunFailed, match="broken"):
            run.wait()
        statuses = {name: each.status for name, each in run.steps.items()}
        assert statuses == {"broken": "Failed", "other": "Completed", "last": "Completed"}


class TestWaiting:
    def test_a_timeout_ends_the_waiting_and_not_the_run(self, make, unique):
        run = make(step("a"), a="import time; time.sleep(60)").run(unique("exp"), wait=False)
        with pytest.raises(RunTimeout, match=r"is .* after 0\.5 s"):
            run.wait(0.5)
        assert run.status not in ("Completed", "Failed", "Canceled")
        run.cancel()
        assert run.wait(30).status == "Canceled"

    def test_a_run_that_another_has_cancelled_is_an_error(self, make, workspace, unique):
        run = make(step("a"), a="import time; time.sleep(60)").run(unique("exp"), wait=False)
        other = RunWrapper(workspace.ws.get_run(run.id))
        timer = threading.Timer(0.5, other.cancel)
        timer.start()
        with pytest.raises(RunCanceled, match=run.id):
            run.wait(30)
        timer.join()

    def test_show_output_prints_what_the_sdk_streams(self, make, unique, capsys):
        make(step("a"), a=SHOW).run(unique("exp"), show_output=True)
        assert "PipelineRun Execution Summary" in capsys.readouterr().out

    def test_ctrl_c_while_the_log_is_shown_is_ctrl_c(self, make, unique):
        """The SDK turns it into an error of its own."""
        run = make(step("a"), a="import time; time.sleep(60)").run(unique("exp"), wait=False)

        def press():
            until(lambda: run.status == "Running")
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        pressing = threading.Thread(target=press)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            run.wait(show_output=True)
        pressing.join()
        run.abort()


class TestResults:
    @pytest.fixture(scope="class")
    def run(self, ws, tmp_path_factory):
        wrapper = WorkspaceWrapper.from_workspace(ws)
        wrapper.register_env("wrapper_env", ["pandas"])
        wrapper.register_compute("wrapper-cpu", compute_max_nodes=2)
        folder = tmp_path_factory.mktemp("scripts")
        (folder / "first.py").write_text(
            "import os\nfrom azureml.core import Run\nrun = Run.get_context()\n"
            "os.makedirs('outputs', exist_ok=True)\nopen('outputs/model.txt', 'w').write('weights')\n"
            "for loss in (3.0, 2.0, 1.0):\n    run.log('loss', loss)\nrun.log('rows', 5)\n"
            "run.parent.log('best', 1.0)\n"
            f"print('said by first')\n{WRITE}"
        )
        (folder / "second.py").write_text("print('said by second')")
        scope = (ws.name, ws.resource_group, ws.subscription_id)
        steps = [
            PipelineStep(*scope, "first / step", "first", script_directory=folder),
            PipelineStep(*scope, "second", "second", script_directory=folder),
        ]
        return PipelineWrapper(*scope, "wrapper_env", "wrapper-cpu", steps).run("wrapper_results")

    def test_metrics_are_values_and_lists(self, run):
        assert run.steps["first / step"].metrics == {"loss": [3.0, 2.0, 1.0], "rows": 5}

    def test_what_a_step_logs_to_its_parent_is_the_pipelines(self, run):
        assert run.metrics == {"best": 1.0}

    def test_logs_are_those_of_all_steps_or_of_one(self, run):
        assert "said by first" in run.logs()
        assert "==> second <==" in run.logs()
        assert "said by second" in run.logs("second")
        assert "said by first" not in run.logs("second")
        with pytest.raises(MissingInput, match="Did you mean 'second'"):
            run.logs("secnd")

    def test_everything_is_downloaded_one_folder_a_step(self, run, tmp_path):
        folder = run.download(tmp_path / "results")
        assert folder == tmp_path / "results"
        assert (folder / "first _ step" / "outputs" / "model.txt").read_text() == "weights"
        assert "said by second" in (folder / "second" / "user_logs" / "std_log.txt").read_text()
        assert (folder / "logs" / "azureml" / "executionlogs.txt").exists()

    def test_a_run_knows_how_long_it_took(self, run):
        assert 0 < run.steps["second"].duration < run.duration + 1

    def test_statuses_are_the_same_words(self, run):
        again = RunWrapper(run.raw.experiment.workspace.get_run(run.id))
        assert again.raw.get_status() == "Finished"
        assert again.status == run.status == "Completed"

    def test_it_has_a_page(self, run):
        assert run.portal_url.startswith("http")
        assert run.id in run.portal_url
        assert run.id in repr(run)
        assert run._repr_html_() == f'<a href="{run.portal_url.replace("&", "&amp;")}">{run.name}</a>: Completed'


def test_a_pipeline_is_made_from_a_file_with_scripts_beside_it(workspace, names, tmp_path, monkeypatch, unique):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text(SHOW)
    (tmp_path / "b.py").write_text(SHOW)
    config = {**names, "env_name": "wrapper_env", "compute_name": "wrapper-cpu", "steps": {
        "one": {"step_name": "a", "script_name": "a.py", "script_directory": "code", "input_steps": {}},
        "two": {"step_name": "b", "script_name": "b.py", "input_steps": {}},
    }}  # fmt: skip
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(config))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".amlignore").write_text("elsewhere\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert PipelineWrapper.from_config("../pipeline.json").run(unique("exp")).status == "Completed"


def test_steps_and_pipeline_share_one_connection(names, workspace):
    pipeline = PipelineWrapper.from_config(
        {**names, "env_name": "e", "compute_name": "c", "steps": [{"step_name": "a", "script_name": "a"}]}
    )
    alone = PipelineStep(*names.values(), "b", "b")
    assert pipeline.workspace.ws is alone.workspace.ws is WorkspaceWrapper(*names.values()).ws
    assert isinstance(alone.workspace.ws, Workspace)
