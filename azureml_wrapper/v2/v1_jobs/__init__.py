"""Submits the jobs of `az ml` files with SDK v1."""
