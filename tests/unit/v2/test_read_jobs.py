"""Files of `az ml job create`: commands, pipelines and sweeps, and what is said of what cannot be."""

from __future__ import annotations

import pytest

from azureml_wrapper.errors import BadValue, ConfigError
from azureml_wrapper.v2 import read
from azureml_wrapper.v2.command_job import Distribution
from azureml_wrapper.v2.job_data import DataInput, Literal, Output, StorePath
from azureml_wrapper.v2.references import Binding, Reference

JOB = """\
command: >-
  python train.py --data ${{inputs.images}} --lr ${{inputs.lr}} --out=${{outputs.model}}/last
code: src
environment: azureml:trainer:3
compute: azureml:cluster
inputs:
  images: {type: uri_folder, path: azureml://datastores/images/paths/faces/}
  lr: 0.1
outputs:
  model:
"""
PIPELINE = """\
type: pipeline
settings: {default_compute: azureml:cluster}
inputs:
  raw: {type: uri_file, path: azureml:raw@latest}
  lr: 0.1
jobs:
  train:
    command: python train.py ${{inputs.table}} ${{inputs.lr}}
    code: src
    environment: azureml:trainer:3
    inputs: {table: "${{parent.jobs.prepare.outputs.table}}", lr: "${{parent.inputs.lr}}"}
  prepare:
    command: python train.py ${{inputs.raw}} ${{outputs.table}}
    code: src
    environment: azureml:trainer:3
    inputs: {raw: "${{parent.inputs.raw}}"}
    outputs: {table: }
"""
SWEEP = """\
type: sweep
trial:
  command: python train.py --data ${{inputs.images}} --lr ${{search_space.lr}} --loss=${{search_space.loss}} --fast
  code: src
  environment: azureml:trainer:3
compute: cluster
inputs:
  images: {path: azureml:images:2}
sampling_algorithm: grid
search_space:
  lr: {type: choice, values: [0.1, 0.2]}
  loss: {type: choice, values: [hinge, wgan]}
objective: {goal: minimize, primary_metric: d_loss}
limits: {max_total_trials: 4, max_concurrent_trials: 2, timeout: 90, trial_timeout: 30}
early_termination: {type: bandit, slack_factor: 0.2, delay_evaluation: 5}
"""


