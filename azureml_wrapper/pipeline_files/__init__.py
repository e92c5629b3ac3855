"""Pipeline configuration files: a JSON or YAML mapping of steps, read and checked, and the variables that go with it.

What becomes of the steps is decided in `pipelines`.
"""
