"""Runs of pipelines that the SDK has built, submitted again by the wrapper: nothing of them is lost."""

from __future__ import annotations

import pytest
from azureml.core import Dataset
from azureml.data.dataset_consumption_config import DatasetConsumptionConfig
from azureml.pipeline.core import PipelineParameter

from azureml_wrapper import RunWrapper
from tests.wire.pipelines.scripts import FAIL, LIST, said

pytestmark = pytest.mark.slow


def test_a_dataset_that_was_given_for_a_parameter_is_given_again(ws, complete, make, folder):
    def files(name):
        return Dataset.File.from_files((ws.get_default_datastore(), f"{folder}/{name}"), validate=False)

    parameter = PipelineParameter("data", default_value=files("a.csv"))
    data = DatasetConsumptionConfig("data", parameter).as_mount()
    run = complete([make(LIST, "list", [data])], pipeline_parameters={"data": files("sub/b.txt")})
    again = RunWrapper(run).resubmit().wait().raw
    assert [said(each, "list", "FOUND") for each in (run, again)] == [["b"], ["b"]]


@pytest.mark.parametrize("goes_on", [True, False])
def test_whether_other_branches_go_on_is_as_before(submit, make, goes_on):
    run = submit([make(FAIL, "broken")], continue_on_step_failure=goes_on)
    run.wait_for_completion(show_output=False, raise_on_error=False)
    again = RunWrapper(run).resubmit()
    assert again.raw.get_properties()["azureml.continue_on_step_failure"] == str(goes_on)
    again.raw.wait_for_completion(show_output=False, raise_on_error=False)
