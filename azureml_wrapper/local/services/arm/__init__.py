"""Azure Resource Manager: subscriptions, resource groups, workspaces, and the deployments that create workspaces."""
