"""Pipeline configuration files: a JSON or YAML mapping of steps, and the environment variables that complete it.

The keys of the main config are not read here, but in `config`.
"""
