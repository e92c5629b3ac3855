"""The workspace's key vault."""
