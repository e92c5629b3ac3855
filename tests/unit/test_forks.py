"""Forked commands and programs end, print and fail as processes of their own."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests import forks

pytestmark = pytest.mark.skipif(not forks.POSSIBLE, reason="forks are for Linux")


@pytest.fixture(scope="module")
def parent():
    parent = forks.Forks(modules=())
    yield parent
    parent.close()


@pytest.fixture
def run(parent, tmp_path):
    """Run a program in `tmp_path`, with the variables of this process and others."""

    def fork(program, *words, timeout=60.0, **variables):
        command = ("python", "-c", program, *words)
        return parent.run(command, folder=tmp_path, variables={**os.environ, **variables}, timeout=timeout)

    return fork


def test_each_has_its_own_output_folder_arguments_and_variables(run, tmp_path):
    program = (
        "import os, sys; print(os.getcwd(), sys.argv, os.environ['MINE'], __name__); print('x', file=sys.stderr)"
    )
    done = run(program, "a b", MINE="1")
    assert (done.stdout, done.stderr) == (f"{tmp_path} ['-c', 'a b'] 1 __main__\n", "x\n")
    assert "MINE" not in run("import os; print(*os.environ)").stdout.split()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("raise SystemExit('told')", 1),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 15)", -15),
        ("import os; os.execlp('sh', 'sh', '-c', 'exit 3')", 3),
    ],
)
def test_each_ends_with_its_own_code(run, program, code):
    assert run(program).returncode == code


def test_the_end_is_that_of_an_interpreter(run):
    """Threads are waited for, exit functions run, and what was printed is written."""
    program = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'third')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('second'))).start()\n"
        "print('first')\n"
    )
    assert run(program).stdout.split() == ["first", "second", "third"]
    assert "ZeroDivisionError" in run("1 / 0").stderr


def test_a_large_output_is_read_while_it_is_written(run):
    assert len(run("print('x' * 1_000_000)").stdout) == 1_000_001


def test_one_that_does_not_end_is_killed(run):
    with pytest.raises(subprocess.TimeoutExpired):
        run("import time; time.sleep(600)", timeout=0.2)
    assert run("print('the next')").stdout == "the next\n"


def test_variables_that_an_interpreter_reads_at_its_start_need_a_process():
    assert forks.can_fork({"STORAGE_KEY": "x"})
    assert not any(forks.can_fork({name: "x"}) for name in ("PYTHONIOENCODING", "PATH", "HOME"))
