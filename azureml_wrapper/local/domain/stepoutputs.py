"""What a step of a graph makes, and where it lies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.graphs import JSON, RUN_AFTER, Step
from azureml_wrapper.local.domain.jobs import JobOutput, Mode
from azureml_wrapper.local.domain.modules import Module
from azureml_wrapper.local.domain.shapes import Needed, check_shape

# Where PipelineData lies (2024 dumps), and an OutputFileDatasetConfig without a destination.
PIPELINE_DATA_PATH = "azureml/{run-id}/{output-name}"
DATASET_PATH = "dataset/{run-id}/{output-name}/"
# The service's numbers for modes (service_caller_base.py, bind_mode_from_enum).
_MODES = {"0": "mount", "none": "mount", "1": "mount", "2": "download", "3": "upload"}


def outputs_of(step: Step, module: Module) -> tuple[JobOutput, ...]:
    """The outputs of a step: those of its module, with the node's settings."""
    every = {**module.outputs, **step.outputs}
    return tuple(_output(item) for name, item in every.items() if not name.startswith(RUN_AFTER))


def resolved_path(output: JobOutput, run_id: str) -> str:
    """Where an output of a run lies in its datastore."""
    return output.path.replace("{run-id}", run_id).replace("{output-name}", output.name)


def output_of(outputs: Iterable[JobOutput], name: str) -> JobOutput:
    """The output of that name, or `Invalid`."""
    for output in outputs:
        if output.name == name:
            return output
    raise Invalid(f"There is no output {name!r}.")


def _output(item: Mapping[str, Any]) -> JobOutput:
    registration, options = item.get("DatasetRegistration"), item.get("DatasetOutputOptions")
    # OutputFileDatasetConfig sends both, if only as empty objects; PipelineData.as_dataset() the first alone.
    is_dataset = registration is not None or options is not None
    default = DATASET_PATH if options is not None else PIPELINE_DATA_PATH
    return JobOutput(
        name=item["Name"],
        mode=read_mode(item.get("DataStoreMode")),
        datastore=item.get("DataStoreName") or "workspaceblobstore",
        path=(options or {}).get("PathOnDatastore") or default,
        path_on_compute=item.get("PathOnCompute"),
        overwrite=bool(item.get("Overwrite")),
        source_globs=tuple(((options or {}).get("SourceGlobs") or {}).get("GlobPatterns") or ()),
        register_as=_registration(registration or {}),
        is_dataset=is_dataset,
    )


def _registration(given: Mapping[str, Any]) -> JSON | None:
    """The SDK's registration options, in the words that single runs use too."""
    if given.get("Name") and given.get("CreateNewVersion") is False:
        raise Unsupported(f"Registering {given['Name']!r} with create_new_version=False is not supported.")
    steps = given.get("AdditionalTransformations")
    if steps and not blocks_of(steps):
        steps = None
    if not given.get("Name") and not steps:
        return None
    return {
        "name": given.get("Name"),
        "description": given.get("Description"),
        "tags": given.get("Tags"),
        "datasetRegistrationOptions": {"additionalTransformation": steps},
    }


def blocks_of(transformations: str) -> list[JSON]:
    """The blocks of a dataflow as text; `Invalid` where it is none."""
    try:
        content = json.loads(transformations)
    except ValueError as error:
        raise Invalid(f"The steps between an output and its reader are not JSON: {error}.") from error
    check_shape(content, {"blocks": [{"type": Needed(str), "arguments": dict}]}, "The dataflow")
    return (content or {}).get("blocks") or []


def read_mode(given: Any) -> Mode:
    """A mode as the SDK writes it; mount where it writes none. `Unsupported` for others (hdfs, link)."""
    text = str(given or "mount").lower()
    try:
        return Mode(_MODES.get(text, text))
    except ValueError as error:
        allowed = ", ".join(mode.value for mode in Mode)
        raise Unsupported(f"Data cannot reach a script as {text!r}; the local service knows {allowed}.") from error
