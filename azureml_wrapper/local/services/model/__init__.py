"""Registered models, and the assets that name their files."""
