"""What files of `az ml` become in a workspace, through SDK v1."""

from __future__ import annotations

import pytest
from azureml.core import Dataset, Datastore, Environment
from azureml.core.compute import ComputeTarget

from azureml_wrapper import RunWrapper
from azureml_wrapper.errors import (
    AlreadyRegistered,
    BadValue,
    NotRegistered,
    UnregisteredCompute,
    UnregisteredDataset,
    UnregisteredDatastore,
    UnregisteredEnvironment,
)
from azureml_wrapper.v2 import amlcompute, blob_datastore, environment_file, read
from azureml_wrapper.v2.v1_jobs.submitting import submit

CLUSTER = "v2cluster"
NOTHING = "environment: {conda_file: {dependencies: [python, {pip: [azureml-defaults]}]}}\n"


@pytest.fixture(scope="module")
def _cluster(ws, tmp_path_factory):
    file = tmp_path_factory.mktemp("v2") / "compute.yml"
    file.write_text(f"name: {CLUSTER}\ntype: amlcompute\nsize: Standard_D2_v2\nmax_instances: 4\n")
    amlcompute.create(ws, read.read_compute(file)[0])


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "file.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def run(ws, file, _cluster, unique):
    """`run(text)`: the job of a file, submitted; it has a cluster and an experiment, if it does not say otherwise."""

    def submitted(text: str) -> RunWrapper:
        kind = "" if "type: pipeline" in text else f"compute: azureml:{CLUSTER}\n"
        return submit(ws, read.read_job(file(f"experiment_name: {unique('v2')}\n{kind}{text}"))[0])

    return submitted


def compute_file(name: str, **changes: object) -> str:
    settings = {"name": name, "type": "amlcompute", "size": "Standard_D2_v2", "max_instances": 2, **changes}
    return "".join(f"{key}: {value}\n" for key, value in settings.items())


def test_a_cluster_is_made_changed_and_refused(ws, file, unique):
    name = unique("c")

    def create(**changes: object) -> str:
        return amlcompute.create(ws, read.read_compute(file(compute_file(name, **changes)))[0])

    assert "created: Standard_D2_v2, dedicated, 0 to 2 nodes" in create(description="For tests", tags="{a: b}")
    made = ComputeTarget(ws, name)
    assert (made.vm_size, made.scale_settings.maximum_node_count, made.tags) == ("STANDARD_D2_V2", 2, {"a": "b"})
    assert create().endswith("unchanged.")
    kept = "Ignored: description, tags, which SDK v1 sets only when it creates a cluster."
    assert create(description="Others", tags="{c: d}").endswith(f"unchanged. {kept}")
    assert "changed" in create(max_instances=3, min_instances=1)
    assert ComputeTarget(ws, name).scale_settings.maximum_node_count == 3
    with pytest.raises(AlreadyRegistered, match="compute_size is STANDARD_D2_V2, not STANDARD_D3_V2"):
        create(size="Standard_D3_v2")


@pytest.mark.local_only
def test_a_datastore_is_registered_with_a_key_and_keeps_its_container(ws, file, unique):
    name = unique("d")
    account = f"type: azure_blob\naccount_name: {name}\n"
    text = f"name: {name}\n{account}container_name: faces\ncredentials: {{account_key: a2V5}}\n"
    assert "registered: container faces" in blob_datastore.create(ws, read.read_datastore(file(text))[0])
    assert Datastore.get(ws, name).account_key == "a2V5"
    assert "updated" in blob_datastore.create(ws, read.read_datastore(file(text))[0])
    with pytest.raises(AlreadyRegistered, match="container faces"):
        blob_datastore.create(ws, read.read_datastore(file(text.replace("faces", "others")))[0])


def test_an_environment_is_registered_with_a_version_or_the_next_one(ws, file, unique):
    name = unique("e")
    text = f"name: {name}\nimage: ubuntu\nconda_file: {{dependencies: [python=3.10, {{pip: [pandas]}}]}}\n"
    assert "version 1, is registered" in environment_file.create(ws, read.read_environment(file(text))[0])
    assert "version 7, is registered" in environment_file.create(
        ws, read.read_environment(file(text + "version: 7\n"))[0]
    )
    found = Environment.get(ws, name, "7")
    assert found.docker.base_image == "ubuntu"
    assert list(found.python.conda_dependencies.pip_packages) == ["pandas"]
    with pytest.raises(AlreadyRegistered, match="already has a version 7 with other content"):
        environment_file.create(ws, read.read_environment(file(text.replace("ubuntu", "debian") + "version: 7\n"))[0])


def test_a_shells_command_gets_folders_values_and_quotes(run, file):
    file("b\na\n", "data/words.txt")
    text = """\
command: |
  sort "${{inputs.words}}/words.txt" > ${{outputs.sorted}}/words.txt && cat ${{outputs.sorted}}/words.txt
  echo '${{inputs.n}}  x' "$LEVEL"
inputs: {words: {type: uri_folder, path: data}, n: 7}
outputs: {sorted: }
environment_variables: {LEVEL: 3}
"""
    assert run(text + NOTHING).wait().logs().endswith("a\nb\n7  x 3\n")


