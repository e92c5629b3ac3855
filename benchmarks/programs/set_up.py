"""Registers what the pipelines need; what is there already stays as it is."""

from azureml_wrapper import WorkspaceWrapper

workspace = WorkspaceWrapper("bench", "bench", "local")
workspace.register_env("bench", [])
workspace.register_compute("bench", compute_max_nodes=2)
