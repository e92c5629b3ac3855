"""Operations of Azure Resource Manager."""

from __future__ import annotations

import contextlib
import logging

from azureml_wrapper.local.domain.errors import Conflict, Unsupported
from azureml_wrapper.local.domain.workspaces import DEFAULT_NAME, ResourceGroup, Workspace
from azureml_wrapper.local.http.messages import Request, Response, empty, json_response
from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.arm import wire
from azureml_wrapper.local.services.context import Context
from azureml_wrapper.local.tokens import Identity

log = logging.getLogger("azureml_wrapper.local")

# Resources beside a workspace in Azure; here they are part of it.
_DEPENDENCIES = ("storageaccounts", "vaults", "components", "registries")


def find_workspace(context: Context, request: Request, subscription: str, group: str, name: str) -> Workspace:
    """The workspace that a request names.

    A program under `aml local exec` gets the workspaces that it asks for, as if they had been created before, unless
    it manages those of the resource group itself. It asks ARM first, so a missing workspace in a path of another
    service has been deleted.

    Raises:
        Invalid: Such a program asks for a name that Azure would refuse.
        NotFound: The workspace is missing.
    """
    identity, is_arm = request.identity, request.path.lower().startswith("/subscriptions/")
    expects = identity.creates_workspaces and is_arm and not context.programs.manages(identity, subscription, group)
    if expects and context.workspaces.find(subscription, group, name) is None:
        _create_asked_for(context, identity, subscription, group, name)
    return context.workspaces.get(subscription, group, name)


def _create_asked_for(context: Context, identity: Identity, subscription: str, group: str, name: str) -> None:
    """Create a workspace, unless another request has just created it."""
    workspace = Workspace(
        workspace_id=context.ids.guid(),
        subscription=subscription,
        resource_group=group,
        name=name,
        location=DEFAULT_NAME,
        created=context.clock.now(),
        description="Created because a program under `aml local exec` asked for it.",
    )
    with contextlib.suppress(Conflict):
        context.workspaces.add(workspace)
        log.info("Created workspace %s in %s, because a program under `aml local exec` asked for it.", name, group)
        scope = f"{subscription}/{group}/{name}"
        context.programs.report(identity, f"Created workspace {name} on the local Azure ML ({scope}).")


def list_subscriptions(context: Context, request: Request) -> Response:
    """The subscriptions with a workspace, and those in the caller's token."""
    names = {*context.workspaces.subscriptions(), DEFAULT_NAME, *request.identity.subscriptions}
    is_program = request.identity.program is not None
    listed = [wire.subscription(name, for_program=is_program) for name in sorted(names)]
    return json_response({"value": listed})


def get_subscription(_: Context, request: Request) -> Response:
    """One subscription; every id exists."""
    return json_response(wire.subscription(request["subscription"]))


def list_groups(context: Context, request: Request) -> Response:
    """The resource groups of a subscription."""
    groups = context.resource_groups.within(request["subscription"])
    return json_response({"value": [wire.group(group) for group in groups]})


def get_group(context: Context, request: Request) -> Response:
    """One resource group."""
    context.programs.manage(request.identity, request["subscription"], request["resource_group"])
    return json_response(wire.group(context.resource_groups.get(request["subscription"], request["resource_group"])))


def has_group(context: Context, request: Request) -> Response:
    """Whether a resource group exists: 204 or 404."""
    context.programs.manage(request.identity, request["subscription"], request["resource_group"])
    found = context.resource_groups.find(request["subscription"], request["resource_group"])
    return empty(204 if found else 404)


def put_group(context: Context, request: Request) -> Response:
    """Create a resource group, or replace its tags."""
    group = wire.parse_group(request["subscription"], request["resource_group"], request.json_object())
    is_new = context.resource_groups.put(group)
    return json_response(wire.group(group), 201 if is_new else 200)


def list_resources(context: Context, request: Request) -> Response:
    """The workspaces that match a filter (`Workspace.list`); other kinds of resources do not exist here."""
    found = context.workspaces.within(request["subscription"], request.parameters.get("resource_group"))
    wanted = wire.parse_filter(request.query.get("$filter", ""))
    return json_response({"value": [wire.resource(record) for record in found if wanted(record)]})


def get_workspace(context: Context, request: Request) -> Response:
    """One workspace."""
    return json_response(wire.workspace(request.workspace, context.addresses))


def list_workspaces(context: Context, request: Request) -> Response:
    """The workspaces of a subscription, or of a resource group."""
    found = context.workspaces.within(request["subscription"], request.parameters.get("resource_group"))
    return json_response({"value": [wire.workspace(record, context.addresses) for record in found]})


