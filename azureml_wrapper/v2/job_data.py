"""`inputs` and `outputs` of jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_wrapper.v2 import references
from azureml_wrapper.v2.references import Binding, Reference, is_reference, reference
from azureml_wrapper.v2.yaml_keys import Key, Keys, Place, Refused, one_of, read_keys, text

# SDK v1 sets an environment variable for each name.
_NAME = re.compile(r"[A-Za-z_]\w*")
_STORE = re.compile(
    r"azureml:/?/?(?:subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)/"
    r"(?:providers/Microsoft\.MachineLearningServices/)?workspaces/(?P<workspace>[^/]+)/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)"
)
# A single file of a public container; SDK v1 needs its https address.
_PUBLIC = re.compile(r"wasbs?://(?P<container>[^@/]+)@(?P<account>[^/]+)/(?P<path>.+\.\w+)")
_OTHER_STORES = ("wasbs:", "wasb:", "abfss:", "abfs:", "adl:", "s3:", "hdfs:")
FOLDER, FILE, TABLE = "uri_folder", "uri_file", "mltable"
# A job sees them as folders.
MODELS = ("mlflow_model", "custom_model")
_LITERALS = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
MOUNT, DOWNLOAD, DIRECT, UPLOAD, WRITABLE = "ro_mount", "download", "direct", "upload", "rw_mount"


@dataclass(frozen=True)
class Literal:
    """A value that is inserted into the command unchanged."""

    value: str


@dataclass(frozen=True)
class StorePath:
    """A file or folder of a datastore; `workspace` is (subscription, group, name) if the file names one."""

    datastore: str
    path: str
    workspace: tuple[str, str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class DataInput:
    """Files that a job reads. `where` is the line that names them, for errors that are found later."""

    kind: str
    path: Reference | StorePath | Path | str | Binding
    mode: str
    where: str


Input = Literal | DataInput | Binding


@dataclass(frozen=True, kw_only=True)
class Output:
    """A folder that a job fills. `name` is what it is registered as; `path` None is a folder of the run's own.

    `file` is the name of the one file in it that a uri_file stands for.
    """

    mode: str = "rw_mount"
    path: StorePath | None = None
    name: str | None = None
    binding: Binding | None = None
    file: str | None = None


def _source(place: Place) -> Reference | StorePath | Path | str | Binding | None:
    """Read a `path`."""
    value = text(place)
    if value is None:
        return None
    if binding := references.whole(value):
        return binding
    if is_reference(value) and not _STORE.fullmatch(value):
        return reference(place)
    if value.startswith("azureml:"):
        return store_path(place)
    if public := _PUBLIC.fullmatch(value):
        return f"https://{public['account']}/{public['container']}/{public['path']}"
    if value.startswith(_OTHER_STORES):
        place.fail(f"{place} is {value!r}; register the container as a datastore, and name azureml://datastores/….")
        return None
    if value.startswith(("http://", "https://")):
        return value
    local = (place.folder / Path(value.removeprefix("file://")).expanduser()).resolve()
    if not local.exists():
        place.fail(f"{place} is {value!r}, but {local} does not exist.")
    return local


def store_path(place: Place) -> StorePath | None:
    """`azureml://datastores/NAME/paths/PATH`, or its long form."""
    value = text(place)
    found = _STORE.fullmatch(value or "")
    if value is None or found is None:
        place.fail(f"{place} is {value!r}; a path of a datastore is azureml://datastores/NAME/paths/PATH.")
        return None
    scope = (found["subscription"], found["group"], found["workspace"])
    workspace = None if found["workspace"] is None else (str(scope[0]), str(scope[1]), str(scope[2]))
    return StorePath(found["datastore"], found["path"], workspace)


def _input_type(place: Place) -> str | None:
    return one_of(FOLDER, FILE, TABLE, *MODELS, *_LITERALS)(place)


def _input_mode(place: Place) -> str | None:
    value = text(place)
    words = {"eval_mount": MOUNT, "eval_download": DOWNLOAD}
    return words.get(value or "") or one_of(MOUNT, DOWNLOAD, DIRECT, WRITABLE)(place)


INPUT: Keys = {
    "type": Key(
        read=_input_type,
        becomes="uri_folder, uri_file, mlflow_model, custom_model: a file dataset (registered models are refused); "
        "mltable: a registered dataset, tabular or of files; "
        "string, number, integer, boolean: a value of the command",
        default=FOLDER,
    ),
    "path": Key(
        read=_source,
        becomes="azureml:NAME:VERSION, azureml:NAME@latest: a registered dataset; azureml://datastores/…: its files; "
        "a local path: uploaded once per content; http(s), and wasbs of a file: the file there; or a binding",
    ),
    "mode": Key(
        read=_input_mode,
        becomes="ro_mount, download (eval_mount, eval_download); rw_mount of azureml://datastores/…: a "
        "DataReference; direct; a tabular dataset is always in "
        "`run.input_datasets`, as SDK v1 has it; direct of another job's output that the command does not use: "
        "`run_after`",
    ),
    "default": Key(read=lambda place: place.value, becomes="the value of a string, number, integer or boolean"),
    "description": Key(read=text, becomes="not sent"),
    "optional": Refused("SDK v1 has no optional inputs of jobs; leave the input out"),
    "datastore": Refused("name the datastore in path: azureml://datastores/NAME/paths/PATH"),
}


def read_input(place: Place) -> Input | None:
    """An input: a value, data, or a binding to something else of the file."""
    _check_name(place)
    if not isinstance(place.value, dict):
        return _literal(place)
    found = read_keys(place, INPUT)
    if found["type"] in _LITERALS:
        return _typed(place, found)
    if found["path"] is None:
        if "path" not in place.value:
            place.fail(f"{place}.path is missing.")
        return None
    if isinstance(found["path"], Binding) and found["mode"] is None:
        return found["path"]
    return _data(place, found)


def _data(place: Place, found: dict[str, Any]) -> DataInput:
    is_table, mode = found["type"] == TABLE, found["mode"] or MOUNT
    if mode == DIRECT and not is_table and not is_output(found["path"]):
        place.fail(f"{place} is {found['type']} in mode direct, which SDK v1 has for tables (mltable) only.")
    if mode == WRITABLE and not isinstance(found["path"], StorePath):
        place.fail(f"{place} is rw_mount, which SDK v1 has for azureml://datastores/… only. Write to an output.")
    if found["type"] in MODELS and isinstance(found["path"], Reference):
        place.fail(f"{place} is a registered model, no input of a job in SDK v1: use Model.get_model_path there.")
    if is_table and not isinstance(found["path"], (Reference, Binding)):
        place.fail(f"{place} is an mltable that is not registered; SDK v1 reads registered datasets: azureml:NAME.")
    return DataInput(kind=found["type"], path=found["path"], mode=mode, where=place.where)


def is_output(path: object) -> bool:
    """Whether it is what another job of the pipeline writes."""
    return isinstance(path, Binding) and path.kind == "job output"


def _literal(place: Place) -> Literal | Binding | None:
    if binding := references.whole(place.value):
        return binding
    if place.value is None or isinstance(place.value, list):
        place.fail(f"{place} is empty; give a value, or a mapping with type and path.")
        return None
    # As azure-ai-ml sends them: True, not true.
    return Literal(str(place.value))


def _typed(place: Place, found: dict[str, Any]) -> Literal | None:
    value = found["path"] if found["default"] is None else found["default"]
    wanted = _LITERALS[found["type"]]
    if value is None:
        place.fail(f"{place} is a {found['type']} without a value; set default.")
        return None
    if found["type"] != "string" and (
        not isinstance(value, wanted) or isinstance(value, bool) != (found["type"] == "boolean")  # type: ignore[arg-type]
    ):
        place.fail(f"{place} is {value!r}, which is not a valid {found['type']}.")
    return Literal(str(value))


def _output_mode(place: Place) -> str | None:
    value = text(place)
    if value == "direct":
        place.fail(f"{place} is direct, and outputs of SDK v1 are mounted or uploaded: rw_mount or upload.")
        return None
    return one_of("rw_mount", "upload", "mount")(place)


OUTPUT: Keys = {
    "type": Key(
        read=one_of(FOLDER, FILE, TABLE, *MODELS),
        becomes="a folder, as all outputs of SDK v1 are; uri_file: a file in it, named as its path or as the output",
        default=FOLDER,
    ),
    "path": Key(
        read=store_path, becomes="`destination`; `azureml/<run>/<output>` of the default datastore unless given"
    ),
    "mode": Key(read=_output_mode, becomes="rw_mount, upload", default="rw_mount"),
    "name": Key(read=text, becomes="`register_on_complete`"),
    "version": Refused("SDK v1 numbers the versions of datasets itself"),
    "description": Key(read=text, becomes="not sent"),
}


def read_output(place: Place) -> Output | None:
    """An output; nothing but its name is needed."""
    _check_name(place)
    if place.value is None:
        return Output()
    if binding := references.whole(place.value):
        return Output(binding=binding)
    found = read_keys(place, OUTPUT)
    if found["name"] and found["type"] not in (FOLDER, FILE):
        place.at("name").fail(f"{place.at('name')}: SDK v1 registers outputs as folders, not as {found['type']}.")
    path, file = found["path"], None
    if found["type"] == FILE:
        folder, _, last = (path.path if path else "").rpartition("/")
        file = last or place.key
        path = StorePath(path.datastore, f"{folder}/", path.workspace) if path else None
    return Output(mode=found["mode"], path=path, name=found["name"], file=file)


def _check_name(place: Place) -> None:
    if not _NAME.fullmatch(place.key):
        place.fail(f"{place}: SDK v1 takes letters, digits and '_' in names of inputs and outputs.")
