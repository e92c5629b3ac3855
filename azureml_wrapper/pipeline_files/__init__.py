"""Pipeline configuration files: a JSON or YAML mapping of steps, read and checked, and the variables that it uses.

Only reads; what becomes of the steps is decided in `pipelines`, not here.
"""
