"""A module: what a step runs, without the place where it runs and the data that it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from azureml_wrapper.local.domain.errors import Unsupported
from azureml_wrapper.local.domain.graphs import RUN_AFTER
from azureml_wrapper.local.domain.shapes import MapOf, Needed, check_shape

JSON = dict[str, Any]

COMMAND_STEP = "CommandStep"
PARALLEL_STEP = "ParallelRunStep"
# Step classes of the SDK whose job is a Python script or a command of a shell, in one process or in many.
STEP_TYPES = ("PythonScriptStep", COMMAND_STEP, "MpiStep", PARALLEL_STEP)


class Argument(NamedTuple):
    """A part of the command line: `kind` is Literal, Input, Output or Parameter."""

    kind: str
    value: str


_MODULE = {
    "Name": Needed(str),
    "StepType": str,
    "StorageId": str,
    "IdentifierHash": str,
    "KvTags": MapOf(str),
    "StructuredInterface": {
        "Inputs": [{"Name": Needed(str), "DataTypeIdsList": [str], "PathOnCompute": str}],
        "Outputs": [{"Name": Needed(str), "DataTypeId": str}],
        "Parameters": [{"Name": Needed(str), "DefaultValue": str, "EnvironmentVariableOverride": str}],
        "MetadataParameters": [{"Name": Needed(str), "DefaultValue": str}],
        "Arguments": [{"ValueType": Needed(str), "Value": str}],
    },
}


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module as a step uses it. `inputs`, `outputs` and `parameters` are in the SDK's form, by name."""

    module_id: str
    name: str
    step_type: str
    snapshot_id: str | None
    is_deterministic: bool
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    arguments: tuple[Argument, ...] = ()

    def check(self) -> None:
        """Raise `Unsupported`, with the step's type, for a module that the local service cannot run."""
        if self.step_type not in STEP_TYPES:
            allowed = ", ".join(STEP_TYPES)
            raise Unsupported(f"Step {self.name!r} is a {self.step_type}. The local service runs {allowed} only.")


def read_module(module_id: str, body: JSON) -> Module:
    """A module from the ModuleCreationInfo that the SDK sent; `Invalid` where it is none."""
    check_shape(body, Needed(_MODULE), "Module")
    interface = body.get("StructuredInterface") or {}
    parameters = [*(interface.get("Parameters") or ()), *(interface.get("MetadataParameters") or ())]
    return Module(
        module_id=module_id,
        name=body["Name"],
        step_type=body.get("StepType") or "step of unknown type",
        snapshot_id=body.get("StorageId"),
        is_deterministic=bool(body.get("IsDeterministic")),
        inputs=_ports(interface.get("Inputs")),
        outputs=_ports(interface.get("Outputs")),
        parameters={item["Name"]: item for item in parameters},
        arguments=tuple(_argument(item) for item in interface.get("Arguments") or ()),
    )


def _ports(items: list[JSON] | None) -> dict[str, JSON]:
    return {item["Name"]: item for item in items or () if not item["Name"].startswith(RUN_AFTER)}


def _argument(item: JSON) -> Argument:
    kind = str(item.get("ValueType"))
    if kind not in ("Literal", "Input", "Output", "Parameter"):
        raise Unsupported(f"An argument of type {kind!r} cannot be resolved.")
    return Argument(kind, str(item.get("Value") if item.get("Value") is not None else ""))
