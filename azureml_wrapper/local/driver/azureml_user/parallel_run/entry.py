"""The entry script, and the EntryScript object that it can use."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from .settings import Settings, StepFailed


class EntryScript:
    """For entry scripts, one for each process: `EntryScript().logger` writes to `logs/user/entry_script_log`."""

    _only: ClassVar[EntryScript | None] = None
    logger: logging.Logger
    output_dir: str | None
    working_dir: str

    def __new__(cls) -> EntryScript:
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only.logger = logging.getLogger("azureml_user.parallel_run.EntryScript")
            cls._only.output_dir, cls._only.working_dir = None, str(Path.cwd())
        return cls._only


def load(settings: Settings) -> ModuleType:
    """Import the entry script. Its own errors are raised; `StepFailed` if it lacks a function."""
    path = Path(settings.entry_script).absolute()
    if not path.is_file():
        raise StepFailed(f"The entry script {settings.entry_script!r} was not found in the source directory.")
    sys.path[:0] = [str(path.parent), str(Path.cwd())]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise StepFailed(f"The entry script {settings.entry_script!r} is not a Python file.")
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = [name for name in ("init", "run") if not callable(getattr(module, name, None))]
    if missing:
        raise StepFailed(f"The entry script {settings.entry_script!r} lacks {'() and '.join(missing)}().")
    return module
