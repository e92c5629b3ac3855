"""What a transfer shows."""

from __future__ import annotations

import sys

from azureml_wrapper.transfer.outcome import Progress


def test_nothing_is_shown_but_on_a_terminal(capsys):
    with Progress("uploading", 10) as progress:
        progress.advance(10)
    assert progress.bytes == 10
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_shown_where_it_is_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress("uploading", 1_000_000, shown=True) as progress:
        progress.advance(250_000)
        progress.skip(250_000)
    shown = capsys.readouterr().err
    assert "uploading" in shown
    assert "0.5/1.0 MB" in shown
    assert progress.bytes == 250_000, "what was there already does not count as transferred"


def test_what_other_threads_print_meanwhile_goes_where_it_did(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    before = sys.stdout, sys.stderr
    with Progress("uploading", 10, shown=True):
        assert (sys.stdout, sys.stderr) == before
