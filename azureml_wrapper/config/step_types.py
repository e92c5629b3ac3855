"""The types of steps, for both kinds of pipeline config."""

from __future__ import annotations

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
