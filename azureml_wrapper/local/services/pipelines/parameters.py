"""Parameters of pipelines in the SDK's words: an interface declares them, assignments give them values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.pipelines import PipelineRun, Values
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape

_REFERENCE = {"Id": str, "Name": str, "Version": str}
DATASET = {
    "SavedDataSetReference": {"Id": Needed(str)},
    "DataSetReference": _REFERENCE,
    "LiteralValue": {"DataStoreName": str, "RelativePath": str},
}
_INTERFACE = {
    "Parameters": [{"Name": Needed(str), "DefaultValue": str}],
    "DataPathParameters": [{"Name": Needed(str), "DefaultValue": {"DataStoreName": str, "RelativePath": str}}],
    "DataPathParameterList": [{"Name": Needed(str), "DefaultValue": DATASET}],
}
# What a run gives its parameters.
ASSIGNMENTS = {
    "ParameterAssignments": MapOf(str),
    "DataPathAssignments": MapOf({"DataStoreName": Needed(str), "RelativePath": str}),
    "DataSetDefinitionValueAssignments": MapOf(DATASET),
    "tags": MapOf(str),
    "Properties": MapOf(str),
    "Description": str,
}


def check_interface(body: JSON) -> JSON:
    """The interface of a graph, or `Invalid`."""
    check_shape(body, _INTERFACE, "GraphInterface")
    return body


def read_values(body: JSON) -> Values:
    """The assignments of a submission or a publication; numbers become strings, as in Azure."""
    return Values(
        parameters={name: _text(name, value) for name, value in (body.get("ParameterAssignments") or {}).items()},
        data_paths=body.get("DataPathAssignments") or {},
        datasets=body.get("DataSetDefinitionValueAssignments") or {},
    )


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, (str, int, float)):
        raise Invalid(f"ParameterAssignments.{name} must be a string or a number.")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


class Forms:
    """domain/pipelines.py, PipelineForms."""

    def defaults(self, interface: JSON) -> Values:
        """The default values of a stored graph's parameters; a parameter without one has None."""
        return Values(
            parameters=_defaults(interface.get("Parameters")),
            data_paths=_defaults(interface.get("DataPathParameters")),
            datasets=_defaults(interface.get("DataPathParameterList")),
        )

    def data_path(self, datastore: str, path: str) -> JSON:
        """The value of a DataPath parameter."""
        return {"DataStoreName": datastore, "RelativePath": path}

    def run_properties(self, record: PipelineRun, own: Mapping[str, str]) -> dict[str, str]:
        """The properties of a pipeline's run in run history (dumps of 2022), before the client's own."""
        given = {name: str(value) for name, value in record.assigned.parameters.items() if value is not None}
        return {
            "azureml.runsource": "azureml.PipelineRun",
            "runSource": record.run_source or "Unavailable",
            "runType": record.run_type or "HTTP",
            "azureml.parameters": json.dumps(given, separators=(",", ":")),
            "azureml.continue_on_step_failure": str(record.continue_on_failure),
            "azureml.continue_on_failed_optional_input": "True",
            "azureml.pipelineComponent": "pipelinerun",
            # Of published pipelines only (dump of 2020).
            **({"azureml.pipelineid": record.pipeline_id} if record.pipeline_id else {}),
            **own,
        }


def _defaults(items: Iterable[JSON] | None) -> dict[str, Any]:
    return {item["Name"]: item.get("DefaultValue") for item in items or ()}
