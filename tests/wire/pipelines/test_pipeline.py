"""Pipelines through the SDK: order, states, parameters, failures, logs."""

from __future__ import annotations

import json

import pytest
from azureml.core import Environment, Experiment, Run
from azureml.data import OutputFileDatasetConfig
from azureml.exceptions import ActivityFailedException
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter, PipelineRun, StepRun, StepSequence
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException
from azureml.pipeline.steps import PythonScriptStep

from tests.waiting import until
from tests.wire.pipelines.scripts import APPEND, FAIL, PASS, SHOW, SLEEP, WRITE, said, step_of

pytestmark = pytest.mark.slow

NAP = """
    import pathlib, sys, time
    mine, other = map(pathlib.Path, sys.argv[1:3])
    mine.touch()
    end = time.monotonic() + 30
    while not other.exists() and time.monotonic() < end:
        time.sleep(0.05)
    sys.exit(not other.exists())
"""


def steps_by_name(run: PipelineRun) -> dict[str, str]:
    return {step.name: step.get_status() for step in run.get_steps()}


def test_steps_run_in_the_order_of_their_data(complete, make):
    middle, end = OutputFileDatasetConfig("middle"), OutputFileDatasetConfig("end")
    second = make(APPEND, "second", [middle.as_input("words"), end, "b"])
    run = complete([second, make(WRITE, "first", [middle, "a"])])
    assert [step.name for step in run.get_steps()] == ["second", "first"]
    assert step_of(run, "second").get_stdout_log().splitlines()[-1] == "read a"


def test_states_have_the_words_of_pipelines_and_of_run_history(complete, make):
    run = complete([make(PASS, "only")])
    step = step_of(run, "only")
    assert (run.get_status(), run.get_details()["status"]) == ("Finished", "Completed")
    assert (step.get_status(), step.get_details()["status"]) == ("Finished", "Completed")


@pytest.mark.local_only
def test_steps_that_do_not_need_each_other_run_at_the_same_time(complete, make, tmp_path):
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    complete([make(NAP, "one", [here, there]), make(NAP, "two", [there, here])])


def test_fan_out_and_fan_in(complete, make):
    first, left, right, end = (OutputFileDatasetConfig(name) for name in ("first", "left", "right", "end"))
    join = """
        import pathlib, sys
        print("JOINED", *[(pathlib.Path(folder) / "words.txt").read_text() for folder in sys.argv[1:3]], sep="|")
    """
    run = complete(
        [
            make(WRITE, "prepare", [first, "a"]),
            make(APPEND, "l", [first.as_input("x"), left, "l"]),
            make(APPEND, "r", [first.as_input("x"), right, "r"]),
            make(join, "join", [left.as_input("left"), right.as_input("right"), end]),
        ]
    )
    assert "JOINED|a and l|a and r" in step_of(run, "join").get_stdout_log()


def test_run_after_orders_steps_without_data(complete, make):
    before, after = make(PASS, "before"), make(PASS, "after")
    after.run_after(before)
    run = complete([after])
    started = {step.name: step.get_details()["startTimeUtc"] for step in run.get_steps()}
    assert step_of(run, "before").get_details()["endTimeUtc"] <= started["after"]


def test_a_sequence_waits_for_all_steps_of_its_stages(complete, make):
    run = complete(StepSequence(steps=[make(PASS, "a"), [make(PASS, "b"), make(PASS, "c")], make(PASS, "d")]))
    names = [step.name for step in run.get_steps()]
    assert (names[0], names[-1], len(names)) == ("d", "a", 4)


def test_arguments_reach_the_script_as_they_are(complete, make):
    given = ["lit 'eral'", '"quoted"', "two\nlines", "ünï©ode 🎉", "$HOME `x`", "", 5, 0.5, True]
    run = complete([make(SHOW, "show", given)])
    assert said(run, "show", "ARGUMENTS") == [*given[:6], "5", "0.5", "True"]


def test_parameters_have_their_defaults_or_what_was_submitted(complete, make):
    number, share = PipelineParameter("number", 1), PipelineParameter("share", 0.5)
    flag, text = PipelineParameter("flag", True), PipelineParameter("a-text", "x y")
    steps = [
        make(SHOW, "show", ["--n", number, "--s", share, "--f", flag, "--t", text]),
        make(SHOW, "own", ["parameter:mine"], params={"mine": "of the step", "shared": text}),
    ]
    run = complete(steps, pipeline_parameters={"number": 7, "flag": False})
    assert said(run, "show", "ARGUMENTS") == ["--n", "7", "--s", "0.5", "--f", "False", "--t", "x y"]
    assert said(run, "show", "PARAMETERS")["AML_PARAMETER_a_text"] == "x y"
    assert said(run, "own", "ARGUMENTS") == ["of the step"]
    assert said(run, "own", "PARAMETERS")["AML_PARAMETER_shared"] == "x y"
    assert json.loads(run.get_properties()["azureml.parameters"])["number"] == "7"


