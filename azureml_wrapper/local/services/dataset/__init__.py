"""Datasets, their versions, and the addresses of their data."""
