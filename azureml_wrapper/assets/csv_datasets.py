"""CSV files as tabular datasets: the work of `register_csv`."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.datastores import blob_client, get_datastore
from azureml_wrapper.errors import BadData, did_you_mean
from azureml_wrapper.messages import inform, quiet_sdk

if TYPE_CHECKING:
    from azureml.core import Workspace
    from azureml.data import TabularDataset

# Tags by which a registered CSV is recognized as unchanged.
CONTENT_TAG = "azureml_wrapper.content"
SETTINGS_TAG = "azureml_wrapper.settings"
SAMPLE_BYTES = 64 * 1024
DELIMITERS = (",", ";", "\t", "|")
# Encoding -> Python's codec for a sample. The reader of datasets takes the first three for windows-1252 and decodes
# every byte, as Python's latin-1 does and its cp1252 does not.
_CODECS = {
    "iso88591": "latin-1",
    "latin1": "latin-1",
    "windows1252": "latin-1",
    "ascii": "ascii",
    "utf8": "utf-8-sig",
    "utf8bom": "utf-8-sig",
    "utf16": "utf-16-le",
}
# What the SDK accepts by name and refuses when it reads: utf32 altogether, utf8bom although utf8 reads the same files
# (azureml/dataprep/api/engineless_dataflow.py).
_UNREADABLE = "utf32"
_SDK_NAMES = {"utf8bom": "utf8"}
# The longer one first, because it begins with the shorter one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF8, "utf8"),
    (codecs.BOM_UTF16_LE, "utf16"),
    (codecs.BOM_UTF16_BE, "UTF-16 in big-endian order"),
)
_CONVERT = "which datasets cannot read. Save it as UTF-8."


@dataclass(frozen=True, kw_only=True)
class Csv:
    """How to read a CSV file."""

    delimiter: str = ","
    encoding: str = "utf8"
    multi_line: bool = False

    def __post_init__(self) -> None:
        if self.encoding.lower() not in _CODECS:
            hint = did_you_mean(self.encoding, _CODECS)
            raise BadData(
                f"encoding is 'utf32', {_CONVERT}"
                if self.encoding.lower() == _UNREADABLE
                else f"Unknown encoding {self.encoding!r}.{hint} Expected one of {', '.join(_CODECS)}."
            )
        if len(self.delimiter) != 1:
            raise BadData(f"delimiter must be one character, got {self.delimiter!r}.")

    @property
    def sdk_encoding(self) -> str:
        """The encoding for `Dataset.Tabular.from_delimited_files`."""
        return _SDK_NAMES.get(self.encoding.lower(), self.encoding)

    def check(self, sample: bytes, *, name: str, whole: bool) -> None:
        """Raise `BadData` if the beginning of the file shows that it cannot be read this way."""
        text = self._decode(sample, name, whole=whole)
        if "\r" in text[:-1] and "\n" not in text:
            raise BadData(f"The lines of {name} end with CR alone, {_CONVERT[:-1]} with other line endings.")
        lines = [line for line in re.split(r"\r?\n", text) if line.strip()]
        if len(lines) < 2 and whole:
            found = "has a header but no rows" if lines else "is empty"
            raise BadData(f"{name} {found}. A tabular dataset requires a header and at least one row.")
        self._check_delimiter(lines if whole else lines[:-1] or lines, name)
        if not self.multi_line and _has_line_breaks(text, self.delimiter, whole=whole):
            raise BadData(f"{name} has line breaks within quotes. Pass multi_line=True; reading takes longer then.")

    def _decode(self, sample: bytes, name: str, *, whole: bool) -> str:
        codec = _CODECS[self.encoding.lower()]
        marked = next((encoding for mark, encoding in _MARKS if sample.startswith(mark)), None)
        if marked is not None and _CODECS.get(marked) != codec:
            if marked not in _CODECS:
                raise BadData(f"{name} is encoded in {marked}, {_CONVERT}")
            raise BadData(f"{name} is not encoded in {self.encoding}: it has a mark of {marked}. {_pass(marked)}")
        if codec == "utf-16-le":
            _check_utf16(sample, name)
        try:
            # A sample may end in the middle of a character.
            text = codecs.getincrementaldecoder(codec)().decode(sample, final=whole)
        except UnicodeDecodeError as error:
            raise BadData(f"{name} is not encoded in {self.encoding} ({error.reason}). Pass encoding=….") from error
        if "\0" in text:
            raise BadData(f"{name} is not encoded in {self.encoding}: it contains zero bytes. {_pass('utf16')}")
        return text.removeprefix("\ufeff")

    def _check_delimiter(self, lines: list[str], name: str) -> None:
        if self.delimiter in lines[0]:
            return
        for other in DELIMITERS:
            counts = {line.count(other) for line in lines[:20]}
            if len(counts) == 1 and counts != {0}:
                raise BadData(
                    f"{name} seems to be delimited by {other!r}, not by {self.delimiter!r}. Pass delimiter={other!r}."
                )


def _check_utf16(sample: bytes, name: str) -> None:
    """Raise `BadData` for another order of bytes, and for text of one byte per character."""
    if sample[:1] == b"\0":
        raise BadData(f"{name} is encoded in UTF-16 in big-endian order, {_CONVERT}")
    if sample and b"\0" not in sample:
        raise BadData(f"{name} is not encoded in utf16. {_pass('utf8')}")


def _pass(encoding: str) -> str:
    return f"Pass encoding={encoding!r}."


def _has_line_breaks(text: str, delimiter: str, *, whole: bool) -> bool:
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    # The last row of a sample may be cut off within quotes.
    complete = rows if whole else rows[:-1]
    return any("\n" in cell or "\r" in cell for row in complete for cell in row)


def register_csv(
    ws: Workspace, datastore_name: str, dataset_name: str, source: Path | None, how: Csv
) -> TabularDataset:
    """Register `<dataset_name>.csv` as a tabular dataset; a new version if settings or content have changed."""
    name = dataset_name[:-4] if dataset_name.lower().endswith(".csv") else dataset_name
    file = f"{name}.csv"
    datastore = get_datastore(ws, datastore_name)
    tags = {SETTINGS_TAG: _digest(repr((datastore_name, file, how)).encode())}
    if source is not None:
        tags[CONTENT_TAG] = _check_source(source, how)
    found = find_dataset(ws, name)
    if found is not None and tags.items() <= found.tags.items() and _is_stored(datastore, file, source):
        inform(f"Dataset {name!r} is already registered, unchanged: version {found.version}.")
        return found
    if source is None:
        _check_stored(datastore, file, how)
    else:
        _upload(datastore, source, file)
    return _register(ws, name, (datastore, file), how, tags)


def _register(ws: Workspace, name: str, path: tuple[Any, str], how: Csv, tags: dict[str, str]) -> TabularDataset:
    from azureml.core import Dataset

    dataset = Dataset.Tabular.from_delimited_files(
        path=path, separator=how.delimiter, encoding=how.sdk_encoding, support_multi_line=how.multi_line
    )
    registered = dataset.register(ws, name, tags=tags, create_new_version=True)
    inform(f"Dataset {name!r}: registered version {registered.version}.")
    return registered


def find_dataset(ws: Workspace, name: str) -> Any:
    """The newest version of a registered dataset, or None."""
    from azureml.core import Dataset
    from azureml.exceptions import UserErrorException

    try:
        with quiet_sdk():
            return Dataset.get_by_name(ws, name)
    except UserErrorException as error:
        # The SDK has no error class for it (azureml/data/abstract_dataset.py, _get_by_name).
        if "Cannot find dataset" not in str(error):
            raise
        return None


def _check_source(source: Path, how: Csv) -> str:
    """Check a local CSV file, and return its SHA-256."""
    try:
        with source.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
            how.check(sample, name=str(source), whole=len(sample) < SAMPLE_BYTES)
            digest = hashlib.sha256(sample)
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise BadData(f"Cannot read {source}: {error.strerror}.") from error
    return digest.hexdigest()


def _check_stored(datastore: Any, file: str, how: Csv) -> None:
    """Check the beginning of a file in a datastore."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    blob = blob_client(datastore, file)
    name = f"{file} of datastore {datastore.name!r}"
    try:
        answer = blob.download_blob(offset=0, length=SAMPLE_BYTES)
        sample, size = answer.readall(), answer.properties.size
    except ResourceNotFoundError as error:
        raise BadData(f"{name} does not exist. Upload it, or pass the local file as source=….") from error
    except HttpResponseError as error:
        # Storage refuses to read a range of an empty blob.
        if error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        sample, size = b"", 0
    how.check(sample, name=name, whole=len(sample) >= size)


def _upload(datastore: Any, source: Path, file: str) -> None:
    with source.open("rb") as content:
        blob_client(datastore, file).upload_blob(content, overwrite=True)


def _is_stored(datastore: Any, file: str, source: Path | None) -> bool:
    """Whether the uploaded file is still in the datastore; a file that was uploaded otherwise is not checked."""
    if source is None:
        return True
    blob = blob_client(datastore, file)
    return bool(blob.exists() and blob.get_blob_properties().size == source.stat().st_size)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
