"""The command line: `aml`. Importing it imports click and nothing heavier."""

from azureml_wrapper.cli.main import main

__all__ = ["main"]
