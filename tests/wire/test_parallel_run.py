"""ParallelRunStep through the SDK: real worker processes over mini-batches."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from azureml.core import Dataset, Environment, Experiment
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter
from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep, PythonScriptStep

from tests.contract.bench import is_alive
from tests.waiting import until

pytestmark = [pytest.mark.local_only, pytest.mark.slow]

DOUBLE = """
import argparse, os
from azureml_user.parallel_run import EntryScript

def init():
    global factor
    parser = argparse.ArgumentParser()
    parser.add_argument("--factor", type=int)
    factor = parser.parse_known_args()[0].factor
    EntryScript().logger.info("ready")
    print("init in", os.getpid())

def run(mini_batch):
    return [f"{os.path.basename(path)}:{factor * int(open(path).read())}:{len(mini_batch)}" for path in mini_batch]
"""
# Each batch waits until a second process has begun one, too.
TOGETHER = """
import glob, os, time

def init():
    pass

def run(mini_batch):
    os.makedirs("../seen", exist_ok=True)
    open(f"../seen/{os.getpid()}", "w").close()
    deadline = time.monotonic() + 20
    while len(glob.glob("../seen/*")) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    return [str(len(glob.glob("../seen/*")))] * len(mini_batch)
"""
ROWS = """
import pandas as pd

def init():
    pass

def run(mini_batch):
    assert isinstance(mini_batch, pd.DataFrame), type(mini_batch)
    return pd.DataFrame({"number": mini_batch["number"] * 2, "word": mini_batch["word"], "rows": len(mini_batch)})
"""
BAD = """
import os, time

def init():
    pass

def run(mini_batch):
    name = os.path.basename(mini_batch[0])
    if name == "3.txt":
        {bad}
    return mini_batch
"""


def finish(run) -> str:
    """The last status of a pipeline's run."""
    ends = ("Finished", "Failed", "Canceled")
    until(lambda: run.get_status() in ends, seconds=90, tell=lambda: f"{run.id} is {run.get_status()}")
    return run.get_status()


@pytest.fixture(scope="session")
def cluster(ws):
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    return ComputeTarget.create(ws, "cpu-parallel", config)


