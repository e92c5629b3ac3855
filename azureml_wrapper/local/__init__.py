"""The local Azure ML: a workspace that lives in a folder on this machine.

    from azureml_wrapper import local

    ws = local.workspace()          # a real azureml.core.Workspace
    ml = local.ml_client()          # a real azure.ai.ml.MLClient

The service starts when it is needed, and exits when it has been idle for a while. Nothing in this room imports the
SDK or the wrapper; the functions above are in `azureml_wrapper/connection/local_api.py`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_wrapper.connection.local_api import connection_string as connection_string
    from azureml_wrapper.connection.local_api import ml_client as ml_client
    from azureml_wrapper.connection.local_api import service as service
    from azureml_wrapper.connection.local_api import start as start
    from azureml_wrapper.connection.local_api import stop as stop
    from azureml_wrapper.connection.local_api import workspace as workspace

__all__ = ["connection_string", "ml_client", "service", "start", "stop", "workspace"]


def __getattr__(name: str) -> Any:
    # These functions use the wrapper, which nothing in this room imports: the service's process never loads it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("azureml_wrapper.connection.local_api"), name)
