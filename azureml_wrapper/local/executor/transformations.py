"""Steps that turn a folder of files into a table: from the form of an output's registration to that of a dataset.

`OutputFileDatasetConfig.read_delimited_files()` writes blocks of an older engine (azureml/data/_dataprep_stub.py),
where everything else in the SDK writes YAML for the present one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from azureml_wrapper.local.domain.datasets import dataflow_of
from azureml_wrapper.local.domain.errors import Unsupported

# The values of PromoteHeadersBehavior (azureml/data/dataset_type_definitions.py).
_HEADERS = ("no_header", "from_first_file", "all_files_different_headers", "all_files_same_headers")


def _delimited(arguments: Mapping[str, Any]) -> dict[str, Any]:
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


def _columns(verb: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda arguments: {verb: arguments["columns"]["details"]["selectedColumns"]}


_STEPS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "Microsoft.DPrep.ParseDelimitedBlock": _delimited,
    "Microsoft.DPrep.ReadParquetFileBlock": lambda _: {"read_parquet": {"include_path_column": True}},
    "Microsoft.DPrep.DropColumnsBlock": _columns("drop_columns"),
    "Microsoft.DPrep.KeepColumnsBlock": _columns("keep_columns"),
}


def translate(additional: str) -> list[dict[str, Any]]:
    """The steps of a registration's `additionalTransformation`; `Unsupported` for one that is not known."""
    blocks = json.loads(additional)["blocks"]
    unknown = sorted({block["type"].rpartition(".")[2] for block in blocks if block["type"] not in _STEPS})
    if unknown:
        raise Unsupported(
            f"The output is to be registered after the steps {', '.join(unknown)}, which the local service does not "
            "apply to outputs. Register it as files, and make the table from them."
        )
    return [_STEPS[block["type"]](block["arguments"]) for block in blocks]


def with_steps(definition: str, steps: list[dict[str, Any]]) -> str:
    """A dataset's definition with steps after its paths."""
    content = yaml.safe_load(dataflow_of(definition))
    content["transformations"] = [*(content.get("transformations") or []), *steps]
    return json.dumps({"blocks": [], "meta": {"RsDataflow": yaml.safe_dump(content, sort_keys=False)}})
