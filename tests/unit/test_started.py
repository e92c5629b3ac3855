"""The numbers in the summary of the tests."""

from __future__ import annotations

import subprocess
import sys

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests import started


def test_programs_are_told_apart():
    assert [
        started.kind(words) for words in (["/bin/aml", "runs"], [sys.executable, "-c", ""], ["git", "add"], "ls")
    ] == [
        started.COMMANDS,
        started.PYTHONS,
        started.OTHERS,
        started.OTHERS,
    ]


def test_what_a_test_starts_is_counted():
    before = started.counts[started.PYTHONS]
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert started.counts[started.PYTHONS] == before + 1


def test_services_are_found_in_their_logs(tmp_path, monkeypatch):
    """Whoever started them: the line is the service's own."""
    monkeypatch.setenv("AZUREML_WRAPPER_WARM", "off")
    home = Home(tmp_path / "place" / "home")
    home.path.parent.mkdir()
    for _ in range(2):
        service_process.start(home)
        service_process.stop(home)
    found = started.in_logs([tmp_path])
    assert (found[started.SERVICES], found[started.PRELOADED]) == (2, 0)


def test_the_sum_over_processes_is_one_line():
    assert started.line(started.total([{"services": 2, "aml": 1}, {"services": 1}])) == (
        "3 services, 0 preloaded processes, 1 aml, 0 Python, 0 other programs, 0 forks"
    )
