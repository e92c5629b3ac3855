"""Configs: what can be configured, and how a config is found, read and checked. pydantic is imported only then."""
