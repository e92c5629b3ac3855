"""Parts of a run's record in run history's form: errors, and the datasets that a run has read and made.

The record holds them as clients send and read them, so the executor asks this module for them.
"""

from __future__ import annotations

from azureml_wrapper.local.domain.jobs import Mode
from azureml_wrapper.local.domain.limits import ERROR_LENGTH
from azureml_wrapper.local.domain.runs import JSON, Run, RunError
from azureml_wrapper.local.services.runconfig import MODE_WORDS

# .NET's zero, which errors of real runs have (2022-12).
NO_TIME = "0001-01-01T00:00:00.000Z"


class RunHistoryForms:
    """domain/runs.py, RunForms."""

    def error(self, error: RunError) -> JSON:
        """A run's `error`, with the message cut to Azure's limit."""
        body = {
            "code": error.code,
            "message": error.message[:ERROR_LENGTH],
            "messageParameters": {},
            "details": [],
        }
        return {"error": body, "time": NO_TIME, "componentName": error.component}

    def reason(self, run: Run) -> str:
        """Why a run failed, in a sentence."""
        message = ((run.error or {}).get("error") or {}).get("message")
        return str(message or f"The run is {run.status.value}.")

    def input_dataset(self, name: str, saved_id: str, mode: Mode) -> JSON:
        """An item of `inputDatasets`, as the SDK takes it apart (azureml/data/_dataset_lineage.py)."""
        return {
            "identifier": {"savedId": saved_id},
            "consumptionType": "RunInput",
            "inputDetails": {"inputName": name, "mechanism": MODE_WORDS[mode]},
        }

    def output_dataset(self, name: str, saved_id: str) -> JSON:
        """An item of `outputDatasets`."""
        return {
            "identifier": {"savedId": saved_id},
            "outputType": "RunOutput",
            "outputDetails": {"outputName": name},
        }

    def saved_output(self, run: Run, name: str) -> str | None:
        """The id of the dataset that a run has made of an output; None if it has made none."""
        for item in run.output_datasets:
            if item.get("outputDetails", {}).get("outputName") == name:
                return str(item["identifier"]["savedId"])
        return None
