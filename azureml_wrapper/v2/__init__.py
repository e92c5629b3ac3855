"""SDK v2's YAML (`az ml`): read and carried out with SDK v1, and written from configs."""
