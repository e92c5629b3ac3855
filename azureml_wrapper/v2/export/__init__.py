"""From a pipeline of SDK v1 to the YAML of SDK v2 (`az ml`), with PyYAML only."""
