"""Operations on modules by name (`azureml.pipeline.core.Module`) and their versions, which ModuleStep runs.

A version is a module like those that the SDK makes of steps, so a graph names it in the same way.
"""

from __future__ import annotations

from azureml_wrapper.local.domain.errors import Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.pipelines import NamedModule, check_status
from azureml_wrapper.local.domain.runs import JSON
from azureml_wrapper.local.domain.shapes import Needed, check_shape
from azureml_wrapper.local.http.messages import Request, Response, json_response
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.services.pipelines import wire
from azureml_wrapper.local.services.pipelines.graphwire import read_module
from azureml_wrapper.local.store.documents import Document
from azureml_wrapper.local.store.pipelines import read_named_module

# What runs a version: scripts here, other services in Azure (azureml/pipeline/core/module.py).
_SCRIPT = "escloud"
_SERVICES = {"adlcloud": "Azure Data Lake Analytics", "azurebatchcloud": "Azure Batch"}
_MODULE = {
    "Name": Needed(str),
    "Description": str,
    "DefaultVersion": str,
    "EntityStatus": str,
    "Versions": [{"ModuleVersionId": Needed(str), "Version": str}],
}
_VERSION = {"AmlModuleId": Needed(str), "Version": str, "ModuleExecutionType": str}
_CHANGE = {"Data": Needed({"Description": str, "EntityStatus": str})}


def create(context: Context, request: Request) -> Response:
    """A module without versions; a `Conflict` if its name is taken."""
    body = request.json_object()
    check_shape(body, _MODULE, "Module")
    module = NamedModule(module_id=context.ids.guid(), name=body["Name"], description=body.get("Description"))
    return _answer(context.pipelines.add_named_module(request.workspace_id, module))


def get(context: Context, request: Request) -> Response:
    return _answer(context.pipelines.named_modules.get(request.workspace_id, request["module"]))


def get_by_name(context: Context, request: Request) -> Response:
    """The module of a name, also if it is disabled."""
    name = request.query.get("name") or ""
    return _answer(context.pipelines.named_module_by_name(request.workspace_id, name))


def put(context: Context, request: Request) -> Response:
    """Change a module: its name, description, status, default or list of versions."""
    body = request.json_object()
    check_shape(body, _MODULE, "Module")
    before = read_named_module(context.pipelines.named_modules.get(request.workspace_id, request["module"]))
    sent = [(item.get("Version"), item["ModuleVersionId"]) for item in body.get("Versions") or ()]
    changed = NamedModule(
        module_id=before.module_id,
        name=body["Name"],
        description=body.get("Description"),
        status=check_status(body.get("EntityStatus") or before.status),
        default_version=body.get("DefaultVersion"),
    ).with_versions(sent)
    for version_id in changed.versions.values():
        _version_of(context, request, changed.module_id, version_id)
    return _answer(context.pipelines.put_named_module(request.workspace_id, changed))


def add_version(context: Context, request: Request) -> Response:
    """Store what a version runs. The SDK then adds it to the module's list itself."""
    body = request.json_object()
    check_shape(body, _VERSION, "ModuleVersion")
    kind = body.get("ModuleExecutionType") or _SCRIPT
    if kind.lower() != _SCRIPT:
        what = _SERVICES.get(kind.lower(), f"execution type {kind!r}")
        raise Unsupported(
            f"Modules for {what} are not supported by the local service; it runs Python scripts "
            "(Module.publish_python_script)."
        )
    read_module("", body)
    named = read_named_module(context.pipelines.named_modules.get(request.workspace_id, body["AmlModuleId"]))
    if body.get("Version") in named.versions:
        raise Invalid(f"Module {named.name} has a version {body['Version']!r} already.")
    return json_response(wire.module_version(context.pipelines.add_module_version(request.workspace_id, body)))


def get_version(context: Context, request: Request) -> Response:
    return json_response(wire.module_version(_version(context, request, request["version"])))


def put_version(context: Context, request: Request) -> Response:
    """Change the description or the status of a version."""
    body = request.json_object()
    check_shape(body, _CHANGE, "ModuleVersion")
    before, data = _version(context, request, request["version"]), body["Data"]
    status = check_status(data.get("EntityStatus") or before.body.get("EntityStatus") or wire.ACTIVE)
    changed = {**before.body, "Description": data.get("Description"), "EntityStatus": status}
    return json_response(
        wire.module_version(context.pipelines.modules.put(request.workspace_id, before.key, changed))
    )


def _version(context: Context, request: Request, version_id: str) -> Document:
    found = context.pipelines.modules.find(request.workspace_id, version_id)
    if found is None or not found.body.get("AmlModuleId"):
        raise NotFound(f"Could not find a module version with the id {version_id!r}.")
    return found


def _version_of(context: Context, request: Request, module_id: str, version_id: str) -> None:
    if _version(context, request, version_id).body["AmlModuleId"] != module_id:
        raise Invalid(f"The module version {version_id} belongs to another module.")


def _answer(document: Document) -> Response:
    module: JSON = wire.named_module(document)
    return json_response(module)
