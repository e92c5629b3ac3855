"""Steps in both kinds of pipeline config: their types, and cycles among them."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping

PYTHON, MPI, PARALLEL = "PythonScriptStep", "MpiStep", "ParallelRunStep"
# The keys that only a ParallelRunStep has.
PARALLEL_KEYS = (
    "mini_batch_size",
    "error_threshold",
    "output_action",
    "append_row_file_name",
    "run_invocation_timeout",
    "run_max_try",
)
# Arguments that ParallelRunStep gives to its own program (azureml/pipeline/core/_parallel_run_step_base.py).
PARALLEL_RESERVED = frozenset(
    """
    client_sdk_version scoring_module_name mini_batch_size error_threshold allowed_failed_count allowed_failed_percent
    output output_action logging_level process_count_per_node run_invocation_timeout run_max_try append_row_file_name
    partition_keys
    """.split()  # noqa: SIM905 - a list of 14 names would be 14 lines
)


def cycle_of(waits: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of one cycle, in the order of `waits` (name -> those it waits for); without those that only wait."""
    try:
        graphlib.TopologicalSorter({name: [*others] for name, others in waits.items()}).prepare()
    except graphlib.CycleError as error:
        cycle = set(error.args[1])
        return [name for name in waits if name in cycle]
    return []
