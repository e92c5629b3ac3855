"""What a project has, and what is said where it does not."""

from __future__ import annotations

import pytest

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.errors import BadArgument, BadName, ConfigError, ConfigNotFound, ScriptNotFound
from azureml_wrapper.projects.project import Project, datasets_path
from azureml_wrapper.projects.project_resources import read_compute_file

CONDA = "name: x\ndependencies:\n  - python=3.10\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pipeline" / "image" / "configs").mkdir(parents=True)
    (tmp_path / "pipeline" / "image" / "train.py").write_text("")
    (tmp_path / "pipeline" / "image" / "configs" / "baseline.json").write_text("{}")
    return Project.at(tmp_path)


@pytest.mark.parametrize(
    "given",
    ["image/train.py", "./image/train.py", "image\\train.py", ".\\image\\train.py", "pipeline/image/train.py"],
)
def test_a_script_is_named_from_the_pipeline_directory(project, given):
    assert project.script(given) == "image/train.py"


def test_a_script_that_is_not_there_is_missed(project):
    with pytest.raises(ScriptNotFound, match=r"Did you mean 'image/train\.py'\? Correct --script-path"):
        project.script("image/trane.py")
    for given in ("../x.py", "/etc/x.py"):
        with pytest.raises(BadArgument, match="leads out of"):
            project.script(given)


def test_a_config_is_named_from_the_pipeline_directory(project):
    assert project.config("image/configs/baseline.json") == "image/configs/baseline.json"
    with pytest.raises(ConfigNotFound, match=r"Did you mean 'image/configs/baseline.json'\? Correct --config-path"):
        project.config("image/configs/baselin.json")


def test_a_folder_without_a_pipeline_directory_is_no_project(tmp_path):
    with pytest.raises(ConfigNotFound, match="has no folder 'pipeline'"):
        Project.at(tmp_path)


def test_the_conda_file_is_pptdaml_yaml(project):
    (project.folder / "other.yaml").write_text(CONDA)
    (project.folder / "pptdaml.yaml").write_text(CONDA)
    assert project.conda_file(None).name == "pptdaml.yaml"


def test_another_conda_file_is_found_where_it_is_the_only_one(project):
    (project.folder / "environment.yml").write_text(CONDA.replace("\n", "\r\n"))
    (project.folder / "compute.yaml").write_text("compute_name: cluster")
    (project.folder / "broken.yaml").write_text("{")
    assert project.conda_file(None).name == "environment.yml"


def test_without_a_conda_file_or_with_several_it_is_said_what_to_do(project):
    with pytest.raises(ConfigNotFound, match=r"pptdaml.yaml not found in .*--conda-file"):
        project.conda_file(None)
    for name in ("a.yml", "b.yml"):
        (project.folder / name).write_text(CONDA)
    with pytest.raises(ConfigNotFound, match=r"several conda files: a.yml, b.yml"):
        project.conda_file(None)


def test_a_compute_is_a_file_or_a_name(project):
    (project.folder / "compute.yaml").write_text("compute_name: cluster")
    assert project.compute_file(None) == project.compute_file("compute.yaml") == project.folder / "compute.yaml"
    assert project.compute_file("gpu-cluster") is None
    with pytest.raises(ConfigNotFound, match=r"gpu.yaml not found in .*the compute target to run on"):
        project.compute_file("gpu.yaml")


def test_only_folders_that_are_there_are_uploaded(project):
    assert project.data == {}
    (project.folder / "data_blobs" / "raw").mkdir(parents=True)
    assert list(project.data) == ["raw"]


@pytest.mark.parametrize(
    ("given", "path"),
    [("working/a/64x64", "working/a/64x64"), ("./working/a/", "working/a"), ("data_blobs\\raw", "raw"), (".", "")],
)
def test_datasets_are_named_from_data_blobs(given, path):
    assert datasets_path(given) == path


def test_datasets_do_not_lead_out():
    for given in ("../x", "/data"):
        with pytest.raises(BadArgument, match="not a path below data_blobs"):
            datasets_path(given)


def test_a_compute_file_has_the_words_of_register_compute(tmp_path):
    file = tmp_path / "compute.yaml"
    file.write_text("compute_name: cluster\ncompute_size: STANDARD_NC6\ncompute_max_nodes: 2\n")
    compute = read_compute_file(file)
    assert (compute.name, compute.cluster) == ("cluster", Cluster(vm_size="STANDARD_NC6", max_nodes=2))


def test_a_compute_file_may_be_one_of_az_ml(tmp_path):
    file = tmp_path / "compute.yaml"
    file.write_text("name: cluster\ntype: amlcompute\nsize: STANDARD_NC6\nmax_instances: 2\ntier: low_priority\n")
    compute = read_compute_file(file)
    wanted = Cluster(vm_size="STANDARD_NC6", max_nodes=2, vm_priority="lowpriority", idle_seconds=120)
    assert (compute.name, compute.cluster) == ("cluster", wanted)


def test_a_mistake_in_a_compute_file_is_told_with_its_line(tmp_path):
    file = tmp_path / "compute.yaml"
    file.write_text("compute_name: cluster\ncompute_sise: STANDARD_NC6\ncompute_max_nodes: 0\n")
    with pytest.raises(ConfigError) as failed:
        read_compute_file(file)
    told = str(failed.value)
    assert "compute_size" in told
    assert "line 2" in told
    assert "line 3" in told
    file.write_text("compute_name: my_cluster\n")
    with pytest.raises(BadName, match="my_cluster"):
        read_compute_file(file)
