"""Waiting for a run on behalf of somebody who may press Ctrl-C, and who may want failed steps tried again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from azureml_wrapper.errors import RunCanceled, RunFailed
from azureml_wrapper.messages import say
from azureml_wrapper.run import CANCELED, COMPLETED, FAILED, RunWrapper

# Properties of a run that tries again.
TRY, REASON = "azureml_wrapper.try", "azureml_wrapper.retry_reason"
# A property's value holds 1000 characters in Azure ML.
REASON_LENGTH = 1000


def see_through(run: RunWrapper, wait: Callable[[RunWrapper], object], retries: Mapping[str, int]) -> RunWrapper:
    """Wait for a run's end, and for that of those that take its place while its failed steps have tries left.

    SDK v1 has no retries for steps. A try is a resubmission from the failed step on, in Azure as on the local Azure
    ML; the run that tries again has the reason among its properties. Raises what the last run raises.
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
            run = _try_again(run, failed[0], error, f"{_number(retries, left, failed[0])}")


def within(timeout: float | None, show_output: bool) -> Callable[[RunWrapper], object]:
    """A wait that is over so many seconds from now, however often it is begun again."""
    end = math.inf if timeout is None else time.monotonic() + timeout

    def wait(run: RunWrapper) -> object:
        return run.wait(None if timeout is None else max(0.0, end - time.monotonic()), show_output)

    return wait


def wait_or_cancel(run: RunWrapper, wait: Callable[[RunWrapper], object]) -> None:
    """Wait; Ctrl-C says that the run goes on, a second one cancels it, a third one leaves.

    `RunCanceled` where the run was cancelled, here or elsewhere.
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
                say("Cancelling the run…")
                run.cancel()
            else:
                say("The run continues. Press Ctrl-C again to cancel it.")
    if run.status == CANCELED:
        raise RunCanceled(f"Run {run.id} was cancelled.")
    if run.status != COMPLETED:
        run.wait()


def _try_again(run: RunWrapper, step: str, error: RunFailed, number: str) -> RunWrapper:
    reason = str(error)
    again = run._resubmit(notes={TRY: number, REASON: reason[:REASON_LENGTH]})
    say(f"Try {number} of step {step!r}, in run {again.id}, because:\n{reason}")
    return again


def _number(retries: Mapping[str, int], left: Mapping[str, int], step: str) -> str:
    """Which of the tries begins, the first one counted: "2 of 4"."""
    return f"{retries[step] - left[step] + 1} of {retries[step] + 1}"
