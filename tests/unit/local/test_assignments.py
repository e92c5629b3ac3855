"""Values that a REST caller gives to parameters become texts."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.services.pipelines.graphwire import read_values


@pytest.mark.parametrize(
    ("given", "text"), [("a", "a"), (1, "1"), (0.5, "0.5"), (True, "true"), (False, "false"), (None, None)]
)
def test_a_value_becomes_the_text_that_its_json_is(given, text):
    assert read_values({"ParameterAssignments": {"x": given}}).parameters == {"x": text}


@pytest.mark.parametrize("given", [[1], {"a": 1}])
def test_a_value_that_is_neither_text_nor_number_is_refused(given):
    with pytest.raises(Invalid, match=r"ParameterAssignments\.x"):
        read_values({"ParameterAssignments": {"x": given}})
