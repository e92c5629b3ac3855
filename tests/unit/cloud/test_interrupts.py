"""Ctrl-C while a script is sent to the cloud and runs there."""

from __future__ import annotations

import pytest

from azureml_wrapper.cli.work import execute
from azureml_wrapper.errors import RunCanceled
from azureml_wrapper.run import CANCELED


class Run:
    """One that somebody interrupts at `when`: as it is announced, or as its log is shown."""

    id = "run_1"

    def __init__(self, when: str) -> None:
        self.when, self.status = when, "Running"

    @property
    def portal_url(self) -> str:
        if self.when == "announced":
            raise KeyboardInterrupt
        return "https://page"

    def cancel(self) -> None:
        self.status = CANCELED

    def wait(self, timeout: float | None = None) -> None:
        assert self.status == CANCELED


class Execution:
    """What `execute` asks of the cloud's Execution."""

    def __init__(self, run: Run) -> None:
        self.run, self.is_sent = run, False

    def submit(self) -> Run:
        if self.run.when == "before":
            raise KeyboardInterrupt
        self.is_sent = True
        if self.run.when == "sent":
            raise KeyboardInterrupt
        return self.run

    def submitted(self) -> Run | None:
        return self.run if self.is_sent else None


@pytest.mark.parametrize("when", ["sent", "announced", "streamed"])
def test_an_interrupt_never_leaves_a_run_behind(monkeypatch, when):
    def stream(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "stream", stream)
    run = Run(when)
    with pytest.raises(RunCanceled, match="run_1 was canceled"):
        execute._until_the_end(Execution(run))
    assert run.status == CANCELED


def test_an_interrupt_before_anything_is_sent_only_stops():
    run = Run("before")
    with pytest.raises(KeyboardInterrupt):
        execute._until_the_end(Execution(run))
    assert run.status == "Running"
