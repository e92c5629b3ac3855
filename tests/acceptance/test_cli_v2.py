"""`aml compute|datastore|environment|job create -f FILE` as a user types it: the commands of `az ml`.

The files, the script and the data have the shape of a public repository that trains a GAN with `az ml`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.acceptance.conftest import own_workspace

CONFIG = {"subscription_id": "local", "resource_group": "gans"}
COMPUTE = """\
$schema: https://azuremlschemas.azureedge.net/latest/amlCompute.schema.json
name: gpu-cluster
type: amlcompute
size: Standard_NC6
min_instances: 0
max_instances: 2
idle_time_before_scale_down: 120
tier: low_priority
"""
DATASTORE = """\
$schema: https://azuremlschemas.azureedge.net/latest/azureBlob.schema.json
name: images
type: azure_blob
description: Where the input images are
account_name: ganimages
container_name: celeba
credentials:
  account_key: Zm9yIHRlc3RzIG9ubHksIG5vIGFjY291bnQgaGFzIHRoaXMga2V5
"""
JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
display_name: bmsg-gan
experiment_name: bmsg-gan
description: Train on a folder of images
tags: {model: bmsg-gan}
code: ../sourcecode
command: >-
  python train.py
  --images_dir ${{inputs.images_dir}}
  --loss_function ${{inputs.loss_function}}
  --num_epochs ${{inputs.num_epochs}}
  --sample_dir=${{outputs.samples}}/first
inputs:
  images_dir:
    type: uri_folder
    path: azureml://datastores/images/paths/faces/
  loss_function: relativistic-hinge
  num_epochs: 3
outputs:
  samples:
    type: uri_folder
environment: azureml:AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu@latest
environment_variables: {LOG_EVERY: 2}
compute: azureml:gpu-cluster
"""
TRAIN = """\
import argparse
import os
from pathlib import Path

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--images_dir")
parser.add_argument("--loss_function")
parser.add_argument("--num_epochs", type=int)
parser.add_argument("--sample_dir")
args = parser.parse_args()
run = Run.get_context()
images = sorted(path.name for path in Path(args.images_dir).iterdir())
print(f"{len(images)} images, {args.loss_function}, every {os.environ['LOG_EVERY']}")
for epoch in range(args.num_epochs):
    run.log("d_loss", 1 / (epoch + 1))
Path(args.sample_dir).mkdir(parents=True)
Path(args.sample_dir, "sample.txt").write_text(" ".join(images))
Path("outputs", "generator.txt").write_text("weights")
"""
UPLOAD = """
from azureml.core import Datastore
from azureml_wrapper import WorkspaceWrapper
store = Datastore.get(WorkspaceWrapper.from_config().ws, "images")
for name in ("a.png", "b.png"):
    store.blob_service.get_blob_client(store.container_name, f"faces/{name}").upload_blob(b"png")
"""
# Prints what a run has left: its files, its outputs, its metrics.
INSPECT = """
import json, sys
from azureml_wrapper import WorkspaceWrapper
run = WorkspaceWrapper.from_config().ws.get_run(sys.argv[1])
details = run.get_details()
outputs = [each["dataset"] for each in details["outputDatasets"]]
print(json.dumps({
    "files": sorted(run.get_file_names()),
    "texts": [open(path).read() for output in outputs for path in output.download()],
    "metrics": run.get_metrics(),
    "name": run.display_name, "description": run.description, "tags": run.tags,
    "script": details["runDefinition"]["script"],
}))
"""


@pytest.fixture
def repository(shared):
    """A shell in a clone of such a repository, connected to a workspace on this machine."""
    files = {
        ".azureml/config.json": json.dumps({**CONFIG, "workspace_name": own_workspace(shared.folder)}),
        "azure-cli/compute-target.yml": COMPUTE,
        "azure-cli/datastore.yml": DATASTORE,
        "azure-cli/job.yml": JOB,
        "sourcecode/train.py": TRAIN,
    }
    for name, text in files.items():
        file = shared.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return shared


@pytest.fixture
def cluster(repository):
    repository.aml("compute", "create", "-f", "azure-cli/compute-target.yml")
    return repository


def write(shell, name: str, text: str) -> str:
    (shell.folder / name).write_text(text)
    return name


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_three_commands_of_az_ml_run_as_they_stand(repository):
    made = repository.aml("compute", "create", "-f", "azure-cli/compute-target.yml")
    assert "Compute 'gpu-cluster' created: Standard_NC6, lowpriority, 0 to 2 nodes" in made.stdout
    store = repository.aml("datastore", "create", "-f", "azure-cli/datastore.yml")
    assert last_line(store.stdout) == (
        "Datastore 'images' registered: container celeba of ganimages, with an account key."
    )
    assert "line 4: description is not kept" in store.stderr
    repository.python(UPLOAD)
    submitted = repository.aml("job", "create", "-f", "azure-cli/job.yml")
    run_id = re.fullmatch(r"Run (bmsg-gan_\d+_[0-9a-f]{8})", submitted.stdout.splitlines()[0])[1]
    streamed = repository.aml("job", "create", "-f", "azure-cli/job.yml", "--stream", "--set", "inputs.num_epochs=1")
    assert "2 images, relativistic-hinge, every 2" in streamed.stdout
    assert "curated/pytorch-1.10-ubuntu18.04-py38-cuda11-gpu is not used" in streamed.stdout
    assert last_line(streamed.stdout).endswith(": Completed")
    found = json.loads(last_line(repository.python(INSPECT, run_id).stdout))
    assert {"outputs/generator.txt", "user_logs/std_log.txt"} <= set(found["files"])
    assert found["texts"] == ["a.png b.png"]
    assert found["metrics"]["d_loss"] == [1, 1 / 2, 1 / 3]
    assert (found["name"], found["description"]) == ("bmsg-gan", "Train on a folder of images")
    assert (found["tags"]["model"], found["script"]) == ("bmsg-gan", "train.py")


