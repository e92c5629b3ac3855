"""What every executor promises: the life of a job, and its ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from azureml_wrapper.local.domain.errors import Conflict, Locked, OutOfSpace
from azureml_wrapper.local.domain.jobs import Job, NewJob, Script
from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import local, session
from azureml_wrapper.local.executor.process import ColdStarter
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE
from azureml_wrapper.local.store.garbage import delete
from tests.contract.bench import is_alive, message, warm_starter
from tests.waiting import until

# The life of a job -------------------------------------------------------------------------------------------------


def test_a_script_runs_and_its_run_goes_through_azures_statuses(bench):
    run = bench.run("print('hello')")
    assert run.status is RunStatus.COMPLETED
    assert bench.seen[run.run_id] == ["Starting", "Running", "Finalizing", "Completed"]
    assert bench.printed(run.run_id) == ["hello"]
    assert run.started <= run.ended
    assert run.error is None


def test_the_log_begins_with_the_interpreter_and_what_differs(bench):
    run = bench.run("print(1)")
    lines = bench.log(run.run_id).splitlines()
    assert lines[1].startswith(f"[local] Interpreter: {sys.executable} (Python 3.")
    assert "because" in lines[1]
    assert any("STANDARD_D2_V2" in line for line in lines)


def test_both_log_names_are_one_file(bench):
    run = bench.run("print(1)")
    one = bench.file(run.run_id, "user_logs/std_log.txt")
    assert one.samefile(bench.file(run.run_id, "azureml-logs/70_driver_log.txt"))


def test_the_log_grows_while_the_script_runs(bench):
    run_id = bench.submit("import time\nprint('first', end='')\ntime.sleep(30)")
    bench.await_text(run_id, "first")
    assert bench.get(run_id).status is RunStatus.RUNNING
    bench.executor.cancel(bench.workspace.workspace_id, run_id)
    bench.wait(run_id)


def test_the_same_run_is_not_taken_twice(bench):
    run_id = bench.submit("import time; time.sleep(30)")
    job = Job(
        workspace_id=bench.workspace.workspace_id,
        run_id=run_id,
        target="cpu",
        snapshot_id=None,
        task=Script(path="x.py"),
    )
    with pytest.raises(Conflict):
        bench.executor.submit(job)
    bench.executor.cancel(bench.workspace.workspace_id, run_id)


def test_it_is_busy_as_long_as_a_job_is(bench):
    assert not bench.executor.is_busy()
    run_id = bench.submit("import time; time.sleep(0.3)")
    assert bench.executor.is_busy()
    bench.wait(run_id)
    until(lambda: not bench.executor.is_busy())
    assert list(bench.home.jobs.iterdir()) == []
    assert bench.shared.jobs.all() == []


def test_a_job_costs_few_statements(bench):
    """Each is a few hundredths of a millisecond, and a pipeline has thousands of jobs."""
    found = []

    def note(sql):
        if threading.current_thread().name == f"job {run_id}":
            found.append(sql)

    run_id = bench.add_run()
    bench.context.runs._database._connection.set_trace_callback(note)
    bench.submit("print(1)", run_id=run_id)
    assert bench.wait(run_id).status is RunStatus.COMPLETED
    until(lambda: not bench.executor.is_busy())
    assert len(found) <= 19
    assert sum(sql.startswith("UPDATE runs") for sql in found) == 3


def test_a_compute_runs_no_more_jobs_than_it_has_nodes(bench):
    bench.add_compute("one", 1)
    first = bench.submit("import time; time.sleep(30)", target="one")
    bench.wait(first, "Running")
    second = bench.submit("print(2)", target="one")
    bench.wait(second, "Queued")
    bench.executor.cancel(bench.workspace.workspace_id, first)
    assert bench.wait(second).status is RunStatus.COMPLETED
    assert bench.seen[second] == ["Starting", "Queued", "Running", "Finalizing", "Completed"]


def test_a_job_of_another_compute_need_not_wait_for_a_full_machine(bench):
    bench.add_compute("other", 1)
    for _ in range(2):
        bench.wait(bench.submit("import time; time.sleep(30)"), "Running")
    bench.wait(bench.submit("print('as soon as there is a core')"), "Queued")
    assert bench.run("print(1)", target="other").status is RunStatus.COMPLETED


def test_a_queued_job_can_be_cancelled(bench):
    bench.add_compute("one", 1)
    first = bench.submit("import time; time.sleep(30)", target="one")
    bench.wait(first, "Running")
    second = bench.submit("print(2)", target="one")
    bench.wait(second, "Queued")
    assert bench.executor.cancel(bench.workspace.workspace_id, second) is True
    assert bench.wait(second).status is RunStatus.CANCELED
    assert bench.get(first).status is RunStatus.RUNNING


def test_jobs_that_wait_occupy_no_threads(bench):
    bench.add_compute("one", 1)
    first = bench.submit("import time; time.sleep(30)", target="one")
    bench.wait(first, "Running")
    waiting = [bench.submit(f"print({number})", target="one") for number in range(5)]
    for run_id in waiting:
        bench.wait(run_id, "Queued")
    until(lambda: not {f"job {run_id}" for run_id in waiting} & {thread.name for thread in threading.enumerate()})
    for run_id in (waiting[1], first):
        bench.executor.cancel(bench.workspace.workspace_id, run_id)
    ended = [bench.wait(run_id) for run_id in waiting]
    assert [run.status.value for run in ended] == ["Completed", "Canceled", "Completed", "Completed", "Completed"]
    started = [run.started for run in ended if run.started]
    assert started == sorted(started)


def test_jobs_that_wait_end_with_the_service(bench):
    bench.add_compute("one", 1)
    runs = [bench.submit("import time; time.sleep(30)", target="one")]
    bench.wait(runs[0], "Running")
    runs += [bench.submit("print(1)", target="one") for _ in range(2)]
    for run_id in runs[1:]:
        bench.wait(run_id, "Queued")
    bench.executor.close()
    assert [bench.get(run_id).status for run_id in runs] == [RunStatus.FAILED] * 3
    assert "the local service was stopped" in message(bench.get(runs[2]))
    assert bench.shared.jobs.all() == []


def test_a_compute_that_is_gone_fails_the_run(bench):
    run = bench.run(target="nowhere")
    assert run.status is RunStatus.FAILED
    assert message(run) == "AzureMLCompute cluster nowhere does not exist"


# What a script sees ------------------------------------------------------------------------------------------------


ARGUMENTS = ("", "a b", "'", '"', "two\nlines", "$HOME", "*", "ünï ☃", "--x=1", "\\", "a" * 100_000)


def test_arguments_arrive_as_they_were_given(bench):
    run = bench.run("import sys, json; print(json.dumps(sys.argv))", arguments=ARGUMENTS)
    assert json.loads(bench.printed(run.run_id)[0]) == ["main.py", *ARGUMENTS]


def test_a_script_sees_its_folder_and_not_the_launcher(bench):
    run = bench.run(
        "import os, sys\n"
        "print(__name__, os.path.basename(__file__), sys.path[0] == os.getcwd(), sorted(os.listdir()))\n"
        "print([name for name in ('azureml_wrapper', 'launcher', 'zygote') if name in vars()])"
    )
    assert bench.printed(run.run_id) == ["__main__ main.py True ['logs', 'main.py', 'outputs']", "[]"]


VARIABLES = """
import os
names = ["AZUREML_RUN_ID", "AZUREML_ARM_WORKSPACE_NAME", "AZUREML_ARM_PROJECT_NAME", "MINE", "SECRET_THING"]
print([os.environ.get(name) for name in names])
print(os.environ["AZUREML_RUN_TOKEN"].count("."), os.path.exists(os.environ["REQUESTS_CA_BUNDLE"]))
print("HOME" in os.environ, "PYTHONPATH" in os.environ)
"""


def test_a_script_has_azures_variables_and_none_of_the_shells_secrets(bench, monkeypatch):
    monkeypatch.setenv("SECRET_THING", "x")
    monkeypatch.setenv("AZUREML_RUN_ID", "of the shell")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    run = bench.run(VARIABLES, environment_variables={"MINE": "ä\n1"})
    assert bench.printed(run.run_id) == [
        repr([run.run_id, "local", "e", "ä\n1", None]),
        "2 True",
        "True False",
    ]
    assert "Not passed on from the shell: " in bench.log(run.run_id)
    assert "SECRET_THING" in bench.log(run.run_id)


def test_a_shell_command_runs_the_same_interpreter(bench):
    run = bench.run(
        command=f'echo "$MINE" && python -c \'import sys; print(sys.base_prefix == "{sys.base_prefix}")\' | cat',
        environment_variables={"MINE": "a  b"},
    )
    assert run.status is RunStatus.COMPLETED
    assert bench.printed(run.run_id) == ["a  b", "True"]


PROJECT = {"util/__init__.py": "X = 1", "sub/own.py": "Y = 2", "six.py": "raise ImportError('the project won')"}
IN_SUBFOLDER = "import six, sys\nfrom own import Y\nfrom util import X\nprint(X + Y, sys.path[0].endswith('/sub'))"


def test_a_script_in_a_subfolder_imports_from_its_folder_and_then_from_the_root_of_its_source_directory(bench):
    snapshot = bench.snapshot({**PROJECT, "sub/main.py": IN_SUBFOLDER})
    run = bench.run(snapshot_id=snapshot, script="sub/main.py")
    assert bench.printed(run.run_id) == ["3 True"]
    assert ("Warm start" in bench.log(run.run_id)) == (bench.make_starter is warm_starter)


@pytest.mark.parametrize("line", ["python sub/main.py", "python -W ignore sub/main.py", "cd sub && python main.py"])
def test_a_command_in_a_subfolder_imports_from_the_root_of_its_source_directory(bench, line):
    snapshot = bench.snapshot({"util/__init__.py": "X = 1", "sub/main.py": "from util import X\nprint(X)"})
    run = bench.run(snapshot_id=snapshot, command=line)
    assert bench.printed(run.run_id) == ["1"]


def test_a_commands_own_pythonpath_comes_after_the_root(bench):
    run = bench.run(
        command="""python -c 'import os, sys; print(sys.path[1] == os.getcwd(), sys.path[2])'""",
        environment_variables={"PYTHONPATH": "/theirs"},
    )
    assert bench.printed(run.run_id) == ["True /theirs"]


# Ends --------------------------------------------------------------------------------------------------------------


def test_an_uncaught_exception_fails_the_run_with_its_traceback(bench):
    run = bench.run("def f():\n    raise ValueError('bad thing')\n\nf()\n")
    assert run.status is RunStatus.FAILED
    assert message(run).startswith(f"Execution failed. User process '{sys.executable}' exited with status code 1. ")
    assert "Error: Traceback (most recent call last):" in message(run)
    assert message(run).endswith("ValueError: bad thing")
    assert "launcher" not in bench.log(run.run_id)
    assert run.error["error"]["code"] == "UserError"
    assert run.error["componentName"] == "CommonRuntime"


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("import sys; sys.exit(0)", "Completed", None),
        ("import sys; sys.exit(7)", "Failed", "exited with status code 7"),
        ("import sys; sys.exit('why not')", "Failed", "why not"),
        ("import os; os._exit(3)", "Failed", "exited with status code 3"),
        ("import os; os.kill(os.getpid(), 9)", "Failed", "was killed by SIGKILL (out of memory?)"),
        ("import os; os.kill(os.getpid(), 11)", "Failed", "was killed by SIGSEGV"),
        ("def broken(:", "Failed", "SyntaxError"),
        ("raise KeyboardInterrupt", "Failed", "KeyboardInterrupt"),
    ],
)
def test_how_a_process_ends_becomes_the_runs_end(bench, source, status, text):
    run = bench.run(source)
    assert run.status.value == status
    assert text is None or text in message(run)


def test_a_command_preloads_no_interpreter_of_its_shell(bench):
    run = bench.run(command="echo hello")
    assert bench.printed(run.run_id) == ["hello"]
    preloaded = getattr(bench.make_starter(), "_preloaded", {})
    assert [interpreter for interpreter, _ in preloaded if interpreter == "/bin/sh"] == []


def test_a_command_killed_by_a_signal_says_so(bench):
    run = bench.run(command="sh -c 'kill -9 $$'; exit $?")
    assert "exited with status code 137, which in a shell means SIGKILL (out of memory?)" in message(run)


@pytest.mark.parametrize("fields", [{"arguments": ("a\0b",)}, {"environment_variables": {"A": "a\0b"}}])
def test_a_nul_fails_the_run_with_a_reason(bench, fields):
    assert "contains a NUL" in message(bench.run("", **fields))


def test_more_arguments_than_a_process_can_have_fail_the_run(bench):
    run = bench.run("", arguments=("a" * 3_000_000,))
    assert run.status is RunStatus.FAILED
    assert "Argument list too long" in message(run)


def test_a_script_that_is_not_there_fails_the_run(bench):
    run = bench.run(script="other.py")
    assert run.status is RunStatus.FAILED
    assert "can't open file" in message(run)


def test_a_script_that_writes_to_its_own_files_does_not_change_the_snapshot(bench):
    source = (
        "import os, pathlib\nprint(pathlib.Path('main.py').read_text().count('wri' + 'tten'))\n"
        "os.chmod('main.py', 0o666)\nwith open('main.py', 'r+') as file:\n    file.write('wri' + 'tten')"
    )
    snapshot = bench.snapshot({"main.py": source})
    first, second = (bench.run(snapshot_id=snapshot) for _ in range(2))
    assert bench.printed(first.run_id) == bench.printed(second.run_id) == ["0"]
    assert bench.context.snapshots.file(bench.workspace.workspace_id, snapshot, "main.py").read_text() == source


def test_a_snapshot_that_is_not_there_fails_the_run(bench):
    run = bench.run(snapshot_id="x")
    assert message(run) == "Could not find snapshot x."


def test_a_failure_that_the_script_asked_for_wins_over_its_exit_code(bench, tmp_path):
    asked_for = tmp_path / "asked for"
    source = f"import os, time\nwhile not os.path.exists({str(asked_for)!r}):\n    time.sleep(0.01)"
    run_id = bench.submit(source)
    asked = {"error": {"code": "UserError", "message": "as I said", "details": []}}
    bench.context.runs.change(bench.workspace.workspace_id, run_id, requested_failure=asked)
    asked_for.touch()
    run = bench.wait(run_id)
    assert run.status is RunStatus.FAILED
    assert message(run) == "as I said"


def test_a_job_that_takes_too_long_is_ended(bench):
    run = bench.run("import time; time.sleep(30)", timeout=0.5)
    assert run.status is RunStatus.FAILED
    assert "took longer than its maximum duration (0.5 s)" in message(run)


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def await_pids(bench, run_id, count):
    def pids():
        # A line may be seen before its end is written.
        whole = bench.log(run_id).split("\n")[:-1]
        return [int(line) for line in whole if line.isdigit()]

    until(lambda: len(pids()) >= count, tell=lambda: bench.log(run_id))
    return pids()


def test_cancel_ends_every_process_within_five_seconds(bench):
    run_id = bench.submit(STUBBORN)
    pids = await_pids(bench, run_id, 3)
    assert len(pids) == 3
    begin = time.monotonic()
    assert bench.executor.cancel(bench.workspace.workspace_id, run_id) is True
    assert bench.get(run_id).status is RunStatus.CANCEL_REQUESTED
    run = bench.wait(run_id, seconds=5)
    assert time.monotonic() - begin < 5
    assert run.status is RunStatus.CANCELED
    assert run.error is None
    assert not any(is_alive(pid) for pid in pids)


def test_a_script_that_heeds_sigterm_may_clean_up(bench):
    run_id = bench.submit(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up'), sys.exit(0)))\n"
        "print('heeding')\ntime.sleep(60)"
    )
    bench.await_text(run_id, "heeding")
    bench.executor.cancel(bench.workspace.workspace_id, run_id)
    assert bench.wait(run_id).status is RunStatus.CANCELED
    assert "cleaned up" in bench.printed(run_id)


def test_what_a_script_leaves_running_ends_with_it(bench):
    source = "import subprocess\nprint(subprocess.Popen(['sleep', '60'], start_new_session=True).pid)"
    run = bench.run(source)
    assert run.status is RunStatus.COMPLETED
    assert not is_alive(int(bench.printed(run.run_id)[0]))


def test_cancelling_what_does_not_run_is_refused(bench):
    run = bench.run("print(1)")
    assert bench.executor.cancel(bench.workspace.workspace_id, run.run_id) is False
    assert bench.executor.cancel(bench.workspace.workspace_id, "never heard of") is False


# Ends of the service -----------------------------------------------------------------------------------------------


def test_closing_ends_the_jobs_and_says_why(bench):
    run_id = bench.submit(STUBBORN)
    pids = await_pids(bench, run_id, 3)
    bench.executor.close()
    run = bench.get(run_id)
    assert run.status is RunStatus.FAILED
    assert "the local service was stopped during the run" in message(run)
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("leader_lives", [True, False])
def test_what_a_killed_service_left_is_failed_and_ended(bench, leader_lives):
    shared, run_id = bench.shared, bench.add_run()
    # Of this test alone: others run at the same time.
    mark = f"mark {bench.home.path}"
    bench.context.runs.advance(bench.workspace.workspace_id, run_id, RunStatus.RUNNING)
    log = bench.file(run_id, "user_logs/std_log.txt")
    log.parent.mkdir(parents=True)
    process = ColdStarter().start(
        [sys.executable, "-c", STUBBORN],
        folder=bench.home.jobs,
        variables={**os.environ, JOB_KEY_VARIABLE: mark},
        log=log,
    )
    shared.jobs.add(mark, bench.workspace.workspace_id, run_id)
    shared.jobs.set_process(mark, process.identity.pid, process.identity.ticks)
    pids = await_pids(bench, run_id, 3)
    if not leader_lives:
        os.kill(process.identity.pid, signal.SIGKILL)
    bench.executor.recover()
    run = bench.get(run_id)
    assert run.status is RunStatus.FAILED
    assert message(run) == "Execution failed: the local service was killed during the run."
    assert not any(is_alive(pid) for pid in pids)
    assert shared.jobs.all() == []


def test_a_process_whose_number_was_not_stored_yet_is_found_by_its_job(bench):
    shared, run_id = bench.shared, bench.add_run()
    mark = f"mark of a killed service {bench.home.path}"
    process = ColdStarter().start(
        ["sleep", "60"],
        folder=bench.home.jobs,
        variables={**os.environ, JOB_KEY_VARIABLE: mark},
        log=bench.home.jobs / "log",
    )
    shared.jobs.add(mark, bench.workspace.workspace_id, run_id)
    # A process that is being loaded has no variables for an instant.
    until(lambda: b"killed service" in Path(f"/proc/{process.identity.pid}/environ").read_bytes())
    bench.executor.recover()
    assert process.wait() == -signal.SIGTERM
    assert bench.get(run_id).status is RunStatus.FAILED


def test_a_script_run_without_a_job_is_failed_when_the_service_starts(bench):
    run_id = bench.add_run()
    bench.executor.recover()
    assert bench.get(run_id).status is RunStatus.FAILED


def test_a_run_is_stored_with_its_job_or_not_at_all(bench, monkeypatch):
    run_id = bench.add_run()
    run = replace(bench.get(run_id), run_id="new")
    job = Job(workspace_id=run.workspace_id, run_id="new", target="cpu", snapshot_id="s", task=Script(path="main.py"))
    made = NewJob(run=run, definition={}, job=job)

    def full(*_):
        raise OutOfSpace("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(bench.context.jobs, "add", full)
        with pytest.raises(OutOfSpace):
            bench.executor.submit_new(made)
    assert bench.context.runs.find(run.workspace_id, "new") is None
    assert not bench.executor.is_busy()
    bench.executor.submit_new(made)
    assert bench.wait("new").status is RunStatus.FAILED  # It has no snapshot.


@pytest.mark.parametrize("fault", [Locked("locked"), OutOfSpace("full")], ids=["locked", "full"])
def test_the_end_of_a_run_is_stored_when_that_is_possible_again(bench, monkeypatch, fault):
    monkeypatch.setattr(local, "RETRY_SECONDS", 0.01)
    failures, advance = iter([fault] * 3), bench.context.runs.advance

    def locked(workspace, run_id, status, **more):
        if status.is_terminal:
            for failure in failures:
                raise failure
        return advance(workspace, run_id, status, **more)

    monkeypatch.setattr(bench.context.runs, "advance", locked)
    assert bench.run("print(1)").status is RunStatus.COMPLETED
    until(lambda: not bench.executor.is_busy())


def test_a_run_ends_before_its_folder_is_removed(bench, monkeypatch):
    run_id, statuses = bench.add_run(), []

    def removing(folder):
        statuses.append(bench.get(run_id).status)
        delete(folder)

    monkeypatch.setattr(session, "delete", removing)
    bench.submit("print(1)", run_id=run_id)
    assert bench.wait(run_id).status is RunStatus.COMPLETED
    until(lambda: not bench.executor.is_busy())
    assert statuses == [RunStatus.COMPLETED]
    assert list(bench.home.jobs.iterdir()) == []


def test_a_full_disk_has_the_space_of_a_job_s_folder_when_its_end_is_stored(bench, monkeypatch):
    monkeypatch.setattr(local, "RETRY_SECONDS", 0.01)
    folders, advance = [], bench.context.runs.advance

    def full(workspace, run_id, status, **more):
        if status.is_terminal:
            folders.append(len(list(bench.home.jobs.iterdir())))
            if len(folders) == 1:
                raise OutOfSpace("full")
        return advance(workspace, run_id, status, **more)

    monkeypatch.setattr(bench.context.runs, "advance", full)
    assert bench.run("print(1)").status is RunStatus.COMPLETED
    assert folders == [1, 0]


def test_a_machine_without_threads_fails_the_run_with_that_reason(bench, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        run_id = bench.submit("print(1)")
    assert "can't start new thread" in message(bench.get(run_id))
    assert not bench.executor.is_busy()


def test_a_process_that_got_the_number_of_a_dead_one_is_left_alone(bench):
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as stranger:
        bench.shared.jobs.add("mark", bench.workspace.workspace_id, bench.add_run())
        bench.shared.jobs.set_process("mark", stranger.pid, 1)
        bench.executor.recover()
        assert stranger.poll() is None
        stranger.kill()


def test_a_queued_run_of_a_killed_service_is_failed_and_a_cancelled_one_canceled(bench):
    waiting, canceled = bench.add_run(), bench.add_run()
    bench.context.runs.advance(bench.workspace.workspace_id, canceled, RunStatus.CANCEL_REQUESTED)
    for run_id in (waiting, canceled):
        bench.shared.jobs.add(run_id, bench.workspace.workspace_id, run_id)
    bench.executor.recover()
    assert bench.get(waiting).status is RunStatus.FAILED
    assert bench.get(canceled).status is RunStatus.CANCELED


def test_the_first_line_of_the_log_says_how_it_was_started(bench, request):
    run = bench.run("print('x')")
    how = "Warm" if "warm" in request.node.name else "Cold"
    assert bench.log(run.run_id).startswith(f"[local] {how} start: ")
