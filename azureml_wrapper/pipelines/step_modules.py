"""The modules that a pipeline's steps become, sent to the local Azure ML without what the SDK repeats for each step.

For each new step the SDK looks for its module, creates it, and fetches what it has just sent. It reads the step's
whole folder three times and asks git about it, and validates and converts every object of the requests. Here, all
modules are looked for in one request and created in a few, and a folder is read once. In Azure, the SDK does it.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.transfer.http_client import ConnectionBroken, ErrorResponse, HttpClient

if TYPE_CHECKING:
    from azureml.core import RunConfiguration
    from azureml.pipeline.core import Pipeline

# msrest's names of types (msrest/serialization.py, Serializer.basic_types), of those that the models here have.
_BASIC: dict[str, Callable[[Any], Any]] = {"bool": bool, "int": int, "float": float, "object": lambda value: value}
# Modules of a request: 10 KB each.
PORTION = 200


def send_plainly(pipeline: Pipeline) -> None:
    """Replace how a pipeline finds and creates the modules of its steps, and how it sends its graph."""
    context = pipeline._graph_context
    provider = context.workflow_provider.module_provider
    # The graph itself, which the SDK sends over this client.
    serializer = provider._service_caller._caller._serialize
    serializer.body = _Bodies(serializer.body).body
    graph = pipeline.graph
    graph.finalize = _Finalizer(graph, provider, _ModuleService(context._workspace)).finalize


def with_text_made_once(configuration: RunConfiguration) -> RunConfiguration:
    """Let a run configuration that many steps share write its JSON once; nothing may change it any more.

    The SDK writes it for each step (azureml/pipeline/core/_python_script_step_base.py, create_node).
    """
    from azureml.core import RunConfiguration

    text = functools.cache(lambda: RunConfiguration.__repr__(configuration))

    class Shared(RunConfiguration):  # type: ignore[misc] # the SDK has no types
        def __repr__(self) -> str:
            return str(text() if self is configuration else super().__repr__())

    configuration.__class__ = Shared
    return configuration


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
    kind: Any = type(model)
    given = ((key, convert, getattr(model, name)) for name, key, convert in _fields(kind))
    return {key: convert(value) for key, convert, value in given if value is not None}


@functools.cache
def _fields(kind: type[Any]) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    """Attribute, key and conversion of each field of a model."""
    if not hasattr(kind, "_attribute_map"):
        raise _OtherType(kind.__name__)
    fields: Mapping[str, Mapping[str, str]] = kind._attribute_map
    return tuple((name, field["key"], _conversion(field["type"])) for name, field in fields.items())


@functools.cache
def _conversion(kind: str) -> Callable[[Any], Any]:
    """What msrest does to a value of a type; None stays None."""
    if kind.startswith("["):
        each = _conversion(kind[1:-1])
        return lambda value: None if value is None else [each(item) for item in value]
    if kind.startswith("{"):
        every = _conversion(kind[1:-1])
        return lambda value: None if value is None else {str(key): every(item) for key, item in value.items()}
    if kind == "str":
        return _text
    if kind in _BASIC:
        basic = _BASIC[kind]
        return lambda value: None if value is None else basic(value)
    return lambda value: None if value is None else as_json(value)


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return str(value.value if isinstance(value, Enum) else value)


class _Finalizer:
    """Gives the steps of a graph their modules: replaces `finalize` of the SDK's graph, and what that asks for.

    The SDK still decides which modules are new, and what is in them.

    Args:
        graph: The SDK's graph.
        provider: The SDK's provider of modules.
        service: Finds and creates modules.
    """

    def __init__(self, graph: Any, provider: Any, service: _ModuleService) -> None:
        self._graph, self._provider, self._service = graph, provider, service
        self._finalize, self._download = graph.finalize, provider.download

    def finalize(self, dry_run: bool | None = None, regenerate_outputs: bool = False) -> Any:
        """Finalize the graph as `Graph.finalize` does."""
        builders = self._builders(regenerate_outputs=regenerate_outputs)
        known = {} if regenerate_outputs else self._service.find(builders)
        created = {} if dry_run else self._create({name: builders[name] for name in builders if name not in known})
        for fingerprint, module_id in created.items():
            builders[fingerprint].build = functools.partial(str, module_id)
        modules = {
            module_id: _module(module_id, builders[fingerprint])
            for fingerprint, module_id in (known | created).items()
        }
        found = {fingerprint: modules[module_id] for fingerprint, module_id in known.items()}
        self._provider.find_module_by_fingerprint = found.get
        self._provider.download = lambda module_id: modules.get(module_id) or self._download(module_id)
        return self._finalize(dry_run=dry_run, regenerate_outputs=regenerate_outputs)

    def _builders(self, *, regenerate_outputs: bool) -> dict[str, Any]:
        """Fingerprint -> the builder of a module, of the steps that have none yet."""
        content, found = functools.cache(_content_hash), {}
        for node in self._graph.module_nodes:
            builder = node._module_builder
            if builder is not None and (node._module is None or regenerate_outputs):
                fingerprint = f"{builder.module_def.calculate_hash()}_{content(builder._content_path)}"
                builder.get_fingerprint = functools.partial(str, fingerprint)
                found[fingerprint] = builder
        return found

    def _create(self, builders: Mapping[str, Any]) -> dict[str, str]:
        """Send new modules; return fingerprint -> id."""
        upload = functools.cache(self._provider._module_uploader.upload)
        properties = functools.cache(_properties)
        data_types = self._provider._service_caller.get_all_datatypes_async() if builders else []
        infos = (
            _creation_info(fingerprint, builder, data_types, upload, properties)
            for fingerprint, builder in builders.items()
        )
        return dict(zip(builders, self._service.create(infos), strict=True))


def _module(module_id: str, builder: Any) -> Any:
    """The SDK's module, as it would read it from the service."""
    from azureml.pipeline.core.graph import Module

    return Module(module_id=module_id, module_def=builder.module_def)