@pytest.mark.slow
def test_an_upload_of_the_same_content_is_found_again(run, file):
    file("one", "data/one.txt")
    text = "command: cat ${{inputs.words}}/one.txt\ninputs: {words: {path: data, mode: download}}\n" + NOTHING
    first, second = run(text), run(text)
    for job in (first, second):
        assert job.wait().logs().endswith("one")
    saved = [job.raw.get_details()["inputDatasets"][0]["dataset"].to_path() for job in (first, second)]
    assert saved[0] == saved[1]


@pytest.mark.slow
def test_a_registered_table_is_read_through_the_sdk(ws, run, file, unique):
    name = unique("table")
    store = ws.get_default_datastore()
    store.blob_service.get_blob_client(store.container_name, f"{name}.csv").upload_blob(b"a,b\n1,2\n")
    Dataset.Tabular.from_delimited_files((store, f"{name}.csv")).register(ws, name)
    file(
        "from azureml.core import Run\n"
        "print('rows:', len(Run.get_context().input_datasets['rows'].to_pandas_dataframe()))\n",
        "src/rows.py",
    )
    text = "command: python rows.py ${{inputs.rows}}\ncode: src\n"
    text += f"inputs: {{rows: {{type: mltable, path: azureml:{name}:1}}}}\n"
    assert "rows: 1\n" in run(text + NOTHING).wait().logs()
    with pytest.raises(BadValue, match=r"line 5: .* is a tabular dataset, which SDK v1 cannot mount as uri_folder"):
        run(text.replace("mltable", "uri_folder") + NOTHING)


@pytest.mark.parametrize("kind", ["uri_folder", "mltable"])
def test_a_registered_folder_is_mounted_whatever_v2_calls_it(ws, run, unique, kind):
    name = unique("folder")
    store = ws.get_default_datastore()
    store.blob_service.get_blob_client(store.container_name, f"{name}/a.txt").upload_blob(b"a")
    Dataset.File.from_files((store, name), validate=False).register(ws, name)
    text = f"command: ls ${{{{inputs.d}}}}\ninputs: {{d: {{type: {kind}, path: azureml:{name}@latest}}}}\n"
    assert run(text + NOTHING).wait().logs().endswith("a.txt\n")


@pytest.mark.parametrize(
    "command", ["python add.py ${{inputs.d}}", "echo b > ${{inputs.d}}/b.txt && ls ${{inputs.d}}"]
)
@pytest.mark.parametrize("is_step", [False, True], ids=["job", "step"])
def test_a_path_that_is_mounted_to_be_written_to_holds_what_was_written(ws, run, file, unique, command, is_step):
    path = unique("written")
    store = ws.get_default_datastore()
    store.blob_service.get_blob_client(store.container_name, f"{path}/a.txt").upload_blob(b"a")
    file("import sys\nopen(sys.argv[1] + '/b.txt', 'w').write('b')\n", "src/add.py")
    place = f"azureml://datastores/workspaceblobstore/paths/{path}"
    text = f"command: {command}\ncode: src\n{NOTHING}inputs: {{d: {{path: '{place}', mode: rw_mount}}}}\n"
    if is_step:
        body = "".join(f"    {line}\n" for line in text.splitlines())
        text = f"type: pipeline\nsettings: {{default_compute: {CLUSTER}}}\njobs:\n  add:\n{body}"
    run(text).wait()
    assert store.blob_service.get_blob_client(store.container_name, f"{path}/b.txt").exists()


@pytest.mark.local_only
def test_processes_are_as_many_as_the_file_says(run, file):
    file("import os\nprint('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])\n", "src/rank.py")
    text = "command: python rank.py\ncode: src\ndistribution: {type: pytorch, process_count_per_instance: 2}\n"
    shown = run(text + NOTHING).wait().logs()
    assert "rank 0 of 2\n" in shown
    assert "rank 1 of 2\n" in shown


def test_outputs_go_to_their_place_and_are_registered(ws, run, unique):
    name = unique("made")
    text = f"""\
command: echo hello > ${{{{outputs.made}}}}/a.txt
outputs: {{made: {{mode: upload, name: {name}, path: "azureml://datastores/workspaceblobstore/paths/{name}/x/"}}}}
"""
    run(text + NOTHING).wait()
    assert [path.rsplit("/", 1)[-1] for path in Dataset.get_by_name(ws, name).to_path()] == ["a.txt"]
    store = ws.get_default_datastore()
    assert store.blob_service.get_blob_client(store.container_name, f"{name}/x/a.txt").exists()


