"""Ctrl-C while a run is waited for, and tries of failed steps."""

from __future__ import annotations

import time

import pytest

from azureml_wrapper.errors import RunCanceled, RunFailed, RunTimeout
from azureml_wrapper.run import HELD_SECONDS, LONGEST_PAUSE, SHORTEST_PAUSE, pause
from azureml_wrapper.runs.waiting import REASON, REASON_LENGTH, TRY, wait_or_cancel, wait_with_retries, waiter


class Step:
    def __init__(self, status):
        self.status = status


class Run:
    """A run whose end is given: Completed, Failed or Canceled; `again` take its place, one after the other."""

    def __init__(self, end, *again, failed=("train",)):
        self.end, self.again, self.failed = end, list(again), failed
        self.id, self.status, self.notes, self.cancelled = f"run-{len(again)}", "Running", None, 0

    @property
    def steps(self):
        return {name: Step("Failed") for name in self.failed if self.status == "Failed"}

    def wait(self):
        self.status = self.end
        if self.end == "Failed":
            raise RunFailed(f"Step 'train' failed in {self.id}")
        return self

    def cancel(self):
        self.cancelled += 1
        self.end = "Canceled"

    def _resubmit(self, notes):
        self.notes = notes
        following, *later = self.again
        following.again = later
        return following


def pressed(times):
    """A wait in which Ctrl-C is pressed so often."""
    left = [None] * times

    def wait(run):
        if left:
            left.pop()
            raise KeyboardInterrupt
        run.wait()

    return wait


def test_ctrl_c_once_says_that_the_run_goes_on(reported):
    run = Run("Completed")
    wait_or_cancel(run, pressed(1))
    assert run.cancelled == 0
    assert reported() == "The run continues. Press Ctrl-C again to cancel it.\n"


def test_twice_cancels_it_and_waits_for_that():
    run = Run("Completed")
    with pytest.raises(RunCanceled, match="run-0 was canceled"):
        wait_or_cancel(run, pressed(2))
    assert (run.cancelled, run.status) == (1, "Canceled")


def test_a_third_one_leaves():
    run = Run("Completed")
    with pytest.raises(KeyboardInterrupt):
        wait_or_cancel(run, pressed(3))
    assert run.cancelled == 1


def test_a_timeout_is_for_all_tries():
    given = []

    class Slow(Run):
        def wait(self, timeout=None, show_output=False):
            given.append(timeout)
            time.sleep(0.05)
            return super().wait()

    wait_with_retries(Slow("Failed", Slow("Completed")), waiter(1000, False), {"train": 1})
    first, second = given
    assert 999 < first <= 1000
    assert second < first - 0.04


def test_a_failed_step_is_tried_again_with_the_reason(reported):
    last = Run("Completed")
    middle, first = Run("Failed"), Run("Failed", None)
    first.again = [middle, last]
    seen = []
    assert wait_with_retries(first, Run.wait, {"train": 2}, seen.append) is last
    assert seen[-1] is last
    assert [run.notes[TRY] for run in (first, middle)] == ["2 of 3", "3 of 3"]
    assert first.notes[REASON] == "Step 'train' failed in run-1"
    assert "Retrying step 'train' (try 2 of 3) in run run-0, because:\nStep 'train' failed" in reported()


@pytest.mark.parametrize(
    ("elapsed", "timeout", "is_local", "seconds"),
    [
        (0.0, None, False, SHORTEST_PAUSE),
        (60.0, None, False, 3.0),
        # A run that has taken ten hours is not looked at every half hour.
        (36_000.0, None, False, LONGEST_PAUSE),
        (36_000.0, 36_004.0, False, 4.0),
        (36_000.0, 35_999.0, False, 0.0),
        (36_000.0, None, True, HELD_SECONDS),
        (0.0, 5.0, True, 5.0),
    ],
)
def test_the_status_is_asked_for_less_often_as_time_goes_by_but_often_enough(elapsed, timeout, is_local, seconds):
    assert pause(elapsed, timeout, is_local=is_local) == seconds


def test_a_reason_is_cut_to_what_a_property_holds():
    class Long(Run):
        def wait(self):
            self.status = self.end
            raise RunFailed("x" * (REASON_LENGTH + 1))

    run = Long("Failed", Run("Completed"))
    wait_with_retries(run, lambda run: run.wait(), {"train": 1})
    assert run.notes[REASON] == "x" * REASON_LENGTH


@pytest.mark.parametrize(
    ("retries", "failed"),
    [({}, ("train",)), ({"other": 3}, ("train",)), ({"train": 1}, ("train", "other")), ({"train": 1}, ())],
)
def test_a_step_without_tries_left_ends_it(retries, failed):
    run = Run("Failed", Run("Completed"), failed=failed)
    with pytest.raises(RunFailed):
        wait_with_retries(run, Run.wait, retries)
    assert run.notes is None


def test_tries_end():
    runs = [Run("Failed") for _ in range(3)]
    runs[0].again = runs[1:]
    with pytest.raises(RunFailed):
        wait_with_retries(runs[0], Run.wait, {"train": 1})
    assert [run.notes is None for run in runs] == [False, True, True]


def test_a_canceled_run_and_one_that_takes_too_long_are_not_tried_again():
    run = Run("Canceled", Run("Completed"))
    with pytest.raises(RunCanceled):
        wait_with_retries(run, Run.wait, {"train": 1})

    def wait(run):
        raise RunTimeout("too long")

    with pytest.raises(RunTimeout):
        wait_with_retries(Run("Completed"), wait, {"train": 1})
