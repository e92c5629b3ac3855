"""The variables beside a pipeline configuration file: where they are looked for, and what is told of them."""

from __future__ import annotations

import pytest

from azureml_wrapper.errors import BadValue, MissingKey
from azureml_wrapper.pipeline_files.variables import Blob, ClusterVariables, Variables

BLOB = {"BLOB_ACCOUNT_NAME": "acc", "BLOB_CONTAINER_NAME": "box", "BLOB_ACCOUNT_KEY": "hunter2"}
CLUSTER = "AML_COMPUTE_CLUSTER_"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """We stand in `here`; the config is in `config/files`. No variable is set."""
    for name in (*BLOB, "BLOB_SUB_ID", *(CLUSTER + end for end in ("NAME", "MIN_NODES", "MAX_NODES", "SKU"))):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    (tmp_path / "config" / "files").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def read(folders, monkeypatch):
    """The variables, where the environment has these."""

    def make(**given):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return Variables(folders / "config" / "files")

    return make


def test_the_environment_wins_over_the_file(read, folders):
    (folders / "here" / ".env").write_text(f"{CLUSTER}NAME=of-file\n{CLUSTER}SKU=Standard_A1\n")
    assert read(**{CLUSTER + "NAME": "of-environment"}).cluster() == ClusterVariables(
        "of-environment", sku="Standard_A1"
    )


@pytest.mark.parametrize("place", ["here", "config/files", "config"])
def test_the_file_is_here_or_with_the_config_or_above_it(read, folders, place):
    (folders / place / ".env").write_text(f"{CLUSTER}NAME=found\n")
    assert read().cluster().name == "found"


def test_the_file_here_goes_before_that_of_the_config(read, folders):
    (folders / "here" / ".env").write_text(f"{CLUSTER}NAME=here\n")
    (folders / "config" / ".env").write_text(f"{CLUSTER}NAME=there\n")
    assert read().cluster().name == "here"


def test_the_container_is_whole_and_its_key_is_not_shown(read):
    blob = read(**BLOB, BLOB_SUB_ID="sub").blob("data")
    assert blob == Blob("acc", "box", "hunter2", "sub")
    assert "hunter2" not in repr(blob)


def test_what_is_missing_of_the_container_is_named(read):
    with pytest.raises(MissingKey, match=r"'data' is not registered.*BLOB_CONTAINER_NAME, BLOB_ACCOUNT_KEY are not"):
        read(BLOB_ACCOUNT_NAME="acc").blob("data")


def test_a_cluster_has_a_name(read):
    with pytest.raises(
        MissingKey, match=r"AML_COMPUTE_CLUSTER_NAME is not set in the environment or in a \.env file"
    ):
        read().cluster()


def test_numbers_of_nodes(read):
    found = read(**{CLUSTER + "NAME": "c", CLUSTER + "MIN_NODES": "1", CLUSTER + "MAX_NODES": "4"}).cluster()
    assert (found.min_nodes, found.max_nodes, found.sku) == (1, 4, None)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MAX_NODES": "four"}, "MAX_NODES must be a number of nodes, got 'four'"),
        ({"MIN_NODES": "-1"}, "MIN_NODES must be a number of nodes, got '-1'"),
        (
            {"MIN_NODES": "3", "MAX_NODES": "2"},
            r"MIN_NODES is 3, which is more than AML_COMPUTE_CLUSTER_MAX_NODES \(2\)",
        ),
    ],
)
def test_numbers_that_are_none(read, given, told):
    with pytest.raises(BadValue, match=told):
        read(**{CLUSTER + "NAME": "c"}, **{CLUSTER + name: value for name, value in given.items()}).cluster()