@pytest.fixture
def files(ws, unique, tmp_path):
    """A dataset of ten files, each with its own number; a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.txt").write_text(str(number))
    store, name = ws.get_default_datastore(), unique("files")
    store.upload(str(folder), name, show_progress=False)
    return Dataset.File.from_files((store, f"{name}/*.txt"), validate=False)


@pytest.fixture
def build(ws, cluster, unique, tmp_path):
    """`build(source, input, …)`: the step and its output; settings are those of ParallelRunConfig."""

    def make(source, data, *, arguments=None, output=None, side_inputs=None, entry="score.py", **settings):
        script = tmp_path / "score" / entry
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(source)
        output = output or PipelineData("out", datastore=ws.get_default_datastore())
        given = {"error_threshold": 0, "output_action": "append_row", "node_count": 1, "mini_batch_size": "3"}
        config = ParallelRunConfig(
            environment=Environment(unique("env")),
            entry_script=entry,
            source_directory=str(tmp_path / "score"),
            compute_target=cluster,
            **{**given, **settings},
        )
        step = ParallelRunStep(
            name=f"score-{unique('s')[:10]}",
            parallel_run_config=config,
            inputs=[data],
            output=output,
            side_inputs=side_inputs,
            arguments=arguments,
            allow_reuse=False,
        )
        return step, output

    return make


@pytest.fixture
def score(ws, build, unique):
    """Run a step to its end: its run."""

    def run(source, data, *, parameters=None, **settings):
        step, _ = build(source, data, **settings)
        made = Experiment(ws, unique("exp")).submit(Pipeline(ws, [step]), pipeline_parameters=parameters)
        finish(made)
        (child,) = made.get_steps()
        return child

    return run


def rows(child, tmp_path, name="parallel_run_step.txt") -> list[str]:
    child.get_output_data("out").download(str(tmp_path / "got"))
    (file,) = (tmp_path / "got").rglob("*.txt")
    assert file.name == name
    return sorted(file.read_text().splitlines())


def text(child, name, tmp_path) -> str:
    child.download_file(name, str(tmp_path / "file"))
    return (tmp_path / "file").read_text()


def reason(child) -> str:
    assert child.get_status() == "Failed"
    return child.get_details()["error"]["error"]["message"]


def test_an_entry_script_in_a_subfolder_imports_from_the_root(score, files, tmp_path):
    (tmp_path / "score" / "util").mkdir(parents=True)
    (tmp_path / "score" / "util" / "__init__.py").write_text("X = 1")
    source = (
        "from util import X\n\ndef init():\n    pass\n\ndef run(mini_batch):\n    return [str(X)] * len(mini_batch)"
    )
    child = score(source, files.as_named_input("numbers"), entry="sub/score.py")
    assert rows(child, tmp_path) == ["1"] * 10


def test_files_come_in_mini_batches_with_the_arguments_and_results_become_rows(score, files, tmp_path):
    child = score(
        DOUBLE,
        files.as_named_input("numbers"),
        arguments=["--factor", 7],
        node_count=2,
        process_count_per_node=2,
        mini_batch_size=PipelineParameter("size", "5"),
        parameters={"size": "3"},
        append_row_file_name="rows.txt",
    )
    assert child.get_status() == "Finished"
    # Ten files by three: the last batch has one.
    expected = [f"{number}.txt:{7 * number}:{1 if number == 9 else 3}" for number in range(10)]
    assert rows(child, tmp_path, "rows.txt") == expected
    names = [name for name in child.get_file_names() if name.startswith("logs/user/stdout/")]
    assert names == [
        f"logs/user/stdout/node_{n}/process{p:03}.stdout.txt" for n, p in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert text(child, names[0], tmp_path).startswith("init in ")
    assert "ready" in text(child, "logs/user/entry_script_log/node_1/process001.log.txt", tmp_path)
    assert "10 items in 4 mini-batches, 4 worker processes" in child.get_stdout_log()


def test_mini_batches_run_at_the_same_time(score, files, tmp_path):
    child = score(TOGETHER, files.as_named_input("numbers"), node_count=2, process_count_per_node=2)
    assert rows(child, tmp_path) == ["4"] * 10


def test_a_table_comes_as_data_frames_of_about_the_size(ws, score, unique, tmp_path):
    table = pd.DataFrame({"number": range(1000), "word": "abcdefghij"})  # about 14 bytes a row
    table.to_csv(tmp_path / "table.csv", index=False)
    store, name = ws.get_default_datastore(), unique("table")
    store.upload_files([str(tmp_path / "table.csv")], target_path=name, show_progress=False)
    data = Dataset.Tabular.from_delimited_files((store, f"{name}/table.csv"), validate=False)
    child = score(ROWS, data.as_named_input("table"), mini_batch_size="2KB", process_count_per_node=2)
    assert child.get_status() == "Finished"
    found = pd.read_csv(io.StringIO("\n".join(rows(child, tmp_path))), sep=" ", header=None)
    assert sorted(found[0]) == [2 * number for number in range(1000)]
    assert 100 < found[2].max() < 200


def test_more_failed_items_than_allowed_fail_the_step_with_the_reason(score, files):
    child = score(BAD.format(bad="raise ValueError('three is bad')"), files.as_named_input("n"), mini_batch_size="1")
    assert "ValueError: three is bad" in reason(child)
    assert "ParallelRunStep failed: 1 items failed, more than error_threshold=0 allows" in reason(child)


def test_as_many_failed_items_as_allowed_are_left_out(score, files, tmp_path):
    bad = BAD.format(bad="raise ValueError('three is bad')")
    child = score(bad, files.as_named_input("n"), error_threshold=1, run_max_try=2, mini_batch_size="1")
    assert child.get_status() == "Finished"
    assert [path[-5:] for path in rows(child, tmp_path)] == [f"{n}.txt" for n in range(10) if n != 3]
    assert "Mini-batch 3 failed 2 times." in child.get_stdout_log()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("os._exit(7)", "The worker process ended (exit code 7)."),
        ("time.sleep(60)", "run() took longer than run_invocation_timeout (3 s) and was stopped."),
        (
            "return None",
            "run() must return a list or a pandas.DataFrame with an element for each item, got NoneType",
        ),
        ("return []", "run() returned fewer results than items"),
    ],
)
def test_every_way_to_fail_is_counted_and_told(score, files, bad, why):
    child = score(
        BAD.format(bad=bad),
        files.as_named_input("n"),
        mini_batch_size="1",
        run_invocation_timeout=3,
        run_max_try=2,
    )
    assert why in reason(child)
    assert "1 items failed, more than error_threshold=0 allows" in reason(child)


def test_a_mini_batch_that_failed_is_tried_again(score, files, tmp_path):
    once = "if not os.path.exists('../tried'):\n            open('../tried', 'w').close()\n            os._exit(1)"
    child = score(BAD.format(bad=once), files.as_named_input("n"), mini_batch_size="1")
    assert len(rows(child, tmp_path)) == 10


def test_an_init_that_fails_fails_the_step(score, files):
    child = score(
        "def init():\n    raise RuntimeError('no model')\n\ndef run(batch):\n    return batch", files.as_mount()
    )
    assert "RuntimeError: no model" in reason(child)


def test_an_entry_script_without_run_is_named(score, files):
    child = score("def init():\n    pass", files.as_named_input("n"))
    assert "The entry script 'score.py' lacks run()." in reason(child)


def test_summary_only_keeps_what_the_script_writes(score, files, tmp_path):
    source = """
import argparse, os
def init():
    global output
    parser = argparse.ArgumentParser()
    parser.add_argument("--output")
    output = parser.parse_known_args()[0].output
def run(mini_batch):
    for path in mini_batch:
        open(os.path.join(output, "own-" + os.path.basename(path)), "w").close()
    return mini_batch
