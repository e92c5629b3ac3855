"""Submits a run of a pipeline again: the same graph, scripts, data and values.

SDK v1 has no call for it. This reads what `PipelineRun.publish_pipeline` reads and sends what `Experiment.submit`
sends (azureml/pipeline/core/_aeva_provider.py), and so leaves no published pipeline behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azureml_wrapper.config.parameters import Parameter, assign, breaks_json, check_in_json, in_json
from azureml_wrapper.errors import BadArgument
from azureml_wrapper.pipelines.datastore_paths import DatastorePath, assign_paths

if TYPE_CHECKING:
    from azureml.core import Run
    from azureml.pipeline.core import PipelineRun

# Properties of the new run.
RESUBMITTED_FROM = "azureml_wrapper.resubmitted_from"
# The service's ParameterType (azureml/pipeline/core/_aeva_provider.py): Int and Double; all others are strings here.
_TYPES = {"0": int, "Int": int, "1": float, "Double": float}


def resubmit(
    raw: Run, *, from_failed: bool, parameters: Mapping[str, Any] | None, notes: Mapping[str, str]
) -> PipelineRun:
    """Submit a pipeline's run again, and return the new run.

    Args:
        raw: The run of a pipeline.
        from_failed: Reuse results where possible; False runs every step.
        parameters: Values that replace those of `raw`.
        notes: Further properties of the new run.

    Raises:
        BadArgument: `raw` is not the run of a pipeline.
        BadParameter: A parameter is unknown, or its value has the wrong type.
    """
    from azureml.pipeline.core import PipelineRun
    from azureml.pipeline.core._restclients.aeva.models import PipelineRunCreationInfoWithGraph

    if not isinstance(raw, PipelineRun):
        raise BadArgument(f"Run {raw.id} is not a run of a pipeline; only pipelines can be submitted again.")
    caller = raw._context.workflow_provider.graph_provider._service_caller
    before = caller.get_pipeline_run_async(raw.id)
    graph = caller.get_graph_async(before.graph_id)
    interface = caller.get_graph_interface_async(before.graph_id)
    for node in graph.module_nodes:
        # True after a run with regenerate_outputs.
        node.regenerate_output = not from_failed
    given, paths = parameters or {}, paths_of(interface)
    values = assign(defaults_of(interface), given, set(), paths)
    check_texts(caller, graph, values)
    before.parameter_assignments = {**(before.parameter_assignments or {}), **_as_texts(assign_paths(paths, given))}
    asked = PipelineRunCreationInfoWithGraph(
        creation_info=_creation_info(raw, before, interface, values=values, notes=notes),
        graph=graph,
        graph_interface=interface,
    )
    made = caller.create_unsubmitted_pipeline_run_async(asked, experiment_name=raw.experiment.name)
    caller.submit_saved_pipeline_run_async(made.id)
    return PipelineRun(raw.experiment, made.id)


def check_texts(caller: Any, graph: Any, values: Mapping[str, Parameter]) -> None:
    """Raise `BadParameter` for a string that would break a step_config; requests the steps only if it may."""
    texts = {name: value for name, value in values.items() if breaks_json(value)}
    for module in dict.fromkeys(node.module_id for node in graph.module_nodes) if texts else ():
        for argument in caller.get_module_async(module).data.structured_interface.arguments or ():
            for name in in_json(str(argument.value or ""), texts):
                check_in_json(name, texts[name])


def defaults_of(interface: Any) -> dict[str, Parameter]:
    """The parameters of a graph, with their defaults as Python values."""
    return {item.name: _default(item) for item in interface.parameters or ()}


def paths_of(interface: Any) -> dict[str, DatastorePath]:
    """The parameters of a graph that are paths on a datastore, with their defaults."""
    items = interface.data_path_parameters or ()
    return {
        item.name: DatastorePath(item.default_value.data_store_name, item.default_value.relative_path)
        for item in items
    }


def _as_texts(places: Mapping[str, DatastorePath]) -> dict[str, str]:
    return {name: str(place) for name, place in places.items()}


def _default(item: Any) -> Parameter:
    read = _TYPES.get(str(item.type))
    text = str(item.default_value or "")
    return read(text) if read and text else text


def _creation_info(
    raw: PipelineRun, before: Any, interface: Any, *, values: Mapping[str, Parameter], notes: Mapping[str, str]
) -> Any:
    from azureml.pipeline.core._restclients.aeva.models import PipelineRunCreationInfo

    given = before.parameter_assignments or {}
    names = {item.name for item in interface.parameters or ()}
    paths = {item.name for item in interface.data_path_parameters or ()}
    goes_on = raw._run_dto.get("properties", {}).get("azureml.continue_on_step_failure") == "True"
    return PipelineRunCreationInfo(
        description=before.description,
        parameter_assignments={
            **{name: value for name, value in given.items() if name in names},
            **{name: str(value) for name, value in values.items()},
        },
        data_path_assignments={name: _path(value) for name, value in given.items() if name in paths},
        data_set_definition_value_assignments=before.data_set_definition_value_assignments,
        continue_experiment_on_node_failure=goes_on,
        run_source="SDK",
        run_type="SDK",
        properties={RESUBMITTED_FROM: raw.id, **notes},
    )


def _path(text: str) -> Any:
    """The DataPath of a value that the service returned as "datastore/path"."""
    from azureml.pipeline.core._restclients.aeva.models import DataPath

    place = DatastorePath.read(text)
    return DataPath(data_store_name=place.datastore, relative_path=place.path)
