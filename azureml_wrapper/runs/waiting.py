"""Waits for a run on behalf of a user, who may press Ctrl-C, and retries failed steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from azureml_wrapper.errors import RunCanceled, RunFailed
from azureml_wrapper.messages import inform
from azureml_wrapper.run import CANCELED, COMPLETED, FAILED, RunWrapper

# Properties of a run that retries.
TRY, REASON = "azureml_wrapper.try", "azureml_wrapper.retry_reason"
# A property's value holds 1000 characters in Azure ML.
REASON_LENGTH = 1000


def wait_with_retries(
    run: RunWrapper,
    wait: Callable[[RunWrapper], object],
    retries: Mapping[str, int],
    resubmitted: Callable[[RunWrapper], object] = lambda _: None,
) -> RunWrapper:
    """Wait until a run has ended, resubmitting it as long as its failed steps have retries left.

    SDK v1 has no retries for steps. A retry is a resubmission from the failed step, in Azure as on the local Azure
    ML; its reason is a property of the new run.

    Args:
        run: The run to wait for.
        wait: Waits for one run; called again for each retry.
        retries: Retries by name of the step.
        resubmitted: Called with each run that retries.

    Returns:
        The last run.

    Raises:
        RunFailed: The last run failed.
        RunCanceled: A run was canceled.
    """
    left = dict(retries)
    while True:
        try:
            wait_or_cancel(run, wait)
            return run
        except RunCanceled:
            raise
        except RunFailed as error:
            failed = [name for name, step in run.steps.items() if step.status == FAILED]
            if not failed or any(left.get(name, 0) < 1 for name in failed):
                raise
            left.update({name: left[name] - 1 for name in failed})
            run = _retry(run, failed[0], error, f"{_number(retries, left, failed[0])}")
            resubmitted(run)


def waiter(timeout: float | None, show_output: bool) -> Callable[[RunWrapper], object]:
    """A function that waits for a run; all its calls together wait for at most `timeout` seconds."""
    end = math.inf if timeout is None else time.monotonic() + timeout

    def wait(run: RunWrapper) -> object:
        return run.wait(None if timeout is None else max(0.0, end - time.monotonic()), show_output)

    return wait


def wait_or_cancel(run: RunWrapper, wait: Callable[[RunWrapper], object]) -> None:
    """Wait; the first Ctrl-C only says that the run continues, the second cancels it, the third stops waiting.

    Raises:
        RunCanceled: The run was canceled, here or elsewhere.
        RunFailed: The run failed.
    """
    pressed = 0
    while True:
        try:
            wait(run)
            break
        except KeyboardInterrupt:
            pressed += 1
            if pressed > 2:
                raise
            if pressed == 2:
                inform("Canceling the run…")
                run.cancel()
            else:
                inform("The run continues. Press Ctrl-C again to cancel it.")
    if run.status == CANCELED:
        raise RunCanceled(f"Run {run.id} was canceled.")
    if run.status != COMPLETED:
        run.wait()


def _retry(run: RunWrapper, step: str, error: RunFailed, number: str) -> RunWrapper:
    reason = str(error)
    again = run._resubmit(notes={TRY: number, REASON: reason[:REASON_LENGTH]})
    inform(f"Retrying step {step!r} (try {number}) in run {again.id}, because:\n{reason}")
    return again


def _number(retries: Mapping[str, int], left: Mapping[str, int], step: str) -> str:
    """Which try starts, counting the first run: "2 of 4"."""
    return f"{retries[step] - left[step] + 1} of {retries[step] + 1}"