def test_the_environment_of_a_step_is_that_of_its_run_configuration(complete, make, cluster):
    from azureml.core import RunConfiguration

    config = RunConfiguration()
    config.target, config.environment = cluster, Environment("mine")
    config.environment.python.user_managed_dependencies = True
    config.environment_variables = {"COLOUR": "blue"}
    run = complete([make("import os; print(os.environ['COLOUR'])", "show", runconfig=config)])
    assert step_of(run, "show").get_stdout_log().endswith("blue\n")


def test_a_step_that_takes_too_long_is_stopped(submit, make, cluster):
    from azureml.core import RunConfiguration

    config = RunConfiguration()
    config.target, config.environment, config.max_run_duration_seconds = cluster, Environment("mine"), 1
    config.environment.python.user_managed_dependencies = True
    run = submit([make(SLEEP, "long", runconfig=config)])
    assert run.wait_for_completion(show_output=False, raise_on_error=False) in ("Failed", "Canceled")


def test_properties_and_tags_are_those_of_real_runs(complete, make):
    run = complete([make(PASS, "only")], tags={"team": "a"})
    step = step_of(run, "only")
    assert run.get_tags() == {"team": "a"}
    assert list(run.get_properties())[:7] == [
        "azureml.runsource",
        "runSource",
        "runType",
        "azureml.parameters",
        "azureml.continue_on_step_failure",
        "azureml.continue_on_failed_optional_input",
        "azureml.pipelineComponent",
    ]
    properties = step.get_properties()
    assert properties["StepType"] == "PythonScriptStep"
    assert properties["azureml.pipelinerunid"] == properties["azureml.pipeline"] == run.id == step.pipeline_run_id
    assert (run.type, step.type) == ("azureml.PipelineRun", "azureml.StepRun")
    assert step.get_details()["runDefinition"]["script"] == "script.py"
    # Not registered, so the service itself has given it a version.
    used = step.get_environment()
    assert used.version == step.get_details()["runDefinition"]["environment"]["version"]
    assert step.parent.id == run.id


def test_the_same_step_again_is_the_same_module(submit, make):
    step = make(PASS, "only")
    first, second = submit([step]), submit([step])
    for run in (first, second):
        run.wait_for_completion(show_output=False)
    modules = {step_of(run, "only").get_properties()["azureml.moduleid"] for run in (first, second)}
    assert len(modules) == 1
    assert step_of(first, "only").id != step_of(second, "only").id


def test_logs_of_a_step(complete, make):
    run = complete([make("import sys; print('out'); print('err', file=sys.stderr)", "talk")])
    step = step_of(run, "talk")
    assert {"out", "err"} <= set(step.get_stdout_log().splitlines())
    assert f"Run Id:                 {step.id}" in step.get_job_log()
    assert f"Job finished, job RunId is {step.id}" in step.get_job_log()
    logs = step.get_details_with_logs()["logFiles"]
    assert {"STDOUT", "STDERR", "JOBLOG", "logs/azureml/executionlogs.txt"} <= set(logs)
    assert "out" in logs["user_logs/std_log.txt"]


def test_logs_of_a_pipeline(complete, make):
    run = complete([make(PASS, "only")])
    logs = run.get_details_with_logs()["logFiles"]
    assert list(logs) == [
        "logs/azureml/executionlogs.txt",
        "logs/azureml/stderrlogs.txt",
        "logs/azureml/stdoutlogs.txt",
    ]
    step = step_of(run, "only")
    node = step.get_properties()["azureml.nodeid"]
    assert f"Submitting 1 runs, first five are: {node}:{step.id}" in logs["logs/azureml/executionlogs.txt"]
    assert f"Completing processing run id {step.id}." in logs["logs/azureml/executionlogs.txt"]


def test_waiting_prints_what_azure_prints(submit, make, capsys):
    run = submit([make("import time; print('out'); time.sleep(2)", "talk")])
    capsys.readouterr()
    assert run.wait_for_completion(show_output=True) == "Finished"
    text = capsys.readouterr().out
    wanted = (
        f"PipelineRunId: {run.id}",
        "PipelineRun Status: Running",
        "StepRunId: ",
        "StepRun( talk ) Status: Running",
        "StepRun(talk) Execution Summary",
        "StepRun( talk ) Status: Finished",
        "PipelineRun Execution Summary",
        "PipelineRun Status: Finished",
    )
    places = [text.find(line) for line in wanted]
    assert -1 not in places, text
    assert places == sorted(places), text


