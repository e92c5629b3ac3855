"""Compute clusters. The SDK reads them at the workspace's own address (`/rp/workspaces…`), and writes them to ARM."""
