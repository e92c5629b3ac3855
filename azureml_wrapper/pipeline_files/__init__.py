"""Pipeline configuration files: a JSON or YAML mapping of steps, and the environment variables that go with it."""
