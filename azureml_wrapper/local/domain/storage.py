"""Storage: accounts, containers, blobs, and the datastores that refer to them.

Names follow Azure's rules (Microsoft Learn, "Naming and Referencing Containers, Blobs, and Metadata"), and are
stricter, because a blob has to be a file: no empty, `.` or `..` segment, no control character, no segment over 255
bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.domain.limits import check_length

NAME_LIMIT = 1024  # characters
SEGMENT_LIMIT = 255  # bytes: the limit of Linux and macOS for a file's name
# The content of a blob `a` is in `a` + this if a blob `a/b` makes `a` a folder.
CONTENT_SUFFIX = ".__blob__"
# hdfs, blobfuse and rslex mark a folder by an empty blob with this metadata.
FOLDER_MARK = "hdi_isfolder"
DEFAULT_TYPE = "application/octet-stream"

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9](-?[a-z0-9]){2,62}")
_DATASTORE = re.compile(r"[a-z0-9_]{1,255}")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class InvalidName(Invalid):
    """An invalid name for an account, container or blob."""


class NoFileName(InvalidName):
    """A blob in Azure can have the name, but no file can: such as "folder/" and "a//b". So no blob here has it."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """The properties of a blob, without its content.

    `headers` are the content headers that a client set (lowercase: `content-type`, `content-encoding`, …); `md5` is
    base64, and only known if a client sent or requested it. `blocks` are the committed blocks, (id, size) each.
    """

    name: str
    size: int
    etag: str
    modified: datetime
    created: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    md5: str | None = None
    kind: str = "BlockBlob"
    blocks: tuple[tuple[str, int], ...] = ()

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type") or DEFAULT_TYPE


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """Represents, in a listing with a delimiter, all names that continue after it."""

    name: str


class Credential(str, Enum):
    """How a datastore authenticates to its account, in the words of the datastore service."""

    ACCOUNT_KEY = "AccountKey"
    SAS = "Sas"
    NONE = "None"  # the user's own identity


@dataclass(frozen=True, kw_only=True)
class Datastore:
    """A name for a container of an account.

    `kind` is `AzureBlob`, or `AzureFile` for the two file stores that every workspace has. The account's key and SAS
    tokens are kept by the account store, not here. `record` holds fields that only the SDK reads.
    """

    name: str
    account: str
    container: str
    kind: str = "AzureBlob"
    credential: Credential = Credential.ACCOUNT_KEY
    sas: str | None = field(default=None, repr=False)
    record: Mapping[str, Any] = field(default_factory=dict)


def check_account_name(name: str) -> None:
    """Raise `Invalid` for a name that a storage account in Azure could not have."""
    if not _ACCOUNT.fullmatch(name):
        raise InvalidName(f"Invalid storage account name {name!r}: use 3 to 24 lowercase letters and digits.")


def check_container_name(name: str) -> None:
    """Raise `Invalid` for a name that a container in Azure could not have."""
    if not _CONTAINER.fullmatch(name) or len(name) > 63:
        raise InvalidName(
            f"Invalid container name {name!r}: use 3 to 63 lowercase letters, digits and single '-', "
            "starting and ending with a letter or a digit."
        )


def check_datastore_name(name: str) -> None:
    """Raise `Invalid` for a name that the datastore service refuses."""
    if not _DATASTORE.fullmatch(name):
        raise Invalid(
            f"Invalid datastore name {name!r}: use 1 to 255 lowercase letters, digits and underscores "
            "(no '-', no uppercase letters)."
        )


def check_blob_name(name: str) -> None:
    """Raise `Invalid` for a name that is invalid for a file in its container, or means another blob."""
    if reason := _blob_name_fault(name):
        raise InvalidName(f"Invalid blob name {name[:80]!r}: {reason}.")
    if reason := next(filter(None, map(_file_name_fault, name.split("/"))), None):
        raise NoFileName(f"Invalid blob name {name[:80]!r}: {reason}.")


def without_dots(path: str) -> str:
    """A path without its "." segments: the SDK's pages write `datastore.path("./bar")`."""
    return "/".join(segment for segment in path.split("/") if segment != ".")


def is_segment(name: str) -> bool:
    """Whether a file of this name can be a blob."""
    return _segment_fault(name) is None and _file_name_fault(name) is None


def check_key(key: str) -> None:
    """Raise `Invalid` if an account key is not base64, as Azure's keys are. The message never shows the key."""
    try:
        decoded = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        raise Invalid(
            "The account key is not base64. Copy it completely from the storage account's page 'Access keys'."
        )


def _blob_name_fault(name: str) -> str | None:
    if not 0 < len(name) <= NAME_LIMIT:
        return f"it has {len(name)} characters instead of 1 to {NAME_LIMIT}"
    return next(filter(None, map(_segment_fault, name.split("/"))), None)


def _segment_fault(segment: str) -> str | None:
    if segment in (".", ".."):
        return f"the segment {segment!r} is not a file name"
    if _CONTROL.search(segment):
        return "it contains control characters"
    return None


def _file_name_fault(segment: str) -> str | None:
    """Why a segment that Azure allows cannot be the name of a file."""
    if not segment:
        return "the segment '' is not a file name"
    if len(segment.encode()) > SEGMENT_LIMIT:
        return f"a segment is longer than {SEGMENT_LIMIT} bytes"
    if segment.endswith(CONTENT_SUFFIX):
        return f"the suffix {CONTENT_SUFFIX!r} is reserved by the local service"
    return None


# Azure keeps them in this container of the workspace's own account.
CONTAINER = "azureml"
RUN_ORIGIN = "ExperimentRun"
DATASTORE = "workspaceartifactstore"
PATH_LENGTH = 5000


@dataclass(frozen=True)
class Place:
    """A collection of artifacts: an origin, and a container such as `dcid.<run id>`."""

    origin: str
    container: str

    def __post_init__(self) -> None:
        """Refuse a percent-encoded "/", which would lead into another container."""
        for part in (self.origin, self.container):
            if not part or part in (".", "..") or "/" in part:
                raise Invalid(f"Invalid part of an artifact's id: {part[:80]!r}.")

    @property
    def root(self) -> str:
        """The prefix of the names of all its blobs."""
        return f"{self.origin}/{self.container}/"

    def name(self, path: str) -> str:
        """The blob of an artifact, which is also the artifact's id."""
        return self.root + clean_path(path)


def clean_path(path: str) -> str:
    """The path with "/" as the separator and without ".": a `with` block ends by uploading `./outputs/x`."""
    check_length("ArtifactPath", path, PATH_LENGTH)
    return without_dots(path.replace("\\", "/"))


def check_artifact_path(path: str) -> None:
    """Raise `Invalid` if a new artifact's path is absolute or leads out of its folder."""
    if not {"", ".."}.isdisjoint(clean_path(path).split("/")):
        raise Invalid(
            f"The name of a run's file must be a relative path without '..', got {path!r}. log_image and similar "
            "methods use the path of a file as its name: pass a path relative to the working directory, such as "
            "outputs/roc.png, or use upload_file(name, path)."
        )


def of_run(run_id: str) -> Place:
    """The place of a run's files."""
    return Place(RUN_ORIGIN, f"dcid.{run_id}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file."""

    place: Place
    path: str
    size: int
    etag: str
    created: datetime

    @property
    def artifact_id(self) -> str:
        return self.place.name(self.path)
