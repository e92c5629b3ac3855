"""Rounds are interleaved and bounded, and a number counts only where the work was done."""

from __future__ import annotations

import contextlib
import sys
import time

import pytest

from benchmarks import __main__ as command
from benchmarks import environments, memory, results
from benchmarks.peers import PEERS
from benchmarks.peers.loop import Loop
from benchmarks.peers.metaflow import Metaflow
from benchmarks.pipelines import Pipeline, script
from benchmarks.processes import Failed, NotMeasured, error_line, run
from benchmarks.runner import measure
from benchmarks.scenario import Entry, Scenario, Setting
from benchmarks.subjects import PeerRun
from tests.unit.benchmarks.builders import a_result

VARIABLES = {"PATH": "/usr/bin:/bin"}


def python(code, folder, limit=30.0, **options):
    return run([sys.executable, "-c", code], folder=folder, variables=VARIABLES, limit=limit, **options)


def scenario_of(entries):
    @contextlib.contextmanager
    def open_entries(setting):
        yield entries

    return Scenario(name="s", title="S", about="", open=open_entries)


def measured(entries, tmp_path, rounds=2, budget=20.0):
    result, saved = a_result("s", rounds=rounds, budget=budget, complete=False), []
    setting = Setting(folder=tmp_path / "s", shared=tmp_path, cache=tmp_path, limit=1.0)
    measure(scenario_of(entries), setting, result, lambda found: saved.append(found.complete))
    return result, saved


def test_every_round_takes_every_entry_once_there_and_back(tmp_path):
    calls = []
    entries = [Entry(name=name, measure=lambda name=name: calls.append(name) or {"seconds": 1.0}) for name in "abc"]
    result, saved = measured(entries, tmp_path)
    assert calls == ["a", "b", "c", "c", "b", "a"]
    assert [line.values["seconds"] for line in result.lines] == [[1.0, 1.0]] * 3
    assert saved == [False] * 6 + [True]


def test_what_cannot_be_measured_is_tried_once_and_keeps_its_reason(tmp_path):
    tries = []

    def fail():
        tries.append(1)
        raise Failed("failed with exit code 1: no", "the output")

    result, _ = measured([Entry(name="a", measure=fail)], tmp_path)
    assert (len(tries), result.lines[0].reason) == (1, "failed with exit code 1: no")
    assert "the output" in (tmp_path / "failures.log").read_text()


def test_an_entry_that_has_used_up_its_budget_gets_no_further_round(tmp_path):
    slow = Entry(name="slow", measure=lambda: time.sleep(0.5) or {"seconds": 0.5})
    quick = Entry(name="quick", measure=lambda: {"seconds": 0.0})
    result, _ = measured([slow, quick], tmp_path, rounds=3, budget=0.4)
    assert [len(line.values["seconds"]) for line in result.lines] == [1, 3]


def test_results_are_read_as_they_were_written(tmp_path):
    result, _ = measured([Entry(name="a", measure=lambda: {"seconds": 1.0}, group="g", size=5)], tmp_path)
    results.save(result, tmp_path)
    assert results.load("s", tmp_path) == result
    assert results.load("other", tmp_path) is None


def test_a_process_is_timed_from_its_start_to_its_end(tmp_path):
    done = python("import time; time.sleep(0.3); print('{\"a\": 1}')", tmp_path)
    assert 0.3 <= done.seconds < 10
    assert done.json() == {"a": 1}


def test_a_process_that_ended_before_its_memory_was_read_has_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "resident", lambda pid: 0)
    with pytest.raises(NotMeasured, match="before its memory"):
        python("pass", tmp_path, with_memory_of=[])


def test_a_process_is_cut_off_at_the_limit_with_all_that_it_started(tmp_path):
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    with pytest.raises(NotMeasured, match="cut off at the limit of 0 s"):
        python(code, tmp_path, limit=0.4)


def test_a_failed_process_tells_its_error(tmp_path):
    with pytest.raises(Failed, match="exit code 1: ValueError: no such thing") as raised:
        python("raise ValueError('no such thing')", tmp_path)
    assert "Traceback" in raised.value.output


def test_the_error_is_found_above_what_is_printed_after_it():
    assert error_line("Traceback:\nazure.SomeException: bad\n{\n}\n") == "azure.SomeException: bad"
    assert error_line("only this\n\n") == "only this"
    assert error_line("") == "no output"


def test_memory_is_that_of_the_family(tmp_path):
    child = "data = bytearray(100 * 2**20); import time; time.sleep(1)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    peak = python(code, tmp_path, with_memory_of=[]).peak / 2**20
    assert 100 < peak < 400
    assert python("pass", tmp_path).peak == 0


def test_a_chain_reads_the_step_before_and_a_fan_the_source(tmp_path):
    assert Pipeline(folder=tmp_path, steps=3).sources() == [None, 0, 1]
    assert Pipeline(folder=tmp_path, steps=3, shape="fan").sources() == [None, 0, 0, 0]


def test_a_script_imports_the_sdk_only_where_asked(tmp_path):
    assert "azureml" not in script(Pipeline(folder=tmp_path, steps=1))
    assert "from azureml.core import Run" in script(Pipeline(folder=tmp_path, steps=1, sdk=True))


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_a_loop_runs_every_step(shape, tmp_path):
    values = PeerRun(Loop(), Pipeline(folder=tmp_path / "loop", steps=3, shape=shape), 30.0, memory=True).measure()
    assert values["seconds"] > 0
    assert values["mib"] > 0


def test_a_peer_that_does_not_run_every_step_has_no_time(tmp_path):
    class Idle(Loop):
        def command(self, pipeline, *, reuse=False):
            return [sys.executable, "-c", ""]

    with pytest.raises(Failed, match="ran 0 of 2 steps"):
        PeerRun(Idle(), Pipeline(folder=tmp_path / "idle", steps=3), 30.0).measure()


def test_a_peer_that_runs_again_what_has_not_changed_has_no_time(tmp_path):
    class Forgetful(Loop):
        reuses = True

    with pytest.raises(Failed, match="ran 3 of 3 steps again"):
        PeerRun(Forgetful(), Pipeline(folder=tmp_path / "again", steps=3), 30.0, rerun=True).measure()


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_the_flow_of_metaflow_has_every_step(shape, tmp_path):
    Metaflow().write(Pipeline(folder=tmp_path, steps=5, shape=shape))
    source = (tmp_path / "flow.py").read_text()
    compile(source, "flow.py", "exec")
    assert source.count("@step") == (5 if shape == "chain" else 4)


def test_every_peer_is_pinned():
    for peer in PEERS:
        if hasattr(peer, "environment"):
            assert environments.version(peer.environment), peer.name
            lines = environments.text(peer.environment).splitlines()
            assert all("==" in line or line.startswith("#") for line in lines), peer.name


def test_the_sdk_of_the_peers_comes_with_them():
    assert "azureml-core==" in environments.text("dvc")


def test_an_unknown_scenario_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        command.parse(["chian"])
    assert "known: chain, " in capsys.readouterr().err


def test_a_run_that_goes_on_belongs_to_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WORK", tmp_path)
    monkeypatch.setattr(command, "BEGUN", tmp_path / "begun")
    first = command.begin(resume=True)
    (tmp_path / "begun").write_text("earlier")
    assert command.begin(resume=True) == "earlier"
    assert command.begin(resume=False) >= first