def test_a_failed_step_fails_the_pipeline_and_keeps_what_follows_from_running(submit, make):
    output = OutputFileDatasetConfig("words")
    broken, after = make(FAIL, "broken", [output]), make(PASS, "after", [output.as_input("words")])
    run = submit([broken, after])
    with pytest.raises(ActivityFailedException, match="the soup is too hot"):
        run.wait_for_completion(show_output=False)
    assert (run.get_status(), run.get_details()["status"]) == ("Failed", "Failed")
    assert steps_by_name(run) == {"broken": "Failed"}
    message = run.get_details()["error"]["error"]["message"]
    assert "broken" in message
    assert step_of(run, "broken").id in message
    assert "the soup is too hot" in step_of(run, "broken").get_stderr_log()
    statuses = run._context.workflow_provider.pipeline_run_provider.get_node_statuses(run.id)
    assert sorted(status.status_code for status in statuses.values()) == ["Failed", "NotStarted"]


def test_continue_on_step_failure_lets_the_other_branches_go_on(submit, make):
    broken, other, end, never = make(FAIL, "broken"), make(PASS, "other"), make(PASS, "end"), make(PASS, "never")
    end.run_after(other)
    never.run_after(broken)
    never.run_after(end)
    run = submit([end, never], continue_on_step_failure=True)
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert steps_by_name(run) == {"broken": "Failed", "other": "Finished", "end": "Finished"}
    assert run.get_properties()["azureml.continue_on_step_failure"] == "True"


def test_without_it_a_failure_stops_the_branches_that_run(submit, make):
    slow_fail = "import time; time.sleep(2); raise SystemExit(3)"
    run = submit([make(slow_fail, "broken"), make(SLEEP, "other")])
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert steps_by_name(run) == {"broken": "Failed", "other": "Canceled"}


def test_a_canceled_pipeline_stops_its_steps(submit, make):
    running, after = make(SLEEP, "running"), make(PASS, "after")
    after.run_after(running)
    run = submit([after])
    until(lambda: steps_by_name(run).get("running") == "Running")
    run.cancel()
    assert run.wait_for_completion(show_output=False) == "Canceled"
    assert run.get_details()["status"] == "Canceled"
    assert steps_by_name(run) == {"running": "Canceled"}
    statuses = run._context.workflow_provider.pipeline_run_provider.get_node_statuses(run.id)
    assert {status.status_code for status in statuses.values()} == {"Canceled"}


def test_a_script_can_cancel_its_pipeline(submit, make):
    source = "from azureml.core import Run; import time; Run.get_context().parent.cancel(); time.sleep(600)"
    run = submit([make(source, "stop")])
    assert run.wait_for_completion(show_output=False, timeout_seconds=60) == "Canceled"


def test_a_step_can_be_canceled_by_itself(submit, make):
    run = submit([make(SLEEP, "running")])
    until(lambda: steps_by_name(run).get("running") == "Running")
    step_of(run, "running").cancel()
    assert run.wait_for_completion(show_output=False, timeout_seconds=60) == "Canceled"
    assert steps_by_name(run) == {"running": "Canceled"}


def test_pipeline_runs_are_found_again(ws, complete, make, unique):
    name = unique("found")
    run = complete([make(PASS, "only")], experiment=name)
    assert PipelineRun.get(ws, run.id).experiment.name == name
    (listed,) = Experiment(ws, name).get_runs(type="azureml.PipelineRun")
    assert (listed.id, type(listed)) == (run.id, PipelineRun)
    assert isinstance(Run.get(ws, step_of(run, "only").id), StepRun)


def test_the_graph_of_a_run_can_be_read(complete, make):
    number, data = PipelineParameter("number", 3), PipelineData("data")
    first = make(WRITE, "first", [data, number], outputs=[data])
    run = complete([first, make(PASS, "second", [data], inputs=[data])])
    graph = run.get_graph()
    assert sorted(node.name for node in graph.module_nodes) == ["first", "second"]
    assert graph.params["number"].default_value == "3"
    assert len(graph.edges) == 1


def test_a_kind_of_step_that_cannot_run_is_refused_by_name(ws, cluster, unique, tmp_path):
    (tmp_path / "main.py").touch()
    step = PythonScriptStep("main.py", compute_target=cluster, source_directory=str(tmp_path))
    step.step_type = "AutoMLStep"
    with pytest.raises(ErrorResponseException, match=r"AutoMLStep, which needs automated machine learning"):
        Experiment(ws, unique("refused")).submit(Pipeline(ws, steps=[step]))


def test_a_missing_script_is_refused_before_anything_is_sent(make, ws):
    step = make(PASS, "only")
    step._script_name = "nowhere.py"
    with pytest.raises(ValueError, match=r"nowhere\.py"):
        Pipeline(ws, steps=[step])


def test_scripts_see_the_run_and_its_parent(complete, make):
    source = """
        from azureml.core import Run
        run = Run.get_context()
        run.log("here", 1)
        run.parent.log("there", 2)
    """
    run = complete([make(source, "log")])
    assert step_of(run, "log").get_metrics() == {"here": 1}
    assert run.get_metrics() == {"there": 2}