PIPELINE = """\
type: pipeline
display_name: two jobs
experiment_name: v2
settings: {default_compute: azureml:gpu-cluster}
inputs:
  words: {type: uri_folder, path: data}
  factor: 3
jobs:
  total:
    command: >-
      python part.py ${{inputs.numbers}}/numbers.txt ${{inputs.factor}} '{"a b": 1}'
    code: parts
    environment: azureml:AzureML-Minimal@latest
    inputs:
      numbers: {type: uri_folder, path: "${{parent.jobs.count.outputs.numbers}}", mode: download}
      factor: ${{parent.inputs.factor}}
  count:
    command: wc -l < ${{inputs.words}}/words.txt > ${{outputs.numbers}}/numbers.txt
    environment: {conda_file: {dependencies: [python, {pip: [azureml-defaults]}]}}
    inputs: {words: "${{parent.inputs.words}}"}
    outputs: {numbers: }
"""
PART = """\
import sys
from azureml.core import Run
number = int(open(sys.argv[1]).read())
print("got", sys.argv[3])
Run.get_context().log("total", number * int(sys.argv[2]))
"""


@pytest.mark.slow
def test_the_jobs_of_a_pipeline_pass_folders_on(cluster):
    for name in ("data", "parts"):
        (cluster.folder / name).mkdir()
    (cluster.folder / "data" / "words.txt").write_text("b\na\n")
    (cluster.folder / "parts" / "part.py").write_text(PART)
    write(cluster, "pipeline.yml", PIPELINE)
    done = cluster.aml("job", "create", "-f", "pipeline.yml", "--stream")
    assert re.search(r"count Completed\n(.*\n)*.*total Completed", done.stdout)
    again = cluster.aml("job", "create", "-f", "pipeline.yml", "--stream")
    assert "total reused" in again.stdout
    program = "import sys; from azureml_wrapper import *; ws = WorkspaceWrapper.from_config().ws\n"
    program += "print([s.metrics for s in RunWrapper(ws.get_run(sys.argv[1])).steps.values()])"
    assert last_line(cluster.python(program, done.stdout.split()[1]).stdout) == "[{}, {'total': 6}]"


SWEEP = """\
type: sweep
trial:
  code: parts
  command: python hyper.py --lr ${{search_space.lr}} --loss=${{search_space.loss}}
  environment: azureml:AzureML-Minimal@latest
compute: azureml:gpu-cluster
sampling_algorithm: grid
search_space:
  lr: {type: choice, values: [0.1, 0.3]}
  loss: {type: choice, values: [hinge, wgan]}
objective: {goal: maximize, primary_metric: score}
limits: {max_total_trials: 10, max_concurrent_trials: 2}
experiment_name: sweeps
"""
HYPER = """\
import argparse
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--loss")
args = parser.parse_args()
best = args.lr * (2 if args.loss == "wgan" else 1)
for score in (best, best / 10):
    Run.get_context().log("score", score)
"""


@pytest.mark.slow
def test_a_sweep_names_its_best_run(cluster):
    (cluster.folder / "parts").mkdir()
    (cluster.folder / "parts" / "hyper.py").write_text(HYPER)
    write(cluster, "sweep.yml", SWEEP)
    done = cluster.aml("job", "create", "-f", "sweep.yml", "--stream")
    best = r'Best run (HD_[0-9a-f-]+_\d): score = 0\.6, with {"--lr": 0\.3, "--loss": "wgan"}\.'
    assert re.fullmatch(best, last_line(done.stdout))
    assert done.stdout.count(" Completed\n") == 4


def test_mistakes_are_told_with_file_and_line_before_anything_is_connected(repository, shell):
    repository = replace(repository, home=shell.home)
    text = JOB.replace("inputs.loss_function}}", "inputs.loss_functoin}}")
    text = text.replace("compute:", "services: {}\ncompute:")
    write(repository, "azure-cli/job.yml", text)
    told = repository.fails("job", "create", "-f", "azure-cli/job.yml", code=2)
    assert "azure-cli/job.yml has 2 problems:" in told
    assert re.search(r"line 7: command uses \${{inputs.loss_functoin}}, .*Did you mean 'loss_function'", told)
    assert "services is refused: SDK v1 opens no ports of jobs." in told
    assert not repository.home.exists()


@pytest.mark.slow
def test_the_workspace_is_that_of_the_options_of_az_ml(repository):
    (repository.folder / ".azureml" / "config.json").unlink()
    other = f"{own_workspace(repository.folder)}-2"
    create = ("environment", "create", "-f", write(repository, "environment.yml", "name: mine\nimage: ubuntu\n"))
    assert "No .azureml/config.json" in repository.fails(*create, code=2)
    options = ("-g", "gans", "-w", other, "--subscription", "local")
    registered = repository.aml(*create, *options)
    assert last_line(registered.stdout) == "Environment 'mine', version 1, is registered."
    changed = repository.aml(*create, "--local", "-w", other, "-g", "gans", "--set", "image=debian")
    assert last_line(changed.stdout) == "Environment 'mine', version 2, is registered."
