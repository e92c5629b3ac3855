"""The driver's settings: the SDK's arguments, which are mixed with the user's."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_FILE = "parallel_run_step.txt"
_INPUT = re.compile(r"--input(?:_(ds|fds)_)?\d+")
_SIZE = re.compile(r"(\d+)\s*([kmg]b)?", re.IGNORECASE)
_UNITS = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}


class StepFailed(Exception):
    """The step has failed; the message is the reason."""


@dataclass(frozen=True)
class Source:
    """An input to divide: a `dataset` of the run (a table), or the files below `path`."""

    dataset: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Settings:
    """`mini_batch_size` is a number of files, or bytes of a table. None and -1 turn a limit off."""

    entry_script: str
    mini_batch_size: int
    error_threshold: int
    allowed_failed_count: int | None
    allowed_failed_percent: float | None
    append_to: str | None
    output: str | None
    logging_level: str
    timeout: float
    tries: int
    nodes: int
    per_node: int
    sources: tuple[Source, ...]

    @property
    def workers(self) -> int:
        return self.nodes * self.per_node


def read_settings(arguments: Sequence[str]) -> Settings:
    """The settings of a command line; `StepFailed` for unsupported ones."""
    given, _ = _parser().parse_known_args(list(arguments))
    if given.partition_keys is not None:
        raise StepFailed("partition_keys is not supported by the local service; use mini_batch_size.")
    appends = given.output_action.lower() == "append_row"
    return Settings(
        entry_script=given.scoring_module_name,
        mini_batch_size=read_size(given.mini_batch_size),
        error_threshold=given.error_threshold,
        allowed_failed_count=given.allowed_failed_count,
        allowed_failed_percent=given.allowed_failed_percent,
        append_to=(given.append_row_file_name or DEFAULT_FILE) if appends else None,
        output=given.output,
        logging_level=given.logging_level.upper(),
        timeout=given.run_invocation_timeout,
        tries=given.run_max_try,
        nodes=int(os.environ.get("AZUREML_NODE_COUNT") or 1),
        per_node=given.process_count_per_node,
        sources=tuple(_sources(arguments)),
    )


def read_size(text: str) -> int:
    """`10`, `1024KB`, `10MB`, `1GB`; bytes without a unit."""
    found = _SIZE.fullmatch(text.strip())
    if not found or not int(found[1]):
        raise StepFailed(f"mini_batch_size must be a size such as 10 or 10MB (KB, MB or GB), got {text!r}.")
    return int(found[1]) * _UNITS.get((found[2] or "").lower(), 1)


def _sources(arguments: Sequence[str]) -> list[Source]:
    found = []
    for place, name in enumerate(arguments[:-1]):
        option, value = _INPUT.fullmatch(name), arguments[place + 1]
        if option is None:
            continue
        if option[1] == "ds":
            found.append(Source(dataset=value))
        else:
            found.append(Source(path=os.environ[value] if option[1] else value))
    return found


def _parser() -> argparse.ArgumentParser:
    # No abbreviations: one of the user's arguments may start with the same letters.
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--scoring_module_name", required=True)
    parser.add_argument("--mini_batch_size", required=True)
    parser.add_argument("--error_threshold", type=int, default=-1)
    parser.add_argument("--allowed_failed_count", type=int)
    parser.add_argument("--allowed_failed_percent", type=float)
    parser.add_argument("--output_action", default="append_row")
    parser.add_argument("--append_row_file_name")
    parser.add_argument("--output")
    parser.add_argument("--logging_level", default="INFO")
    parser.add_argument("--run_invocation_timeout", type=float, default=60)
    parser.add_argument("--run_max_try", type=int, default=3)
    parser.add_argument("--process_count_per_node", type=int, default=1)
    parser.add_argument("--partition_keys")
    return parser
