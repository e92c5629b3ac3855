"""azure-ai-ml, the SDK v2: imported only here, and only when needed (it takes four seconds)."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from azureml_wrapper.config import parsing
from azureml_wrapper.errors import BadValue, ConnectionFailed, WrapperError
from azureml_wrapper.v2.lint import COMPUTE, DATASTORE, ENVIRONMENT, JOB, SCHEDULE, kind_of

# MLClient writes it, and SDK v1 reads it in the same process.
CLOUD_VARIABLE = "AZUREML_CURRENT_CLOUD"
_LOADERS = {
    COMPUTE: ("azure.ai.ml", "load_compute"),
    DATASTORE: ("azure.ai.ml", "load_datastore"),
    ENVIRONMENT: ("azure.ai.ml", "load_environment"),
    JOB: ("azure.ai.ml", "load_job"),
    # azure-ai-ml does not export it.
    SCHEDULE: ("azure.ai.ml.entities._load_functions", "load_schedule"),
}
_MESSAGES = 12


def load(file: Path) -> Any:
    """Load a file with azure-ai-ml; `BadValue` has its complaints."""
    data = parsing.read(file).data
    if not isinstance(data, dict):
        raise BadValue(f"{file} is not a file of `az ml`: must be a mapping of keys.")
    module, name = _LOADERS[kind_of(data)]
    with plain_errors(str(file)):
        loaded = getattr(module_of(module), name)(file)
        _validate(file, loaded)
    return loaded


def module_of(name: str) -> Any:
    """Import a module of azure-ai-ml; a `WrapperError` says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise WrapperError(
            f"{name} cannot be imported ({error}). Install SDK v2: pip install 'azureml_wrapper[v2]'"
        ) from error


@contextlib.contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turn SDK v2's errors into ours, restore the variable it sets, and hide its notices of experimental classes."""
    before = os.environ.get(CLOUD_VARIABLE)
    experimental = logging.getLogger("azure.ai.ml")
    level = experimental.level
    errors = _errors()
    experimental.setLevel(logging.ERROR)
    try:
        yield
    except errors["invalid"] as error:
        raise BadValue(f"{what}: {_message(error)}") from error
    except errors["refused"] as error:
        raise ConnectionFailed(f"{what}: {_message(error)}") from error
    finally:
        experimental.setLevel(level)
        if before is None:
            os.environ.pop(CLOUD_VARIABLE, None)
        else:
            os.environ[CLOUD_VARIABLE] = before


def _errors() -> dict[str, tuple[type[Exception], ...]]:
    """Two families: marshmallow's, and azure-ai-ml's own, which derives from azure-core's."""
    invalid, core = module_of("azure.ai.ml.exceptions"), module_of("azure.core.exceptions")
    schema = module_of("marshmallow.exceptions")
    return {
        "invalid": (schema.ValidationError, invalid.ValidationException, invalid.JobException),
        "refused": (core.AzureError,),
    }


def _validate(file: Path, loaded: Any) -> None:
    """Validate offline; computes, datastores, environments and sweeps have no validation."""
    check = getattr(loaded, "_validate", None)
    result = check() if check else None
    if result is not None and not result.passed:
        raise BadValue(f"{file}: " + "; ".join(f"{key}: {text}" for key, text in result.error_messages.items()))


def _message(error: Exception) -> str:
    """Return the readable part of a message: without links, and without JSON inside JSON."""
    text = str(getattr(error, "message", "") or error)
    text = re.split(r"\n\s*(?:Details:.*\n)?.*?(?:Visit this link|For more details|If using the CLI)", text)[0]
    with contextlib.suppress(ValueError):
        text = "; ".join(_flat(json.loads(text), ""))
    lines = [
        line.strip() for line in re.sub(r"\x1b\[\d*m", "", text).replace('\\"', '"').splitlines() if line.strip()
    ]
    return "\n  ".join(lines[:_MESSAGES])


def _flat(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, path)
    else:
        yield f"{path}: {value}" if path else str(value)
