"""Pipelines in the SDK's words (azureml/pipeline/core/_restclients/aeva/models)."""

from __future__ import annotations

from azureml_wrapper.local.domain.clock import offset_time
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.pipelines import PipelineRun, Submission, Values, word_of
from azureml_wrapper.local.domain.runs import JSON, Run
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.domain.storage import Datastore
from azureml_wrapper.local.services.pipelines.graphwire import ASSIGNMENTS, check_interface, read_values
from azureml_wrapper.local.store.documents import Document

ACTIVE = "Active"
COMPLETED = "Completed"
# _AevaDataTypeProvider.ensure_default_datatypes posts what it does not find here.
DEFAULT_DATA_TYPES = (
    "AnyFile",
    "AnyDirectory",
    "AzureBlobReference",
    "AzureDataLakeReference",
    "AzureDataLakeGen2Reference",
    "AzureFilesReference",
    "AzureSqlDatabaseReference",
    "AzurePostgresDatabaseReference",
    "AzureMySqlDatabaseReference",
    "DBFSReference",
    "AzureMLDataset",
)


def entity(document: Document) -> JSON:
    """The fields that every entity has."""
    return {
        "Id": document.key,
        "Etag": f'"{document.modified}"',
        "CreatedDate": document.created,
        "LastModifiedDate": document.modified,
        "EntityStatus": ACTIVE,
    }


def default_data_type(name: str) -> JSON:
    return {
        "Id": name,
        "Name": name,
        "Description": name,
        "IsDirectory": name == "AnyDirectory",
        "ParentDataTypeIds": [],
        "EntityStatus": ACTIVE,
    }


def data_type(document: Document) -> JSON:
    fields = ("Name", "Description", "IsDirectory", "ParentDataTypeIds")
    return {**{name: document.body.get(name) for name in fields}, **entity(document)}


def module_entity(document: Document) -> JSON:
    """A ModuleEntity."""
    body = document.body
    names = ("Name", "Hash", "Description", "IsDeterministic", "ModuleExecutionType", "ModuleType", "IdentifierHash")
    more = ("StructuredInterface", "Properties", "Category", "StepType", "Runconfig")
    return {
        **{name: body.get(name) for name in (*names, *more)},
        "tags": body.get("KvTags") or {},
        # The SDK takes a module that it finds by its hash only if this is Completed.
        "UploadState": COMPLETED,
        "DataLocation": {"StorageType": "Snapshot", "StorageId": body.get("StorageId")},
        **entity(document),
        "EntityStatus": body.get("EntityStatus") or ACTIVE,
    }


def module(document: Document) -> JSON:
    """A Module: the entity, and the interface that the SDK builds its own object from."""
    interface = document.body.get("StructuredInterface") or {}
    return {
        "Data": module_entity(document),
        "Interface": {
            "Parameters": [_parameter(item) for item in interface.get("Parameters") or ()],
            "MetadataParameters": [_parameter(item) for item in interface.get("MetadataParameters") or ()],
            "DataPathParameters": [],
            "DataPathParameterList": [],
            "Ports": {
                "Inputs": [_input_port(item) for item in interface.get("Inputs") or ()],
                "Outputs": [_output_port(item) for item in interface.get("Outputs") or ()],
            },
        },
    }


def named_module(document: Document) -> JSON:
    """An AzureMLModule: a name and its versions."""
    body = document.body
    return {
        "Name": body["name"],
        "Description": body["description"],
        "DefaultVersion": body["default_version"],
        "Versions": [{"ModuleVersionId": key, "Version": version} for version, key in body["versions"].items()],
        **entity(document),
        "EntityStatus": body["status"],
    }


def module_version(document: Document) -> JSON:
    """An AzureMLModuleVersion."""
    return {"ModuleId": document.body["AmlModuleId"], **module(document)}


def _parameter(item: JSON) -> JSON:
    names = ("Name", "DefaultValue", "IsOptional")
    return {**{name: item.get(name) for name in names}, "Documentation": item.get("Description"), "Type": "String"}


def _input_port(item: JSON) -> JSON:
    return {
        "Name": item["Name"],
        "Documentation": item.get("Description"),
        "DataTypesIds": item.get("DataTypeIdsList") or [],
        "IsOptional": bool(item.get("IsOptional")),
    }


def _output_port(item: JSON) -> JSON:
    return {
        "Name": item["Name"],
        "Documentation": item.get("Description"),
        "DataTypeId": item.get("DataTypeId"),
        "PassThroughInputName": item.get("PassThroughDataTypeInputName"),
    }


def data_source(document: Document, datastore: Datastore) -> JSON:
    """A DataSourceEntity."""
    body = document.body
    names = ("Name", "DataTypeId", "Description", "IdentifierHash")
    location = _location(datastore, body.get("PathOnDataStore") or "")
    return {
        **{name: body.get(name) for name in names},
        "UploadState": COMPLETED,
        "DataLocation": location,
        **entity(document),
    }