def update_workspace(context: Context, request: Request) -> Response:
    """Change tags, friendly name and description."""
    changed = wire.parse_update(request.workspace, request.json_object())
    context.workspaces.put(changed)
    return json_response(wire.workspace(changed, context.addresses))


def delete_workspace(context: Context, request: Request) -> Response:
    """Delete a workspace with everything that belongs to it; 204 if it is missing."""
    context.programs.manage(request.identity, request["subscription"], request["resource_group"])
    found = context.workspaces.find(request["subscription"], request["resource_group"], request["name"])
    if found:
        contents = context.snapshots.contents(found.workspace_id)
        context.workspaces.delete(found)
        context.snapshots.sweep(contents)
        context.database.compact()
    return empty(200 if found else 204)


def sync_keys(_: Context, __: Request) -> Response:
    """Does nothing: the storage keys do not change."""
    return empty(200)


def list_deployments(_: Context, __: Request) -> Response:
    """Deployments to a subscription itself; always empty."""
    return json_response({"value": []})


def deploy(context: Context, request: Request) -> Response:
    """Create the workspaces and resource groups of a template, synchronously (`Workspace.create`)."""
    subscription, group = request["subscription"], request["resource_group"]
    template = wire.parse_template(request.json_object())
    context.resource_groups.get(subscription, group)
    for name, location in template.groups:
        context.resource_groups.put(ResourceGroup(subscription=subscription, name=name, location=location))
    for fields in template.workspaces:
        context.workspaces.add(
            Workspace(
                workspace_id=context.ids.guid(),
                subscription=subscription,
                resource_group=group,
                created=context.clock.now(),
                **fields,
            )
        )
    name = request["deployment"]
    document = context.deployments.put(_place(request), name, {"resources": template.resources})
    return json_response(wire.deployment(request.path, name, document), 201)


def get_deployment(context: Context, request: Request) -> Response:
    """A deployment; it has always succeeded."""
    document = context.deployments.get(_place(request), request["deployment"])
    return json_response(wire.deployment(request.path, document.key, document))


def list_deployment_operations(context: Context, request: Request) -> Response:
    """What a deployment created, resource by resource."""
    document = context.deployments.get(_place(request), request["deployment"])
    return json_response({"value": wire.deployment_operations(request.path, document)})


def delete_dependency(_: Context, request: Request) -> Response:
    """204: a workspace's storage, secrets and insights are deleted with the workspace."""
    if request["kind"].lower() not in _DEPENDENCIES:
        raise Unsupported(f"The local service has no {request['provider']}/{request['kind']}.")
    return empty(204)


def get_provider(_: Context, request: Request) -> Response:
    """A resource provider, registered, with its locations."""
    return json_response(wire.provider(request["subscription"], request["provider"]))


def _place(request: Request) -> str:
    return f"{request['subscription']}/{request['resource_group']}".lower()


SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourcegroups/{resource_group}"
WORKSPACES = "/providers/Microsoft.MachineLearningServices/workspaces"
DEPLOYMENTS = "/providers/Microsoft.Resources/deployments/"

ROUTES = (
    Route("GET", "/subscriptions", list_subscriptions),
    Route("GET", SUBSCRIPTION, get_subscription),
    Route("GET", SUBSCRIPTION + "/resourcegroups", list_groups),
    Route("GET", GROUP, get_group),
    Route("HEAD", GROUP, has_group),
    Route("PUT", GROUP, put_group),
    Route("GET", SUBSCRIPTION + "/resources", list_resources),
    Route("GET", GROUP + "/resources", list_resources),
    Route("GET", "{workspace_scope}", get_workspace),
    Route("GET", "/rp/workspaces{workspace_scope}", get_workspace),
    Route("PATCH", "{workspace_scope}", update_workspace),
    Route("DELETE", GROUP + WORKSPACES + "/{name}", delete_workspace),
    Route("POST", "{workspace_scope}/resynckeys", sync_keys),
    Route("GET", SUBSCRIPTION + WORKSPACES, list_workspaces),
    Route("GET", GROUP + WORKSPACES, list_workspaces),
    Route("GET", SUBSCRIPTION + DEPLOYMENTS, list_deployments),
    Route("PUT", GROUP + DEPLOYMENTS + "{deployment}", deploy),
    Route("GET", GROUP + DEPLOYMENTS + "{deployment}", get_deployment),
    Route("GET", GROUP + "/deployments/{deployment}/operations", list_deployment_operations),
    Route("DELETE", GROUP + "/providers/{provider}/{kind}/{name}", delete_dependency),
    Route("GET", SUBSCRIPTION + "/providers/{provider}", get_provider),
    Route("POST", SUBSCRIPTION + "/providers/{provider}/register", get_provider),
)
