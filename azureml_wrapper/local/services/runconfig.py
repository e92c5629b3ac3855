"""Parts of the SDK's RunConfiguration that single runs, pipelines and sweeps share (azureml/core/runconfig.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid, Unsupported
from azureml_wrapper.local.domain.jobs import Distribution, Launcher, Mode, Registration
from azureml_wrapper.local.domain.shapes import Needed, check_shape, read_json

JSON = dict[str, Any]

DEFAULT_DATASTORE = "workspaceblobstore"
# Where an OutputFileDatasetConfig without a destination lies.
DATASET_PATH = "dataset/{run-id}/{output-name}/"
MODE_WORDS = {Mode.DIRECT: "Direct", Mode.MOUNT: "Mount", Mode.DOWNLOAD: "Download", Mode.UPLOAD: "Upload"}

# The pipeline service's numbers for modes (service_caller_base.py, bind_mode_from_enum).
_MODES = {"0": "mount", "none": "mount", "1": "mount", "2": "download", "3": "upload"}
# The SDK's communicators, and what starts their processes.
_LAUNCHERS = {
    # That of the estimators' `Mpi()` (azureml/train/_distributed_training.py).
    "mpi": Launcher.MPI,
    "openmpi": Launcher.MPI,
    "intelmpi": Launcher.MPI,
    "nccl": Launcher.PYTORCH,
    "gloo": Launcher.PYTORCH,
}
_REFUSED = {
    "parameterserver": "TensorFlow's parameter servers (TensorflowConfiguration, or ParameterServer of an estimator) "
    "are not supported; MpiConfiguration runs Horovod, PyTorchConfiguration sets RANK, WORLD_SIZE and MASTER_ADDR",
    "paralleltask": "the communicator ParallelTask (ParallelRunStep on Windows) is not supported",
}
# Of a DockerConfiguration. It always has sharedVolumes, which has no effect without the others.
_DOCKER = ("useDocker", "arguments", "shmSize")


def read_mode(given: Any) -> Mode:
    """A mode as the SDK writes it; mount if it is missing. `Unsupported` for others (hdfs, link)."""
    text = str(given or "mount").lower()
    try:
        return Mode(_MODES.get(text, text))
    except ValueError as error:
        allowed = ", ".join(mode.value for mode in Mode)
        raise Unsupported(f"Unsupported mode {text!r} for data; the local service supports {allowed}.") from error


def read_communicator(given: Any) -> str | None:
    """The name of a communicator; None for a job without one."""
    return None if given in (None, "", "None") else str(given)


def distribution(communicator: str | None, nodes: int, per_node: int) -> Distribution:
    """The processes of a job; `Unsupported` for a communicator that the local service does not know."""
    if communicator is None:
        return Distribution(nodes=nodes, per_node=per_node)
    launcher = _LAUNCHERS.get(communicator.lower())
    if launcher is None:
        unknown = (
            f"unknown communicator {communicator!r}; the local service supports OpenMpi, IntelMpi, Nccl and Gloo"
        )
        raise Unsupported(f"{_REFUSED.get(communicator.lower(), unknown)}.")
    return Distribution(launcher=launcher, nodes=nodes, per_node=per_node)


def processes_per_node(communicator: str | None, nodes: int, config: JSON) -> int:
    """The processes that a RunConfiguration asks for on each node; `Invalid` if they are not the same on all."""
    kind = (communicator or "").lower()
    launcher = _LAUNCHERS.get(kind)
    if launcher is Launcher.MPI:
        return int((config.get("mpi") or {}).get("processCountPerNode") or 1)
    if launcher is Launcher.PYTORCH:
        count = int((config.get("pytorch") or {}).get("processCount") or nodes)
        if count % max(1, nodes):
            raise Invalid(f"PyTorchConfiguration: {count} processes cannot be spread evenly over {nodes} nodes.")
        return count // max(1, nodes)
    if kind == "parameterserver":
        flow = config.get("tensorflow") or {}
        return int(flow.get("workerCount") or 1) + int(flow.get("parameterServerCount") or 0)
    return 1


def unused_settings(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences for the log: settings of a RunConfiguration that have no effect here, with their values."""
    docker = config.get("docker") or {}
    store = config.get("sourceDirectoryDataStore")
    given = ", ".join(f"{name} {_shown(docker[name])}" for name in _DOCKER if docker.get(name))
    asked = {
        "The job's priority is ignored: jobs start in the order in which they are submitted.": config.get("priority"),
        f"The docker settings of the run are ignored ({given}): it runs without a container.": given,
        # Estimators name one if they use several nodes (azureml/train/_estimator_helper.py).
        f"The script folder comes from the run's snapshot, not from the datastore {store} "
        "(source_directory_data_store).": store,
        "The submitter's identity is not passed on: the job uses its run's token.": config.get(
            "credentialPassthrough"
        ),
    }
    return tuple(text for text, applies in asked.items() if applies)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def read_registration(sent: JSON | None) -> Registration | None:
    """The registration options of an output, as single runs send them; `Unsupported` for unknown transformations."""
    if not sent:
        return None
    options = sent.get("datasetRegistrationOptions") or {}
    return Registration(
        name=sent.get("name"),
        description=sent.get("description"),
        tags=sent.get("tags"),
        table=read_transformations(options.get("additionalTransformation")),
        sent=sent,
    )