@pytest.fixture
def job(tmp_path):
    """`job(text)`: the job of a file beside which is src/train.py."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").touch()

    def load(text: str, *given: str):
        (tmp_path / "job.yml").write_text(text)
        return read.read_job(tmp_path / "job.yml", given)[0]

    return load


def test_a_command_that_calls_a_script_is_one(job, tmp_path):
    command = job(JOB).command
    assert command.script.name == "train.py"
    assert command.script.words == (
        ("--data",),
        (Binding("input", "images"),),
        ("--lr",),
        (Binding("input", "lr"),),
        ("--out=", Binding("output", "model"), "/last"),
    )
    assert command.code == tmp_path / "src"
    assert (command.environment, command.compute) == (Reference("trainer", "3"), "cluster")
    assert command.inputs["lr"] == Literal("0.1")
    images = command.inputs["images"]
    assert (images.path, images.mode) == (StorePath("images", "faces/"), "ro_mount")
    assert command.outputs == {"model": Output()}


@pytest.mark.parametrize(
    "command",
    [
        "python train.py && ls",
        "export A=1; python train.py",
        "python train.py > log.txt",
        "python train.py $HOME",
        "python train.py '$HOME'",
        'python train.py "a\\$b"',
        "python -m train",
        "python -u train.py",
        "bash run.sh",
        "python train.py *.csv",
        "python train.py\npython train.py",
        "python train.py 'unended",
    ],
)
def test_what_only_a_shell_understands_is_left_to_one(job, command):
    text = JOB.replace(
        JOB[: JOB.index("code:")], "command: |\n" + "".join(f"  {line}\n" for line in command.split("\n"))
    )
    assert job(text).command.script is None


def test_quoted_words_and_continued_lines_are_those_of_a_shell(job):
    text = JOB.replace(
        JOB[: JOB.index("code:")], 'command: |\n  python ./train.py \\\n    --config \'{"a b": [1, 2]}\' ""\n'
    )
    script = job(text).command.script
    assert (script.name, script.words) == ("train.py", (("--config",), ('{"a b": [1, 2]}',), ("",)))


def test_further_settings_are_read(job):
    more = (
        "name: run-7\ndisplay_name: Seven\nexperiment_name: faces\ndescription: d\n"
        "tags: {a: true}\nproperties: {p: 1}\n"
        "environment_variables: {LEVEL: 3}\nlimits: {timeout: 60}\n"
        "resources: {instance_count: 2, shm_size: 4g, docker_args: --ipc=host}\n"
        "distribution: {type: mpi, process_count_per_instance: 4}\n"
    )
    found = job(JOB + more)
    assert (found.header.name, found.header.display_name, found.header.experiment) == ("run-7", "Seven", "faces")
    assert (found.header.tags, found.header.properties) == ({"a": "true"}, {"p": "1"})
    command = found.command
    assert (command.variables, command.timeout, command.nodes) == ({"LEVEL": "3"}, 60, 2)
    assert (command.shared_memory, command.docker_arguments) == ("4g", "--ipc=host")
    assert command.distribution == Distribution(kind="mpi", processes=4)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("{path: azureml:ds:2}", Reference("ds", "2")),
        ("{path: azureml:ds@latest}", Reference("ds")),
        (
            "{path: azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/a/b.csv}",
            StorePath("d", "a/b.csv", ("s", "g", "w")),
        ),
        ("{type: uri_file, path: https://example.com/a.csv}", "https://example.com/a.csv"),
        (
            "{type: uri_file, path: wasbs://data@acc.blob.core.windows.net/x/iris.csv}",
            "https://acc.blob.core.windows.net/data/x/iris.csv",
        ),
    ],
)
def test_data_has_a_source(job, given, wanted):
    text = JOB.replace("{type: uri_folder, path: azureml://datastores/images/paths/faces/}", given)
    assert job(text).command.inputs["images"].path == wanted


def test_a_local_folder_is_relative_to_the_file(job, tmp_path):
    text = JOB.replace("azureml://datastores/images/paths/faces/", "./src")
    assert job(text).command.inputs["images"].path == tmp_path / "src"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("7", "7"), ("true", "True"), ("a b", "a b"), ("{type: number, default: 2.5}", "2.5")],
)
def test_a_value_is_put_into_the_command(job, value, wanted):
    assert job(JOB.replace("lr: 0.1", f"lr: {value}")).command.inputs["lr"] == Literal(wanted)


def test_outputs_have_places_and_names(job):
    text = JOB + "    {mode: upload, path: azureml://datastores/d/paths/x/, name: model}\n"
    assert job(text).command.outputs["model"] == Output(mode="upload", path=StorePath("d", "x/"), name="model")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("{type: uri_file}", Output(file="model")),
        (
            "{type: uri_file, path: azureml://datastores/d/paths/x/net.pt}",
            Output(path=StorePath("d", "x/"), file="net.pt"),
        ),
        ("{type: mlflow_model}", Output()),
    ],
)
def test_what_is_a_file_or_a_model_in_v2_is_in_a_folder_in_v1(job, given, wanted):
    assert job(JOB.rstrip() + f" {given}\n").command.outputs["model"] == wanted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "inputs.images}}",
            "inputs.imges}}",
            r"line 1: command uses \${{inputs.imges}}, an unknown input. Did you mean 'images'",
        ),
        ("outputs.model}}", "outputs.m}}", r"line 1: command uses \${{outputs.m}}, an unknown output"),
        ("${{inputs.lr}}", "${{search_space.lr}}", r"uses \${{search_space.lr}}, which is unknown here"),
        ("${{inputs.lr}}", "${{nonsense}}", r"uses \${{nonsense}}, which is unknown"),
        ("train.py", "trian.py", r"line 1: command calls trian.py, but .*src/trian.py does not exist"),
        ("code: src", "code: nowhere", r"line 3: code is 'nowhere', but .* does not exist"),
        ("code: src", "code: src/train.py", "line 3: code is a file"),
        ("code: src", "code: azureml:code:1", "SDK v1 needs a folder"),
        ("compute: azureml:cluster\n", "", "compute is missing: SDK v1 has no serverless compute"),
        ("azureml:cluster", "local", "line 5: compute is refused: .* `--local`"),
        ("azureml:cluster", "serverless", "SDK v1 supports only the name of a cluster"),
        (
            "azureml:trainer:3",
            "azureml://registries/r/environments/e/versions/1",
            "SDK v1 does not support registries",
        ),
        ("azureml:trainer:3", "azureml:trainer@prod", "the only label that SDK v1 supports"),
        ("azureml:trainer:3", "trainer", "must be azureml:NAME:VERSION"),
        ("compute:", "services: {a: {type: ssh}}\ncompute:", "line 5: services is refused: SDK v1 opens no ports"),
        ("compute:", "identity: {type: managed}\ncompute:", "line 5: identity is refused"),
        ("compute:", "resources: {instance_type: x}\ncompute:", "line 5: resources.instance_type is refused"),
        ("compute:", "distribution: {type: ray}\ncompute:", "line 5: distribution.type is 'ray'"),
        (
            "compute:",
            "resources: {docker_args: -e 'A}\ncompute:",
            "line 5: resources.docker_args is .* No closing quotation",
        ),
        ("compute:", "limits: {timeout: soon}\ncompute:", "line 5: limits.timeout must be an integer"),
        ("azureml://datastores/images/paths/faces/", "wasbs://c@a.blob/x", "register the container as a datastore"),
        (
            "azureml://datastores/images/paths/faces/",
            "missing",
            "line 7: inputs.images.path is 'missing', but ",
        ),
        (
            "{type: uri_folder, path: azureml://datastores/images/paths/faces/}",
            "{type: mlflow_model, path: azureml:net:1}",
            "is a registered model, no input of a job in SDK v1",
        ),
        ("{type: uri_folder,", "{type: mltable,", "an mltable that is not registered"),
        (
            "{type: uri_folder, path: azureml://datastores/images/paths/faces/}",
            "{mode: rw_mount, path: azureml:faces:1}",
            "rw_mount, which SDK v1 has for azureml://datastores/",
        ),
        ("{type: uri_folder,", "{mode: direct,", "in mode direct, which SDK v1 has for tables"),
        ("  images:", "  my-images:", "line 7: inputs.my-images: SDK v1 takes letters, digits"),
        ("lr: 0.1", "lr: {type: integer, default: x}", "is 'x', which is not a valid integer"),
        (
            "command: >-",
            "type: spark\ncommand: >-",
            r"line 1: type is 'spark': SDK v1 can run command, pipeline and sweep",
        ),
    ],
)
def test_what_sdk_v1_cannot_do_is_refused_by_name_and_line(job, old, new, message):
    assert old in JOB
    with pytest.raises(ConfigError, match=message):
        job(JOB.replace(old, new))


def test_the_jobs_of_a_pipeline_come_in_an_order_in_which_they_can_run(job):
    first, second = job(PIPELINE).nodes
    assert (first.name, second.name, second.sources) == ("prepare", "train", {"prepare"})
    assert first.command.compute == second.command.compute == "cluster"
    raw = first.command.inputs["raw"]
    assert isinstance(raw, DataInput)
    assert (raw.kind, raw.path) == ("uri_file", Reference("raw"))
    assert second.command.inputs["lr"] == Literal("0.1")
    assert second.command.inputs["table"] == Binding("job output", "table", "prepare")


def test_an_input_that_the_command_does_not_use_may_stand_for_an_order(job):
    after = '{type: uri_folder, path: "${{parent.jobs.prepare.outputs.table}}", mode: direct}'
    old = 'table: "${{parent.jobs.prepare.outputs.table}}"'
    assert old in PIPELINE
    text = PIPELINE.replace(old, f"{old}, after: {after}")
    prepare, train = job(text).nodes
    assert (prepare.waits, train.waits) == ({}, {"after": "prepare"})
    with pytest.raises(BadValue, match=r"line 11: jobs.train.inputs.after is in mode direct and used in the command"):
        job(text.replace("${{inputs.lr}}", "${{inputs.lr}} ${{inputs.after}}"))


def test_settings_of_a_pipeline_are_read(job):
    more = (
        "settings: {default_compute: c, default_datastore: azureml:d, "
        "continue_on_step_failure: true, force_rerun: true}"
    )
    found = job(PIPELINE.replace("settings: {default_compute: azureml:cluster}", more))
    assert (found.datastore, found.continue_on_failure, found.force_rerun) == ("d", True, True)


def test_a_component_is_what_its_node_does_not_say(job):
    text = PIPELINE.replace(
        "    command: python train.py ${{inputs.raw}} ${{outputs.table}}\n"
        "    code: src\n    environment: azureml:trainer:3\n",
        "    component:\n      type: command\n"
        "      command: python train.py ${{inputs.raw}} ${{outputs.table}} ${{inputs.n}}\n"
        "      code: src\n      environment: azureml:trainer:3\n      is_deterministic: false\n"
        "      inputs: {raw: {type: uri_file}, n: {type: integer, default: 4}}\n"
        "      outputs: {table: {type: uri_folder}}\n",
    )
    first = job(text).nodes[0]
    assert first.allow_reuse is False
    assert first.command.inputs["n"] == Literal("4")
    assert first.command.environment == Reference("trainer", "3")


def test_a_component_may_have_a_file_of_its_own(job, tmp_path):
    (tmp_path / "part.yml").write_text(
        "command: python train.py ${{outputs.table}}\n"
        "code: src\nenvironment: azureml:trainer:3\noutputs: {table: {}}\n"
    )
    text = PIPELINE[: PIPELINE.index("  prepare:")] + "  prepare:\n    component: part.yml\n"
    assert set(job(text).nodes[0].command.outputs) == {"table"}


def test_an_output_may_be_that_of_the_pipeline(job):
    text = PIPELINE.replace("{table: }", '{table: "${{parent.outputs.table}}"}') + (
        "outputs:\n  table: {path: azureml://datastores/d/paths/t/}\n"
    )
    assert job(text).nodes[0].command.outputs["table"].path == StorePath("d", "t/")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "jobs.prepare.outputs",
            "jobs.prepaer.outputs",
            r"line 11: .*the pipeline has no job 'prepaer'. Did you mean 'prepare'",
        ),
        ('outputs.table}}", lr', 'outputs.tabel}}", lr', "the outputs of prepare are: table"),
        ('{raw: "${{parent.inputs.raw}}"}', '{raw: "${{parent.inputs.r}}"}', "an unknown input of the pipeline"),
        ('{raw: "${{parent.inputs.raw}}"}', '{raw: "${{inputs.raw}}"}', "is bound to"),
        (
            '{raw: "${{parent.inputs.raw}}"}',
            '{raw: "${{parent.jobs.train.outputs.m}}"}\n    # an unknown output, and a cycle',
            "wait for each other in a cycle",
        ),
        (
            "settings: {default_compute: azureml:cluster}\n",
            "",
            "compute is missing, and settings.default",
        ),
        ("    inputs: {raw", "    type: sweep\n    inputs: {raw", "jobs of a pipeline must be commands"),
        ("type: pipeline", "type: pipeline\nname: mine", "name is refused: SDK v1 gives runs of pipelines their ids"),
        (
            "    code: src\n    environment: azureml:trainer:3\n    inputs: {table",
            "    inputs: {table",
            "environment is m",
        ),
        (
            "python train.py ${{inputs.raw}}",
            "sh -c 'cat ${{inputs.raw}}'",
            "inside single quotes, where a shell does not",
        ),
        ("type: pipeline", "type: pipeline\nlimits: {timeout: 1}", "SDK v1 has no timeout of pipelines"),
    ],
)
def test_a_mistake_in_a_pipeline_is_told(job, old, new, message):
    assert old in PIPELINE
    with pytest.raises(ConfigError, match=message):
        job(PIPELINE.replace(old, new))


def test_a_sweep_has_hyperdrives_words(job):
    found = job(SWEEP)
    assert found.space == {"--lr": ("choice", [[0.1, 0.2]]), "--loss": ("choice", [["hinge", "wgan"]])}
    assert found.script.words == (("--data",), (Binding("input", "images"),), ("--fast",))
    assert (found.sampling, found.metric, found.goal) == ("grid", "d_loss", "minimize")
    assert (found.total, found.concurrent, found.minutes, found.trial.timeout) == (4, 2, 2, 30)
    assert found.policy.settings == {"slack_factor": 0.2, "evaluation_interval": 1, "delay_evaluation": 5}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("{type: uniform, min_value: 0.1, max_value: 1}", ("uniform", [0.1, 1])),
        ("{type: loguniform, min_value: -6, max_value: -1}", ("loguniform", [-6, -1])),
        ("{type: quniform, min_value: 1, max_value: 9, q: 2}", ("quniform", [1, 9, 2])),
        ("{type: normal, mu: 0, sigma: 1.5}", ("normal", [0, 1.5])),
        ("{type: randint, upper: 5}", ("randint", [5])),
    ],
)
def test_every_distribution_has_its_arguments_in_order(job, given, wanted):
    assert job(SWEEP.replace("{type: choice, values: [0.1, 0.2]}", given)).space["--lr"] == wanted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--fast", "${{search_space.lr}}", "other than as `--option"),
        ("--fast", "--again ${{search_space.lr}}", r"uses \${{search_space.lr}} twice"),
        ("--fast", "--x ${{search_space.x}}", "search_space has: lr, loss"),
        (" --lr ${{search_space.lr}}", "", r"line 3: .*does not use \${{search_space.lr}}"),
        ("--fast", "&& ls", "HyperDrive of SDK v1 runs no shell"),
        ("inputs.images}}", "inputs.image}}", "an unknown input"),
        ("values: [0.1, 0.2]", "values: []", r"line 11: search_space.lr.values must be a list of values"),
        (
            "{type: choice, values: [0.1, 0.2]}",
            "{type: uniform, min_value: 2, max_value: 1}",
            "not less than max_value",
        ),
        ("{type: choice, values: [0.1, 0.2]}", "{type: uniform, min_value: 2}", "max_value is missing"),
        ("{type: choice, values: [0.1, 0.2]}", "{type: randint, upper: 3, q: 1}", "has no meaning for randint"),
        ("{type: choice, values: [0.1, 0.2]}", "{type: normal, mu: 1, sigma: -1}", "sigma is -1; must not"),
        ("grid", "sobol", "sampling_algorithm is 'sobol'"),
        ("grid", "{type: random, seed: 3}", "sampling_algorithm.seed is refused"),
        ("minimize", "smallest", "objective.goal is 'smallest'"),
        ("slack_factor: 0.2", "slack_factor: 0.2, slack_amount: 1", "give slack_factor or slack_amount"),
        ("slack_factor: 0.2", "truncation_percentage: 9", "has no meaning for bandit"),
        ("max_total_trials: 4", "max_total_trials: 4000", "must be 1 to 1000"),
        ("timeout: 90", "timeout: 9000000", "takes seven days at most"),
        ("trial:\n", "resources: {instance_count: 1}\ntrial:\n", "give the resources of the trial"),
    ],
)
def test_a_mistake_in_a_sweep_is_told(job, old, new, message):
    assert old in SWEEP
    with pytest.raises(ConfigError, match=message):
        job(SWEEP.replace(old, new))
