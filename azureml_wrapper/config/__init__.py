"""Configs: what can be configured, and how it is read and checked. Imports pydantic only when a config is loaded."""
