"""Datastores: names for containers of storage accounts. The bytes in them are the blob service's."""