"""
    child = score(source, files.as_named_input("n"), output_action="summary_only")
    child.get_output_data("out").download(str(tmp_path / "got"))
    assert sorted(path.name for path in (tmp_path / "got").rglob("*.txt")) == [f"own-{n}.txt" for n in range(10)]


def test_data_of_earlier_steps_side_inputs_and_datasets_as_output(ws, build, cluster, files, unique, tmp_path):
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "make.py").write_text(
        "import os, sys\nfor folder, text in ((sys.argv[1], 'in'), (sys.argv[2], 'side')):\n"
        "    os.makedirs(folder, exist_ok=True)\n    open(os.path.join(folder, 'a.txt'), 'w').write(text)\n"
    )
    given, side = OutputFileDatasetConfig("given"), PipelineData("side", datastore=ws.get_default_datastore())
    first = PythonScriptStep(
        "make.py", arguments=[given, side], outputs=[side], compute_target=cluster, allow_reuse=False,
        source_directory=str(tmp_path / "make"),
    )  # fmt: skip
    source = """
import json, os, sys
def init():
    global side
    side = open(os.path.join(sys.argv[sys.argv.index("--side") + 1], "a.txt")).read()
def run(mini_batch):
    return [json.dumps([side, open(path).read()]) for path in mini_batch]
"""
    result = OutputFileDatasetConfig("result").register_on_complete(name := unique("scored"))
    step, _ = build(source, given.as_input("again"), output=result, side_inputs=[side], arguments=["--side", side])
    assert finish(Experiment(ws, unique("exp")).submit(Pipeline(ws, [first, step]))) == "Finished"
    (file,) = Dataset.get_by_name(ws, name).download(str(tmp_path / "got"))
    assert json.loads(Path(file).read_text()) == ["side", "in"]


def test_cancel_ends_every_worker(ws, build, files, unique, tmp_path):
    (seen := tmp_path / "seen").mkdir()
    source = """
import os, sys, time
def init():
    open(os.path.join(sys.argv[sys.argv.index("--seen") + 1], str(os.getpid())), "w").close()
def run(mini_batch):
    time.sleep(60)
"""
    step, _ = build(source, files.as_named_input("n"), process_count_per_node=3, arguments=["--seen", str(seen)])
    run = Experiment(ws, unique("exp")).submit(Pipeline(ws, [step]))
    until(lambda: len(list(seen.iterdir())) == 3, tell=lambda: list(seen.iterdir()))
    pids = [int(path.name) for path in seen.iterdir()]
    run.cancel()
    assert finish(run) == "Canceled"
    assert not any(is_alive(pid) for pid in pids)


def test_a_table_that_an_earlier_step_makes_is_divided(ws, build, cluster, unique, tmp_path):
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "make.py").write_text(
        "import sys\nwith open(sys.argv[1] + '/t.csv', 'w') as file:\n"
        "    print('number,word', *(f'{n},w' for n in range(5)), sep='\\n', file=file)"
    )
    made = OutputFileDatasetConfig("made")
    settings = {"source_directory": str(tmp_path / "make"), "compute_target": cluster, "allow_reuse": False}
    first = PythonScriptStep("make.py", arguments=[made], **settings)
    source = (
        "def init():\n    pass\ndef run(frame):\n    return [f'{int(n)} of {len(frame)}' for n in frame['number']]"
    )
    step, _ = build(source, made.read_delimited_files().as_input("table"), mini_batch_size="8")
    run = Experiment(ws, unique("exp")).submit(Pipeline(ws, [first, step]))
    assert finish(run) == "Finished"
    (child,) = [child for child in run.get_steps() if child.name == step.name]
    assert rows(child, tmp_path) == ["0 of 2", "1 of 2", "2 of 2", "3 of 2", "4 of 1"]


@pytest.mark.parametrize("warm", ["on", "off"])
def test_what_workers_log_is_kept_however_the_driver_was_started(score, files, warm):
    source = """
import os
from azureml.core import Run
def init():
    pass
def run(mini_batch):
    Run.get_context().log(os.environ["MINE"], len(mini_batch))
    return mini_batch
def shutdown():
    Run.get_context().log("ended", 1)
"""
    variables = {"AZUREML_WRAPPER_WARM": warm, "MINE": "seen"}
    child = score(source, files.as_named_input("n"), process_count_per_node=2, environment_variables=variables)
    assert child.get_status() == "Finished"
    metrics = child.get_metrics()
    assert sorted(metrics["seen"]) == [1, 3, 3, 3]
    assert metrics["ended"] == [1, 1]
    assert warm == "on" or "Cold start" in child.get_stdout_log()


def test_partition_keys_are_refused_by_name(ws, build, files, unique):
    step, _ = build(DOUBLE, files.as_named_input("n"), partition_keys=["a"], mini_batch_size=None)
    with pytest.raises(Exception, match="uses partition_keys, which the local service does not support"):
        Experiment(ws, unique("exp")).submit(Pipeline(ws, [step]))