# Transformations of datasets --------------------------------------------------------------------------------------
# `OutputFileDatasetConfig.read_delimited_files()` writes blocks of an older engine (azureml/data/_dataprep_stub.py);
# everything else in the SDK writes YAML for the present one.

# The values of PromoteHeadersBehavior (azureml/data/dataset_type_definitions.py).
_HEADERS = ("no_header", "from_first_file", "all_files_different_headers", "all_files_same_headers")


def _delimited(arguments: Mapping[str, Any]) -> JSON:
    return {
        "read_delimited": {
            "delimiter": arguments["separator"],
            "header": _HEADERS[arguments["columnHeadersMode"]],
            "encoding": "utf8",
            "support_multi_line": arguments["handleQuotedLineBreaks"],
            "empty_as_string": False,
            "infer_column_types": False,
            # The older engine drops the path in a step of its own.
            "include_path_column": True,
        }
    }


def _columns(verb: str) -> Callable[[Mapping[str, Any]], JSON]:
    return lambda arguments: {verb: arguments["columns"]["details"]["selectedColumns"]}


def _of_each_row(expression: Any) -> str:
    """An expression over `row` as the present engine wants it (azureml/dataprep, EnginelessDataflow.filter)."""
    return json.dumps({"r": ["Function", [[], {"r": []}, {"r": ["Function", [["row"], {"r": []}, expression]]}]]})


def _filter(arguments: Mapping[str, Any]) -> JSON:
    return {"filter": {"language": "native", "function_source": _of_each_row(arguments["expression"])}}


def _added_column(arguments: Mapping[str, Any]) -> JSON:
    source = _of_each_row(arguments["expression"])
    column = {"new_column": arguments["newColumnName"], "prior_column": None, "function_source": source}
    return {"add_columns": {"language": "native", "expressions": [column]}}


def _partition_columns(arguments: Mapping[str, Any]) -> JSON:
    return {
        "extract_columns_from_partition_format": {
            "path_column": arguments["column"]["details"]["selectedColumn"],
            "partition_format": arguments["partitionFormat"],
            "ignore_errors": arguments["ignoreError"],
        }
    }


def _sample(arguments: Mapping[str, Any]) -> JSON:
    chosen = {
        "probability": arguments["probability"],
        "probability_lower_bound": arguments["probabilityLowerBound"],
        "seed": arguments["seed"],
    }
    return {"sample": {"sampler": "random_percent", "sampler_arguments": chosen}}


# The values of FieldType (azureml/dataprep/api/engineapi/typedefinitions.py); 4 is a date.
_TYPES = {0: "string", 1: "boolean", 2: "int", 3: "float"}


def _types(arguments: Mapping[str, Any]) -> JSON:
    return {"convert_column_types": [_type(item) for item in arguments["columnConversion"]]}


def _type(item: Mapping[str, Any]) -> JSON:
    column, number = item["column"]["details"]["selectedColumn"], item["typeProperty"]
    more = item.get("typeArguments") or {}
    if number == 4:
        return {"columns": column, "column_type": {"datetime": {"formats": more["dateTimeFormats"]}}}
    if number not in _TYPES or more.get("decimalMark") not in (None, 0, "."):
        raise Unsupported(
            f"The column {column!r} of an output cannot get this type in the local service. It converts to strings, "
            "booleans, integers, dates and floats with a decimal point; convert the column in a script."
        )
    return {"columns": column, "column_type": _TYPES[number]}


_BLOCKS: dict[str, Callable[[Mapping[str, Any]], JSON]] = {
    "Microsoft.DPrep.ParseDelimitedBlock": _delimited,
    "Microsoft.DPrep.ReadParquetFileBlock": lambda _: {"read_parquet": {"include_path_column": True}},
    "Microsoft.DPrep.DropColumnsBlock": _columns("drop_columns"),
    "Microsoft.DPrep.KeepColumnsBlock": _columns("keep_columns"),
    "Microsoft.DPrep.ExpressionFilterBlock": _filter,
    "Microsoft.DPrep.ExpressionAddColumnBlock": _added_column,
    "Microsoft.DPrep.AddColumnsFromPartitionFormatBlock": _partition_columns,
    "Microsoft.DPrep.TakeSampleBlock": _sample,
    "Microsoft.DPrep.SetColumnTypesBlock": _types,
}


def read_transformations(text: str | None) -> tuple[JSON, ...]:
    """Transformations in the form of datasets' definitions; none for None. `Unsupported` for unknown ones."""
    blocks = read_blocks(text) if text else []
    unknown = sorted({block["type"].rpartition(".")[2] for block in blocks if block["type"] not in _BLOCKS})
    if unknown:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in _BLOCKS))
        raise Unsupported(
            f"The transformations {', '.join(unknown)} of an output are not supported by the local service, which "
            f"applies {known}. Pass the output on as files, and make the table in the script that reads them."
        )
    return tuple(_transformation(block) for block in blocks)


def _transformation(block: JSON) -> JSON:
    try:
        return _BLOCKS[block["type"]](block["arguments"])
    except (KeyError, TypeError, IndexError) as error:
        kind = block["type"].rpartition(".")[2]
        raise Invalid(f"The arguments of the transformation {kind} of an output are incomplete: {error}.") from error


def read_blocks(text: str) -> list[JSON]:
    """The blocks of a dataflow in JSON, or `Invalid`."""
    content = read_json(text, "The dataflow of an output")
    check_shape(content, {"blocks": [{"type": Needed(str), "arguments": dict}]}, "The dataflow")
    return (content or {}).get("blocks") or []
