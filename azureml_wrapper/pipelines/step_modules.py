"""The modules that a pipeline's steps become, sent to the local Azure ML without what the SDK repeats for each step.

For each new step the SDK looks for its module, creates it, and fetches what it has just sent. It validates and
converts every object of the requests, and of two answers of which it reads an id. In Azure, the SDK does it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient

if TYPE_CHECKING:
    from azureml.pipeline.core import Pipeline

# msrest's names of types (msrest/serialization.py, Serializer.basic_types), of those that the models here have.
_BASIC: dict[str, Callable[[Any], Any]] = {"bool": bool, "int": int, "float": float, "object": lambda value: value}


def send_plainly(pipeline: Pipeline) -> None:
    """Replace how a pipeline creates the modules of its steps; the SDK still decides which ones are new."""
    context = pipeline._graph_context
    provider = context.workflow_provider.module_provider
    sender, caller = _Sender(provider, context._workspace), provider._service_caller
    caller.create_module_async = sender.send
    provider.create_module, provider.download = sender.create, sender.download
    # The graph itself, which the SDK sends over the same client.
    serializer = caller._caller._serialize
    serializer.body = _Bodies(serializer.body).body


class _Bodies:
    """Replaces msrest's serializer for the bodies of requests that are models."""

    def __init__(self, other: Callable[..., Any]) -> None:
        self._other = other

    def body(self, data: Any, data_type: str, **options: Any) -> Any:
        """The body of a request."""
        try:
            return as_json(data)
        except _OtherType:
            return self._other(data, data_type, **options)


class _OtherType(TypeError):
    """A value of a type, such as a time, that msrest must convert."""


def as_json(model: Any) -> dict[str, Any]:
    """A model of the SDK as msrest would send it, without its validation and its two passes over all attributes."""
    if not hasattr(model, "_attribute_map"):
        raise _OtherType(type(model).__name__)
    fields = type(model)._attribute_map.items()
    given = ((field, getattr(model, name)) for name, field in fields)
    return {field["key"]: _value(value, field["type"]) for field, value in given if value is not None}


def _value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind.startswith("["):
        return [_value(each, kind[1:-1]) for each in value]
    if kind.startswith("{"):
        return {str(key): _value(each, kind[1:-1]) for key, each in value.items()}
    if kind == "str":
        return str(value.value if isinstance(value, Enum) else value)
    basic = _BASIC.get(kind)
    return basic(value) if basic else as_json(value)


class _Sender:
    """Creates modules, and remembers them for the SDK, which asks for each one that it has created."""

    def __init__(self, provider: Any, workspace: Any) -> None:
        self._create, self._download, self._auth = provider.create_module, provider.download, workspace._auth_object
        services = workspace.service_context
        self._address = f"{services._get_pipelines_url()}/pipelines/v1.0{services._get_workspace_scope()}/Modules"
        self._http = HttpClient(self._address, headers={"Content-Type": "application/json"})
        self._created: dict[str, Any] = {}

    def create(self, module_def: Any, **how: Any) -> str:
        """Create a module as the SDK does, and remember its definition."""
        module_id = str(self._create(module_def=module_def, **how))
        self._created[module_id] = module_def
        return module_id

    def send(self, creation_info: Any) -> Any:
        """Send a new module; the SDK reads only the `id` of the answer."""
        headers = dict(self._auth.get_authentication_header())
        body = json.dumps(as_json(creation_info)).encode()
        try:
            answer = self._http.send("POST", self._address, headers=headers, body=body)
        except (ConnectionBroken, ErrorResponse) as error:
            raise ConnectionFailed(f"Step {creation_info.name!r} could not be sent: {error}") from error
        return SimpleNamespace(id=json.loads(answer.body)["Id"])

    def download(self, module_id: str) -> Any:
        """The SDK's Module; fetched if it was created before."""
        from azureml.pipeline.core.graph import Module

        known = self._created.get(module_id)
        return self._download(module_id) if known is None else Module(module_id=module_id, module_def=known)