def _content_hash(folder: str | None) -> str:
    """The last part of the SDK's fingerprint, which is the same for all modules of a folder."""
    from azureml.pipeline.core._module_builder import _ModuleBuilder

    without_module = SimpleNamespace(calculate_hash=str)
    return str(_ModuleBuilder.calculate_hash(without_module, folder)).removeprefix("_")


def _properties(folder: str) -> dict[str, str]:
    """The properties that the SDK reads from git for a folder."""
    from azureml._base_sdk_common.tracking import global_tracking_info_registry

    found: dict[str, str] = global_tracking_info_registry.gather_all(folder)
    return found


def _creation_info(
    fingerprint: str,
    builder: Any,
    data_types: Any,
    upload: Callable[[str], str],
    properties: Callable[[str], dict[str, str]],
) -> Any:
    """A new module, as the SDK makes it (azureml/pipeline/core/_aeva_provider.py, create_module)."""
    from azureml.pipeline.core._aeva_provider import ModuleCreationInfo, _AevaModuleProvider

    made, existing = builder.module_def, builder._existing_snapshot_id
    folder = None if existing else builder._content_path

    def info(interface: Any, storage_id: str | None, is_interface_only: bool) -> Any:
        return ModuleCreationInfo(
            name=made.name,
            description=made.description,
            is_deterministic=made.allow_reuse,
            module_execution_type=made.module_execution_type,
            structured_interface=interface,
            identifier_hash=fingerprint,
            storage_id=storage_id,
            is_interface_only=is_interface_only,
            properties=dict(properties(folder or ".")),
            module_type=made.module_type,
            step_type=made.step_type,
            runconfig=made.runconfig,
            cloud_settings=made.cloud_settings,
        )

    uploader = SimpleNamespace(upload=lambda directory: upload(directory))
    return _AevaModuleProvider.module_creation(made, folder, data_types, uploader, info, existing, builder._arguments)


class _ModuleService:
    """Finds and creates modules of a workspace, many in a request."""

    def __init__(self, workspace: Any) -> None:
        self._auth, services = workspace._auth_object, workspace.service_context
        self._address = f"{services._get_pipelines_url()}/pipelines/v1.0{services._get_workspace_scope()}/Modules"
        self._http = HttpClient(self._address, headers={"Content-Type": "application/json"})

    def find(self, fingerprints: Iterable[str]) -> dict[str, str]:
        """Return fingerprint -> id of the newest module, for those that exist."""
        asked = list(fingerprints)
        return dict(self._ask("query", {"Hashes": asked})["Ids"]) if asked else {}

    def create(self, infos: Iterable[Any]) -> list[str]:
        """Create modules, and return their ids."""
        ids: list[str] = []
        while portion := list(itertools.islice(infos, PORTION)):
            ids += self._ask("batch", {"Modules": [as_json(info) for info in portion]})["Ids"]
        return ids

    def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        headers = dict(self._auth.get_authentication_header())
        try:
            url, content = f"{self._address}/{path}", json.dumps(body).encode()
            return json.loads(self._http.send("POST", url, headers=headers, body=content).body)
        except (ConnectionBroken, ErrorResponse) as error:
            raise ConnectionFailed(f"The modules of the steps could not be sent: {error}") from error
