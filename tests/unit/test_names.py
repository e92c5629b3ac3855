"""Azure ML's rules for names."""

from __future__ import annotations

import pytest

from azureml_wrapper.assets.names import (
    check_compute_name,
    check_datastore_name,
    check_experiment_name,
    check_new_workspace_name,
    distinct_names,
    folder_name,
    input_name,
)
from azureml_wrapper.errors import BadName


@pytest.mark.parametrize("name", ["workspaceblobstore", "test_datastore", "a1"])
def test_a_good_datastore_name_is_taken(name):
    assert check_datastore_name(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test-datastore", r"invalid in it: '-'\. Use a name such as 'test_datastore'"),
        ("Données", "invalid in it: 'D' 'é'"),
        ("", "only lowercase letters, digits and '_'"),
    ],
)
def test_a_datastore_name_that_azure_refuses_is_refused_with_the_characters(name, told):
    with pytest.raises(BadName, match=told):
        check_datastore_name(name)


@pytest.mark.parametrize("name", ["a", "my-experiment_2", "0", "x" * 256])
def test_a_good_experiment_name_is_taken(name):
    assert check_experiment_name(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nom de l'experiment", r"invalid in it: ' ' \"'\"\. Use a name such as 'nom-de-l-experiment'"),
        ("-a", "starting with a letter or digit"),
        ("x" * 257, "1 to 256"),
        ("a/b", "'/'"),
        ("", "1 to 256"),
    ],
)
def test_an_experiment_name_that_azure_refuses_is_refused_with_the_characters(name, told):
    with pytest.raises(BadName, match=told):
        check_experiment_name(name)


@pytest.mark.parametrize("name", ["test-compute001", "Cc", "x" * 32])
def test_a_good_compute_name_is_taken(name):
    assert check_compute_name(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test_compute", r"invalid in it: '_'\. Use a name such as 'test-compute'"),
        ("1st", r"starting with a letter and .*digit\. Use a name such as 'st'"),
        ("gpu-", "ending with a letter or digit"),
        ("x" * 33, "2 to 32"),
        ("é", "invalid in it: 'é'.$"),
        ("", "2 to 32"),
    ],
)
def test_a_compute_name_that_azure_refuses_is_refused_with_the_characters(name, told):
    with pytest.raises(BadName, match=told):
        check_compute_name(name)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("dataset_name_in_ws", "dataset_name_in_ws"),
        ("sales-2024", "sales_2024"),
        ("2024 sales", "_2024_sales"),
        ("données", "donn_es"),
    ],
)
def test_an_input_is_called_as_its_dataset_as_far_as_azure_allows(dataset, expected):
    assert input_name(dataset) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step name", "step name"),
        ("../../etc", "_.._etc"),
        ("a/b\\c", "a_b_c"),
        ("..", "_"),
        ("", "_"),
        ("nul\0", "nul_"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_folder_stays_where_it_belongs(name, expected):
    assert folder_name(name) == expected


@pytest.mark.parametrize("name", ["abc", "my-workspace_1", "1abc", "a" * 33])
def test_a_good_workspace_name_is_taken(name):
    assert check_new_workspace_name(name) == name


@pytest.mark.parametrize("name", ["ab", "a" * 34, "-abc", "my workspace", "nom-é"])
def test_a_workspace_name_that_azure_refuses_is_refused(name):
    with pytest.raises(BadName, match="its name is invalid for a new one"):
        check_new_workspace_name(name)


@pytest.mark.parametrize(
    ("names", "distinct"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "b", "a"], ["a", "a (2)", "b", "a (3)"]),
        # A name that a step really has is left alone, wherever it stands.
        (["a", "a", "a (2)"], ["a", "a (3)", "a (2)"]),
        (["a (2)", "a", "a", "a (2)"], ["a (2)", "a", "a (3)", "a (2) (2)"]),
        ([], []),
    ],
)
def test_equal_names_are_numbered(names, distinct):
    assert distinct_names(names) == distinct


def test_names_that_differ_in_case_are_numbered_where_that_is_the_same_folder():
    assert distinct_names(["Train", "train", "TRAIN"], str.casefold) == ["Train", "train (2)", "TRAIN (3)"]