def read_data_source(body: JSON) -> JSON:
    """A DataSourceCreationInfo, or `Invalid`."""
    if body.get("SqlTableName") or body.get("SqlQuery") or body.get("SqlStoredProcedureName"):
        raise Invalid(
            "Databases are not supported by the local service; a data source is a path of a blob datastore."
        )
    names = ("Name", "DataStoreName")
    shape = {**dict.fromkeys(names, Needed(str)), "PathOnDataStore": str, "IdentifierHash": str}
    check_shape(body, shape, "DataSource")
    return body


def read_data_type(body: JSON) -> JSON:
    """A data type, or `Invalid`."""
    shape = {"Id": Needed(str), "Name": str, "Description": str, "IsDirectory": bool, "ParentDataTypeIds": [str]}
    check_shape(body, shape, "DataType")
    return body


def graph(document: Document) -> JSON:
    """A GraphEntity: as the client sent it, with its own id."""
    return {**document.body["graph"], **entity(document)}


def read_asked(creation: JSON, experiment: str) -> Submission:
    """What is asked of a run, from PipelineRunCreationInfo."""
    return Submission(
        experiment=experiment,
        values=read_values(creation),
        description=creation.get("Description"),
        continue_on_failure=bool(
            creation.get("ContinueExperimentOnNodeFailure") or creation.get("ContinueRunOnStepFailure")
        ),
        run_source=creation.get("RunSource"),
        run_type=creation.get("RunType"),
        tags=creation.get("tags") or {},
        properties=creation.get("Properties") or {},
    )


def read_creation(body: JSON) -> tuple[JSON, JSON, JSON]:
    """PipelineRunCreationInfo, graph and interface of a request, or `Invalid`."""
    shape = {"CreationInfo": {**ASSIGNMENTS, "RunHistoryExperimentName": str, "RunSource": str, "RunType": str}}
    check_shape(body, shape, "The body")
    graph, interface = body.get("Graph") or {}, body.get("GraphInterface") or {}
    return body.get("CreationInfo") or {}, graph, check_interface(interface)


def pipeline_run(record: PipelineRun, run: Run) -> JSON:
    """A PipelineRunEntity; the state is run history's."""
    return {
        "Id": record.run_id,
        "Description": record.description,
        "GraphId": record.graph_id,
        "Status": {
            "StatusCode": word_of(run.status),
            "StatusDetail": None,
            "CreationTime": offset_time(record.created),
            "EndTime": offset_time(run.ended),
        },
        "IsSubmitted": record.is_submitted,
        "HasErrors": run.error is not None,
        "HasWarnings": bool(run.warnings),
        "UploadState": COMPLETED,
        "ParameterAssignments": {**record.assigned.parameters, **_paths(record.assigned)},
        "DataSetDefinitionValueAssignments": dict(record.assigned.datasets),
        "RunHistoryExperimentName": record.experiment,
        "PipelineId": record.pipeline_id,
        "ScheduleId": record.schedule_id,
        "RunSource": record.run_source,
        "RunType": record.run_type,
        "TotalRunSteps": record.total_steps,
        "tags": run.tags,
        "Properties": run.properties,
        "EntityStatus": ACTIVE,
        "CreatedDate": offset_time(record.created),
        "LastModifiedDate": offset_time(run.ended or run.started or record.created),
    }


def _paths(values: Values) -> JSON:
    """DataPath parameters, as `PipelineRun.get_graph()` takes them apart again."""
    return {name: f"{path['DataStoreName']}/{path['RelativePath']}" for name, path in values.data_paths.items()}


def task_status(word: str, run: Run | None, origin: Run | None = None) -> JSON:
    """A TaskStatus: a node of the graph, its run if it has one, and the run that it reuses."""
    return {
        "StatusCode": word,
        "StatusDetail": None,
        "CreationTime": offset_time(run.created) if run else None,
        "ScheduleTime": offset_time(run.created) if run else None,
        "StartTime": offset_time(run.started) if run else None,
        "EndTime": offset_time(run.ended) if run else None,
        "RequestId": run.run_id if run else None,
        "RunId": run.run_id if run else None,
        "HasWarnings": bool(run and run.warnings),
        "ReuseInfo": _reuse_info(origin) if origin else None,
    }


def _reuse_info(origin: Run) -> JSON:
    """A TaskReuseInfo, in which a pipeline's run is called an experiment."""
    return {
        "ExperimentId": origin.parent_id,
        "NodeId": origin.properties.get("azureml.nodeid"),
        "RequestId": origin.run_id,
        "RunId": origin.run_id,
        "NodeStartTime": offset_time(origin.started),
        "NodeEndTime": offset_time(origin.ended),
    }


def node_output(datastore: Datastore, path: str) -> JSON:
    """A NodeOutput: where an output of a step lies."""
    return {"DataTypeId": "AnyDirectory", "DataLocation": _location(datastore, path)}


def _location(datastore: Datastore, path: str) -> JSON:
    reference = {
        "AmlDataStoreName": datastore.name,
        "Account": datastore.account,
        "Container": datastore.container,
        "RelativePath": path,
    }
    return {
        "StorageType": "DataStoreBlob",
        "DataReference": {"Type": "AzureBlob", "AzureBlobReference": reference},
    }


def read_node(body: object) -> str:
    """The node of a path of nodes; graphs are not nested, so it has one part."""
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], str):
        raise Invalid("The body must be a list with the id of one node.")
    return body[0]
