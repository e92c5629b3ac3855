"""One worker process: it imports the entry script, then calls `init()` once and `run()` for each mini-batch.

The master sends the mini-batches. EntryScript is what the script itself can use.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from .batches import Batch
from .settings import Settings, StepFailed

LOGS = "logs/user"


@dataclass(frozen=True)
class Done:
    """A mini-batch that succeeded: the number of its results, and their lines."""

    count: int
    text: str


@dataclass(frozen=True)
class Failed:
    """A mini-batch (or, before the first one, the entry script itself) that raised an error."""

    reason: str


class Ready:
    """`init()` succeeded."""


def work(settings: Settings, index: int, orders: Connection, flush: Callable[[], None]) -> None:
    """Process mini-batches until one is None."""
    node, process = divmod(index, settings.per_node)
    name = f"node_{node}/process{process:03}"
    _redirect(name)
    try:
        script = _begin(settings, name)
    except StepFailed as fault:
        orders.send(Failed(str(fault)))
        return
    except BaseException:  # noqa: BLE001 - any error of the user's code is reported to the master
        orders.send(Failed(_report("init() of the entry script")))
        return
    orders.send(Ready())
    while (batch := orders.recv()) is not None:
        orders.send(_answer(script, batch))
    if callable(getattr(script, "shutdown", None)):
        script.shutdown()
    flush()


def lines_of(result: Any) -> tuple[int, str]:
    """The number of results that `run()` has returned, and their lines; `TypeError` if it is not a list or frame."""
    if hasattr(result, "to_csv"):
        # Azure writes rows with spaces between values, and without a header (MachineLearningNotebooks #1486).
        return len(result), result.to_csv(sep=" ", header=False, index=False)
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__len__"):
        raise TypeError(
            f"run() must return a list or a pandas.DataFrame with an element for each item, "
            f"got {type(result).__name__}."
        )
    return len(result), "".join(f"{item}\n" for item in result)


def _begin(settings: Settings, name: str) -> Any:
    own = EntryScript()
    own.output_dir = settings.output
    os.environ["AZUREML_BI_OUTPUT_PATH"] = settings.output or ""
    handler = logging.FileHandler(_place("entry_script_log", f"{name}.log.txt"))
    handler.setFormatter(logging.Formatter("%(asctime)s|%(levelname)s|%(process)d|%(message)s"))
    own.logger.addHandler(handler)
    own.logger.setLevel(settings.logging_level)
    script = load_script(settings)
    script.init()
    return script


def _answer(script: Any, batch: Batch) -> Done | Failed:
    try:
        return Done(*lines_of(script.run(batch.load())))
    except BaseException:  # noqa: BLE001 - sys.exit() in run() is a failure of the mini-batch, too
        return Failed(_report(f"run() of the entry script, mini-batch {batch.number}"))


def _report(where: str) -> str:
    text = f"{where} raised an error.\n{traceback.format_exc()}"
    print(text, file=sys.stderr)
    return text


def _redirect(name: str) -> None:
    """Write what the entry script prints to separate files, as Azure does."""
    for number, kind in ((1, "stdout"), (2, "stderr")):
        log = os.open(_place(kind, f"{name}.{kind}.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, number)
        os.close(log)


def _place(kind: str, name: str) -> str:
    path = Path(LOGS, kind, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


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


def load_script(settings: Settings) -> ModuleType:
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
