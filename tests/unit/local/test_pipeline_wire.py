"""Pipelines between the SDK's words and ours."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound, ServiceFault, Unsupported
from azureml_wrapper.local.domain.jobs import Mode
from azureml_wrapper.local.domain.pipelines import (
    PIPELINE_RUN_TYPE,
    NamedModule,
    PipelineRun,
    Values,
    over,
    word_of,
)
from azureml_wrapper.local.domain.plans import Port
from azureml_wrapper.local.domain.runs import Run, RunStatus
from azureml_wrapper.local.domain.storage import Datastore
from azureml_wrapper.local.http.messages import error_response
from azureml_wrapper.local.services.pipelines import wire
from azureml_wrapper.local.services.pipelines.graphwire import Assignment, Forms, read_graph, read_module
from azureml_wrapper.local.services.pipelines.planning import read_outputs
from azureml_wrapper.local.services.runconfig import read_mode, read_transformations
from azureml_wrapper.local.store.documents import Document

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
STORE = Datastore(name="store", account="account", container="container")


def document(**body):
    return Document(key="id", version=1, body=body, created="made", modified="changed")


def record(**fields):
    values = {"workspace_id": "w", "run_id": "r", "graph_id": "g", "experiment": "e", "created": NOW, **fields}
    return PipelineRun(**values)


def run(status=RunStatus.RUNNING, **fields):
    return Run(
        workspace_id="w",
        run_id="r",
        experiment="e",
        experiment_id="e",
        created=NOW,
        run_type=PIPELINE_RUN_TYPE,
        status=status,
        **fields,
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (RunStatus.NOT_STARTED, "NotStarted"),
        (RunStatus.QUEUED, "Running"),
        (RunStatus.PREPARING, "Running"),
        (RunStatus.FINALIZING, "Running"),
        (RunStatus.CANCEL_REQUESTED, "Running"),
        (RunStatus.COMPLETED, "Finished"),
        (RunStatus.FAILED, "Failed"),
        (RunStatus.CANCELED, "Canceled"),
    ],
)
def test_a_status_has_the_pipeline_services_word(status, word):
    assert word_of(status) == word


def test_a_module_has_the_ports_that_the_sdk_builds_its_object_from():
    interface = {
        "Inputs": [{"Name": "in", "DataTypeIdsList": ["AnyFile"]}, {"Name": "_run_after_input_0"}],
        "Outputs": [{"Name": "out", "DataTypeId": "AnyFile"}],
        "Parameters": [{"Name": "lr", "DefaultValue": "1", "IsOptional": True}],
    }
    found = wire.module(document(Name="m", StructuredInterface=interface, StorageId="s", IsDeterministic=True))
    assert [port["Name"] for port in found["Interface"]["Ports"]["Inputs"]] == ["in", "_run_after_input_0"]
    assert found["Interface"]["Ports"]["Outputs"][0]["DataTypeId"] == "AnyFile"
    assert found["Interface"]["Parameters"][0]["DefaultValue"] == "1"
    assert found["Data"]["UploadState"] == "Completed"
    assert (found["Data"]["Id"], found["Data"]["IsDeterministic"]) == ("id", True)


def test_a_graph_comes_back_as_it_was_sent_with_its_id():
    sent = {"ModuleNodes": [{"Id": "a", "Whatever": 1}], "Id": None}
    found = wire.graph(document(graph=sent))
    assert found["ModuleNodes"] == sent["ModuleNodes"]
    assert found["Id"] == "id"


def test_the_state_of_a_pipeline_run_is_that_of_run_history():
    done = run(RunStatus.FAILED, ended=NOW, error={"error": {}})
    found = wire.pipeline_run(record(is_submitted=True), done)
    assert found["Status"]["StatusCode"] == "Failed"
    assert found["HasErrors"] is True
    assert found["Status"]["EndTime"].startswith("2026-01-01T00:00:00")


def test_a_path_parameter_is_shown_as_the_sdk_takes_it_apart():
    path = {"DataStoreName": "store", "RelativePath": "a/b"}
    values = Values(parameters={"n": "1"}, data_paths={"place": path})
    found = wire.pipeline_run(record(assigned=values), run())
    assert found["ParameterAssignments"] == {"n": "1", "place": "store/a/b"}


def test_properties_are_in_azures_order_and_form():
    found = Forms().run_properties(
        record(assigned=Values(parameters={"a": "1", "b": None}), continue_on_failure=True, run_source="SDK"),
        {"mine": "x"},
    )
    assert json.loads(found["azureml.parameters"]) == {"a": "1"}
    assert found["azureml.continue_on_step_failure"] == "True"
    assert next(iter(found)) == "azureml.runsource"
    assert list(found)[-1] == "mine"


def test_creation_is_read():
    creation = {
        "Description": "d",
        "ContinueExperimentOnNodeFailure": True,
        "ParameterAssignments": {"n": "1"},
        "RunSource": "SDK",
    }
    found = wire.read_asked(creation, "e")
    assert (found.description, found.continue_on_failure, found.run_source) == ("d", True, "SDK")
    assert found.values.parameters == {"n": "1"}


def test_defaults_stand_where_nothing_was_assigned():
    interface = {
        "Parameters": [{"Name": "a", "DefaultValue": "1"}, {"Name": "b", "DefaultValue": "2"}],
        "DataPathParameters": [{"Name": "p", "DefaultValue": {"RelativePath": "x"}}],
        "DataPathParameterList": [{"Name": "d", "DefaultValue": {"SavedDataSetReference": {"Id": "s"}}}],
    }
    found = over(Forms().defaults(interface), Values(parameters={"b": "3"}))
    assert found.parameters == {"a": "1", "b": "3"}
    assert found.data_paths == {"p": {"RelativePath": "x"}}
    assert found.datasets["d"] == {"SavedDataSetReference": {"Id": "s"}}


@pytest.mark.parametrize("body", [None, [], ["a", "b"], [1], "a", {"a": 1}])
def test_a_path_of_nodes_has_one_part(body):
    with pytest.raises(Invalid, match="one node"):
        wire.read_node(body)


def test_an_output_is_a_path_of_a_datastore():
    found = wire.node_output(STORE, "a/b")["DataLocation"]["DataReference"]
    assert found["Type"] == "AzureBlob"
    assert found["AzureBlobReference"]["AmlDataStoreName"] == "store"
    assert found["AzureBlobReference"]["RelativePath"] == "a/b"


def test_a_node_without_a_run_has_no_times():
    found = wire.task_status("NotStarted", None)
    assert (found["StatusCode"], found["RunId"], found["StartTime"]) == ("NotStarted", None, None)


def test_parameters_are_literal_or_of_the_pipeline():
    parameters = [
        {"Name": "a", "Value": "1", "ValueType": "0"},
        {"Name": "b", "Value": "lr", "ValueType": "GraphParameterName"},
    ]
    step = read_graph({"ModuleNodes": [{"Id": "n", "ModuleId": "m", "ModuleParameters": parameters}]}).steps["n"]
    assert step.parameters == {"a": Assignment("1"), "b": Assignment(graph_parameter="lr")}
    parameters[0]["ValueType"] = "2"
    with pytest.raises(Unsupported, match="'2'"):
        read_graph({"ModuleNodes": [{"Id": "n", "ModuleId": "m", "ModuleParameters": parameters}]})


def test_outputs_of_the_pipeline_are_no_edges_between_steps():
    target = {"GraphPortName": "result"}
    edge = {"SourceOutputPort": {"NodeId": "a", "PortName": "out"}, "DestinationInputPort": target}
    graph = read_graph({"ModuleNodes": [{"Id": "a", "ModuleId": "m"}], "Edges": [edge]})
    assert (graph.edges, graph.outputs) == ((), {"result": Port("a", "out")})


def test_graphs_in_graphs_are_refused():
    with pytest.raises(Unsupported):
        read_graph({"SubGraphNodes": [{}]})


def test_an_argument_of_another_kind_is_refused():
    body = {"Name": "m", "StructuredInterface": {"Arguments": [{"ValueType": "NestedList"}]}}
    with pytest.raises(Unsupported, match="NestedList"):
        read_module("m", body)


@pytest.mark.parametrize(("given", "mode"), [(None, "mount"), ("Mount", "mount"), ("2", "download"), ("3", "upload")])
def test_modes_are_words_or_numbers(given, mode):
    assert read_mode(given) is Mode(mode)


def registered(**registration):
    setting = {"Name": "out", "DatasetRegistration": registration, "DatasetOutputOptions": {}}
    graph = read_graph({"ModuleNodes": [{"Id": "n", "ModuleId": "m", "ModuleOutputSettings": [setting]}]})
    (output,) = read_outputs(graph.steps["n"], read_module("m", {"Name": "m"}))
    return output.register_as and output.register_as.sent


def test_registration_is_told_in_the_words_of_single_runs():
    assert registered() is None
    found = registered(Name="n", CreateNewVersion=True, Description="d", Tags={"k": "v"})
    assert (found["name"], found["description"], found["tags"]) == ("n", "d", {"k": "v"})
    with pytest.raises(Unsupported, match="create_new_version"):
        registered(Name="n", CreateNewVersion=False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 501, 507])
def test_mlflow_gets_only_error_codes_that_all_its_versions_know(status):
    fault = ServiceFault("no")
    fault.status = status
    known = (
        "INTERNAL_ERROR ENDPOINT_NOT_FOUND CUSTOMER_UNAUTHORIZED PERMISSION_DENIED INVALID_PARAMETER_VALUE "
        "RESOURCE_DOES_NOT_EXIST RESOURCE_ALREADY_EXISTS"
    )  # of mlflow 1.30
    assert json.loads(error_response(fault, NOW, "mlflow").body)["error_code"] in known.split()


def test_faults_of_pipelines_are_in_pascal_case():
    body = json.loads(error_response(NotFound("gone"), NOW, "pipelines").body)
    assert (body["Error"]["Code"], body["Error"]["Message"]) == ("UserError", "gone")
    assert body["Error"]["InnerError"]["Code"] == "NotFoundError"
    assert body["Error"]["Details"] == []


NODE = {"Id": "n", "ModuleId": "m"}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "Graph must be an object"),
        ({"ModuleNodes": {}}, "Graph.ModuleNodes must be a list"),
        ({"ModuleNodes": [None]}, r"Graph.ModuleNodes\[0\] is missing"),
        ({"ModuleNodes": [{"Id": "n"}]}, r"ModuleNodes\[0\].ModuleId is missing"),
        ({"ModuleNodes": [{**NODE, "Id": 5}]}, "Id must be a string"),
        ({"ModuleNodes": [{**NODE, "ModuleParameters": [{"Value": "1"}]}]}, r"ModuleParameters\[0\].Name is missing"),
        ({"ModuleNodes": [{**NODE, "Runconfig": {}}]}, "Runconfig must be a string"),
        ({"ModuleNodes": [NODE], "Edges": [{}]}, "SourceOutputPort is missing"),
        ({"ModuleNodes": [NODE], "DatasetNodes": [{"Id": "d", "DataSetDefinition": "x"}]}, "must be an object"),
    ],
)
def test_a_graph_of_another_shape_is_invalid_and_says_where(body, place):
    with pytest.raises(Invalid, match=place):
        read_graph(body)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "Module.Name is missing"),
        ({"Name": "m", "KvTags": {"k": 1}}, "Module.KvTags.k must be a string"),
        ({"Name": "m", "StructuredInterface": {"Inputs": [{}]}}, r"Inputs\[0\].Name is missing"),
        ({"Name": "m", "StructuredInterface": {"Arguments": ["x"]}}, r"Arguments\[0\] must be an object"),
    ],
)
def test_a_module_of_another_shape_is_invalid_and_says_where(body, place):
    with pytest.raises(Invalid, match=place):
        read_module("m", body)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"CreationInfo": []}, "CreationInfo must be an object"),
        ({"CreationInfo": {"ParameterAssignments": []}}, "ParameterAssignments must be an object"),
        ({"CreationInfo": {"ParameterAssignments": {"n": 1}}}, "ParameterAssignments.n must be a string"),
        ({"CreationInfo": {"DataPathAssignments": {"p": {}}}}, "DataPathAssignments.p.DataStoreName is missing"),
        ({"CreationInfo": {"DataPathAssignments": {"p": None}}}, "DataPathAssignments.p is missing"),
        ({"CreationInfo": {"DataSetDefinitionValueAssignments": {"p": None}}}, "ValueAssignments.p is missing"),
        ({"GraphInterface": {"Parameters": [{}]}}, r"GraphInterface.Parameters\[0\].Name is missing"),
    ],
)
def test_a_request_of_another_shape_is_invalid_and_says_where(body, place):
    with pytest.raises(Invalid, match=place):
        wire.read_creation(body)


def test_databases_are_no_sources_of_data():
    with pytest.raises(Invalid, match="Databases"):
        wire.read_data_source({"Name": "n", "DataStoreName": "sql", "SqlQuery": "select 1"})
    with pytest.raises(Invalid, match="DataStoreName is missing"):
        wire.read_data_source({"Name": "n"})


def test_versions_of_a_module_without_a_name_are_numbered_after_the_highest_integer():
    module = NamedModule(module_id="m", name="add")
    assert dict(module.with_versions([(None, "a"), ("7", "b"), ("beta", "c"), (None, "d")]).versions) == {
        "1": "a",
        "7": "b",
        "beta": "c",
        "8": "d",
    }
    with pytest.raises(Conflict, match="two versions '7'"):
        module.with_versions([("7", "a"), ("7", "b")])
    with pytest.raises(Invalid, match="has no version '2'; its versions: 1"):
        replace(module, default_version="2").with_versions([("1", "a")])


def block(kind, **arguments):
    return json.dumps({"blocks": [{"type": f"Microsoft.DPrep.{kind}", "arguments": arguments}]})


def column(name, number, **more):
    return {"column": {"type": 2, "details": {"selectedColumn": name}}, "typeProperty": number, **more}


def test_types_of_columns_are_read_as_older_clients_send_them():
    """The unmodified SDK 1.61 cannot send them: its stub expects converters that azureml-dataprep 5 has renamed."""
    dates = column("d", 4, typeArguments={"dateTimeFormats": ["%Y"]})
    sent = block("SetColumnTypesBlock", columnConversion=[column("a", 2), dates])
    types = [
        {"columns": "a", "column_type": "int"},
        {"columns": "d", "column_type": {"datetime": {"formats": ["%Y"]}}},
    ]
    assert read_transformations(sent) == ({"convert_column_types": types},)
    with pytest.raises(Unsupported, match=r"column 's' .* decimal point"):
        read_transformations(block("SetColumnTypesBlock", columnConversion=[column("s", 10)]))


def test_unknown_transformations_are_named_with_the_known_ones():
    with pytest.raises(Unsupported, match=r"The transformations SortBlock .* which applies .*ExpressionFilterBlock"):
        read_transformations(block("SortBlock"))
    with pytest.raises(Invalid, match=r"ExpressionFilterBlock of an output are incomplete: 'expression'"):
        read_transformations(block("ExpressionFilterBlock"))


@pytest.mark.parametrize("text", ["{", "[]", '{"blocks": 1}', '{"blocks": [{}]}'])
def test_steps_of_another_shape_are_invalid(text):
    with pytest.raises(Invalid):
        registered(Name="n", AdditionalTransformations=text)