@pytest.mark.slow
def test_files_as_outputs_are_files_of_a_folder(run, file):
    file("import sys\nprint('read', open(sys.argv[1]).read())\n", "src/show.py")
    file("import sys\nopen(sys.argv[1], 'w').write('made')\n", "src/make.py")
    text = f"""\
type: pipeline
settings: {{default_compute: {CLUSTER}}}
jobs:
  make:
    command: python make.py ${{{{outputs.table}}}}
    code: src
    {NOTHING.strip()}
    outputs: {{table: {{type: uri_file}}}}
  show:
    command: python show.py ${{{{inputs.table}}}}
    code: src
    {NOTHING.strip()}
    inputs: {{table: "${{{{parent.jobs.make.outputs.table}}}}"}}
"""
    assert "read made\n" in run(text).wait().steps["show"].logs()
    single = "command: echo hello > ${{outputs.o}} && cat ${{outputs.o}}\noutputs: {o: {type: uri_file}}\n"
    assert run(single + NOTHING).wait().logs().endswith("hello\n")


def test_the_header_of_a_job_is_that_of_its_run(run, unique):
    name = unique("mine")
    text = (
        f"name: {name}\ndisplay_name: Mine\ndescription: d\ntags: {{a: b}}\nproperties: {{p: q}}\ncommand: 'true'\n"
    )
    done = run(text + "limits: {timeout: 60}\n" + NOTHING).wait().raw
    assert (done.id, done.display_name, done.description) == (name, "Mine", "d")
    assert (done.tags["a"], done.get_properties()["p"]) == ("b", "q")
    assert done.get_details()["runDefinition"]["maxRunDurationSeconds"] == 60


def test_a_command_that_takes_too_long_is_ended(run):
    failed = run("command: sleep 30\nlimits: {timeout: 1}\n" + NOTHING)
    with pytest.raises(Exception, match=r"\(1 s\)"):
        failed.wait()


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("compute: azureml:nope\ncommand: ls\n" + NOTHING, UnregisteredCompute, "no compute target 'nope'"),
        ("command: ls\nenvironment: azureml:nope:1\n", UnregisteredEnvironment, "no environment azureml:nope:1"),
        (
            "command: ls\ninputs: {a: {path: azureml:nope@latest}}\n" + NOTHING,
            UnregisteredDataset,
            r"file.yml, line \d: workspace .* has no dataset azureml:nope@latest",
        ),
        (
            "command: ls\ninputs: {a: {path: azureml://datastores/nope/paths/x}}\n" + NOTHING,
            UnregisteredDatastore,
            "no datastore 'nope'",
        ),
    ],
)
def test_what_the_workspace_lacks_is_told(ws, file, text, error, message):
    head = "" if text.startswith("compute") else f"compute: {CLUSTER}\n"
    with pytest.raises(error, match=message):
        submit(ws, read.read_job(file(head + text))[0])
    assert issubclass(error, NotRegistered)


def test_a_path_of_another_workspace_is_refused(run):
    path = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/x"
    with pytest.raises(BadValue, match="the path belongs to workspace s/g/w"):
        run(f"command: ls\ninputs: {{a: {{path: '{path}'}}}}\n" + NOTHING)


def test_a_pipeline_may_use_scripts_and_the_shell(run, file):
    file("import sys\nprint('got', open(sys.argv[1]).read().strip(), sys.argv[2:])\n", "src/last.py")
    text = f"""\
type: pipeline
display_name: three
settings: {{default_compute: {CLUSTER}, force_rerun: true}}
inputs: {{word: hello}}
jobs:
  last:
    command: >-
      python last.py ${{{{inputs.folder}}}}/a.txt '{{"a b": 1}}'
    code: src
    {NOTHING.strip()}
    inputs: {{folder: {{path: "${{{{parent.jobs.first.outputs.out}}}}", mode: download}}}}
  first:
    command: echo "${{{{inputs.word}}}}" > ${{{{outputs.out}}}}/a.txt && ls "${{{{outputs.out}}}}"
    {NOTHING.strip()}
    inputs: {{word: "${{{{parent.inputs.word}}}}"}}
    outputs: {{out: }}
"""
    done = run(text).wait()
    assert done.steps["first"].logs().endswith("a.txt\n")
    assert """got hello ['{"a b": 1}']""" in done.steps["last"].logs()
    assert done.raw.display_name == "three"


def test_a_sweep_can_be_cancelled(run, file):
    file("import time\ntime.sleep(60)\n", "src/wait.py")
    text = """\
type: sweep
trial:
  command: python wait.py --lr ${{search_space.lr}}
  code: src
  environment: azureml:AzureML-Minimal@latest
search_space: {lr: {type: choice, values: [1, 2, 3]}}
sampling_algorithm: grid
objective: {goal: maximize, primary_metric: score}
limits: {max_total_trials: 3, max_concurrent_trials: 1}
"""
    waiting = run(text)
    waiting.cancel()
    assert waiting.wait().status == "Canceled"
