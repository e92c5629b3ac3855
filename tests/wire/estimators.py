"""The SDK's estimators, imported where they are used: with them come tables of all packages, 5 s and 500 MB.

At the top of a file of tests, each process of a parallel session would import them, and search them for garbage.
"""

from __future__ import annotations

import gc
import importlib
from typing import Any

_ELSEWHERE = {"Estimator": "azureml.train.estimator", "SKLearn": "azureml.train.sklearn"}


def make(name: str, *values: Any, **settings: Any) -> Any:
    """Something of the class with this name: an estimator of a framework, or how its processes are distributed."""
    found = getattr(importlib.import_module(_ELSEWHERE.get(name, "azureml.train.dnn")), name)
    gc.freeze()
    return found(*values, **settings)
