"""A forked job is what a fresh process is: each probe runs both ways, and must tell the same."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
import pytest

from azureml_wrapper.local.executor import launcher, zygote
from azureml_wrapper.local.executor import preloaded as preloaded_module
from azureml_wrapper.local.executor.preloaded import ForkError, Preloaded
from azureml_wrapper.local.executor.process import ColdStarter
from azureml_wrapper.local.executor.processtable import JOB_KEY_VARIABLE
from azureml_wrapper.local.executor.variables import preload_variables
from azureml_wrapper.local.executor.warm import READ_AT_IMPORT, WarmStarter
from tests import light, machines
from tests.waiting import until

READY_SECONDS = 60.0
VARIABLES = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ["HOME"],
    "PYTHONUNBUFFERED": "1",
    "HBI_WORKSPACE_JOB": "true",
}
pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def warm():
    starter = WarmStarter()
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    yield starter
    starter.close()


@pytest.fixture
def _light(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(zygote, "__file__", light.zygote_in(tmp_path_factory.mktemp("light")))


class Folder:
    """A script's folder, and ways to run the script."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, path.parent / "log.txt"

    def command(self, source, *arguments, name="main.py"):
        script = self.path / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(source)
        self.log.unlink(missing_ok=True)
        return [sys.executable, launcher.__file__, name, *arguments]

    def start(self, starter, source, *arguments, variables=VARIABLES, name="main.py", goes=True):
        command = self.command(source, *arguments, name=name)
        marked = {**variables, JOB_KEY_VARIABLE: f"mark {self.path}"}
        process = starter.start(command, folder=self.path, variables=marked, log=self.log)
        if goes:
            process.go()
        return process

    def run(self, starter, source, *arguments, variables=VARIABLES, name="main.py"):
        code = self.start(starter, source, *arguments, variables=variables, name=name).wait()
        return code, re.sub("0x[0-9a-f]+", "0x…", self.log.read_text(errors="replace"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wd").mkdir()
    return Folder(tmp_path / "wd")


def both(folder, warm, source, *arguments, **options):
    """What a script does cold and warm."""
    assert warm.why_cold(folder.command(source), folder.path, VARIABLES) is None
    return folder.run(ColdStarter(), source, *arguments, **options), folder.run(warm, source, *arguments, **options)


PROBES = {
    "argv": "import sys; print(sys.argv, sys.orig_argv)",
    "main": "import sys; print(__name__, __file__, sys.modules['__main__'].__dict__.keys() >= {'__file__'})",
    "path": "import sys; print(sys.path[0])",
    "folder": "import os; print(os.getcwd())",
    "variables": "import os; print(sorted(os.environ.items()))",
    "variables of children": "import os; os.system('env | grep -v ^_= | grep -v SHLVL | grep -v ^PWD= | sort')",
    "session and group": "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())",
    "umask": "import os; print(os.umask(0))",
    "limits": "import resource as r; print([r.getrlimit(n) for n in (r.RLIMIT_NOFILE, r.RLIMIT_AS, r.RLIMIT_CORE)])",
    "signals": "import signal; print([signal.getsignal(n) for n in (2, 13, 15, 17)].__repr__())",
    "blocked signals": "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "standard input": "import sys; print(sys.stdin.read() == '', sys.stdin.fileno())",
    "streams": (
        "import sys\nfor s in (sys.stdout, sys.stderr):\n    print(s.name, s.mode, s.encoding, s.errors, s.fileno())"
    ),
    "threads": (
        "import threading as t; print([x.name for x in t.enumerate()], t.current_thread() is t.main_thread())"
    ),
    "unbuffered output": "import os, sys; sys.stdout.write('a'); os.write(1, b'b'); sys.stdout.write('c')",
    "order of both outputs": "import sys; print('1'); print('2', file=sys.stderr); print('3')",
    "exit code": "raise SystemExit(7)",
    "exit code beyond a byte": "raise SystemExit(256 + 3)",
    "exit with a message": "raise SystemExit('no data')",
    "exit without one": "import sys; sys.exit()",
    "exception": "def f():\n    1 / 0\n\nf()",
    "exception of two": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e",
    "syntax error": "def f(:\n",
    "hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\nraise ValueError",
    "hard exit": "import os; print('x'); os._exit(9)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "interrupted": "import os; os.kill(os.getpid(), 2)",
    "aborted": "import os; os.abort()",
    "at exit": "import atexit; atexit.register(print, 'bye'); print('hello')",
    "at exit after an exception": "import atexit; atexit.register(print, 'bye'); raise SystemExit(3)",
    "exception at exit": "import atexit\n@atexit.register\ndef f():\n    raise ValueError('late')",
    "threads are waited for": (
        "import threading, time\ndef f():\n    time.sleep(0.2); print('done')\nthreading.Thread(target=f).start()"
    ),
    "daemons are not": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('end')"
    ),
    "file that nobody closed": (
        "f = open('x.txt', 'w'); f.write('kept' * 3)\nimport atexit, os\n"
        "class C: f = open('y.bin', 'wb')\nC.f.write(b'too')"
    ),
    "warnings": "import warnings; warnings.warn('careful')",
    "subprocess": "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(1)']).returncode)",
    "recursion": (
        "import sys; print(sys.getrecursionlimit())\ndef f(): f()\n"
        "try:\n    f()\nexcept RecursionError: print('deep')"
    ),
    "pickle": "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))).__module__)",
    "time zone": "import time; print(time.tzname)",
    "locale": "import locale; print(locale.setlocale(locale.LC_ALL))",
    "dataclasses and hints": (
        "import dataclasses, typing\n@dataclasses.dataclass\nclass C:\n    x: 'int' = 1\n"
        "print(typing.get_type_hints(C), C())"
    ),
    "logging": "import logging; logging.warning('w'); logging.basicConfig(level='INFO'); logging.info('i')",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0); return 5\nprint(asyncio.run(f()))",
}


@pytest.mark.parametrize("name", PROBES)
def test_a_fork_tells_the_same_as_a_fresh_process(folder, warm, name):
    cold, forked = both(folder, warm, PROBES[name], "one", "two words", "drei\nvier", "")
    assert forked == cold


def test_what_is_left_unclosed_is_saved(folder, warm):
    folder.run(warm, PROBES["file that nobody closed"])
    assert (folder.path / "x.txt").read_text() == "keptkeptkept"
    assert (folder.path / "y.bin").read_bytes() == b"too"


MULTIPROCESSING = """
import multiprocessing, os, sys

def square(x):
    return x * x, os.getpid() != PARENT

PARENT = int(os.environ.setdefault("PARENT_PID", str(os.getpid())))

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(4)))
    print(multiprocessing.parent_process(), multiprocessing.current_process().name)
"""


UNUSUAL = """
import gc, io, weakref

class Thing:
    pass

class Lazy:
    @property
    def __class__(self):
        raise RuntimeError("used outside of its context")

class Stream(io.RawIOBase):
    def writable(self):
        raise RuntimeError("not set up yet")

gc.disable()
thing = Thing()
kept = [weakref.proxy(thing), Lazy(), Stream()]
del thing
kept.append(open("x.txt", "w"))
kept[-1].write("kept")
print("done")
"""


def test_objects_that_raise_when_they_are_looked_at_fail_no_fork(folder, warm):
    cold, forked = both(folder, warm, UNUSUAL)
    assert forked == cold
    assert "done" in forked[1]
    assert (folder.path / "x.txt").read_text() == "kept"


def test_the_fault_handler_writes_to_the_log(folder, warm):
    source = "import faulthandler, os\nfaulthandler.enable()\ndef crash():\n    os.kill(os.getpid(), 11)\ncrash()"
    code, log = folder.run(warm, source)
    assert code == -signal.SIGSEGV
    assert log.startswith("Fatal Python error: Segmentation fault")
    assert 'main.py", line 4 in crash' in log


def test_multiprocessing_works_in_every_way(folder, warm):
    cold, forked = both(folder, warm, MULTIPROCESSING)
    assert forked == cold
    assert forked[1].count("(9, True)") == 3


LIBRARIES = """
import json, numpy, pandas, azureml.core
frame = pandas.DataFrame({"a": numpy.arange(1000.0), "b": list("xy") * 500})
frame.to_parquet("f.parquet")
print(pandas.read_parquet("f.parquet").groupby("b").a.sum().to_dict(), (numpy.eye(300) @ numpy.eye(300)).sum())
print(azureml.core.VERSION)
"""


# With threads of its own, that a fork would not have: they begin with the first read.
NATIVE_READER = """
import pandas
from pathlib import Path
from azureml.dataprep.api.engineless_dataflow import EnginelessDataflow
pandas.DataFrame({"a": range(100_000)}).to_parquet("f.parquet")
for _ in range(2):
    flow = EnginelessDataflow.from_paths([str(Path("f.parquet").absolute())]).read_parquet_file()
    print(flow.to_pandas_dataframe().a.sum())
"""


def test_the_native_reader_of_datasets_works(folder, warm):
    code, log = folder.run(warm, NATIVE_READER)
    assert (code, log.split()) == (0, ["4999950000"] * 2)


def test_preloaded_libraries_with_threads_of_their_own_work(folder, warm):
    cold, forked = both(folder, warm, LIBRARIES)
    assert forked == cold
    assert forked[0] == 0


def test_each_fork_has_random_numbers_of_its_own(folder, warm):
    source = (
        "import random, numpy, uuid, os; print(random.random(), numpy.random.rand(), uuid.uuid4(), os.urandom(4))"
    )
    first, second = (folder.run(warm, source)[1].split() for _ in range(2))
    assert not set(first) & set(second)


def test_no_descriptor_of_the_service_or_of_other_jobs_leaks(folder, warm):
    source = (
        "import os\nd = '/proc/self/fd/'\nprint([os.readlink(d + f) for f in os.listdir(d) if os.path.exists(d + f)])"
    )
    process = folder.start(warm, "import time; time.sleep(30)", name="other.py")
    try:
        _, log = folder.run(warm, "import pandas, azureml.core\n" + source)
    finally:
        process.end()
        process.wait()
    assert "socket:" not in log
    assert "pidfd" not in log
    assert log.count("log.txt") == 2, log


def test_a_fork_ends_with_all_that_it_started(folder, warm):
    source = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    )
    process = folder.start(warm, source)
    child = int(until(lambda: folder.log.exists() and folder.log.read_text().strip()))
    process.end()
    assert process.wait() == -signal.SIGTERM
    assert _is_gone(child)


def test_a_fork_can_be_ended_as_soon_as_it_is_there(folder, warm):
    for _ in range(20):
        # Slept to its end only where nothing ends it; the exit code is 0 then.
        process = folder.start(warm, "import time; time.sleep(10)")
        process.end()
        assert process.wait() == -signal.SIGTERM


@pytest.mark.usefixtures("_light")
def test_a_fork_that_has_not_begun_ends_with_the_service(folder):
    starter = WarmStarter()
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    process = folder.start(starter, "print('began')", goes=False)
    waiting = _children(_zygote(starter))
    starter.close()
    until(lambda: all(map(_is_gone, {process.identity.pid, *waiting})))
    assert not folder.log.exists() or folder.log.read_text() == ""


def _zygote(starter):
    [preloaded] = starter._preloaded.values()
    return preloaded._process.pid


def _children(pid):
    """The children of a process, with their states."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        # Others end meanwhile.
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid:
                found[int(path.parent.name)] = state
    return found


def _spare(starter):
    """The child that waits for the next job. One of an earlier job, which is about to be gone, does not sleep."""
    found = until(lambda: len(found := _children(_zygote(starter))) == 1 and set(found.values()) == {"S"} and found)
    return next(iter(found))


@contextlib.contextmanager
def _stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@machines.needs_linux
def test_the_next_jobs_process_is_there_before_the_job(folder, warm):
    for code in (3, 4):
        spare = _spare(warm)
        process = folder.start(warm, f"raise SystemExit({code})")
        assert process.identity.pid == spare
        assert process.wait() == code


@machines.needs_linux
def test_a_spare_process_that_was_killed_costs_no_job(folder, warm):
    def kill(spare):
        os.kill(spare, signal.SIGKILL)
        until(lambda: _is_gone(spare))

    kill(_spare(warm))
    assert folder.run(warm, "print('ran')") == (0, "ran\n")
    spare = _spare(warm)
    # Before the preloaded process notices it.
    with _stopped(_zygote(warm)):
        kill(spare)
    assert folder.run(warm, "print('ran')") == (0, "ran\n")


def test_an_order_that_no_pipe_holds_is_carried_out(folder, warm):
    command = folder.command("import sys; print(len(sys.argv))", *["word" * 10] * 3000)
    assert warm.start(command, folder=folder.path, variables=VARIABLES, log=folder.log).wait() == 0
    assert folder.log.read_text() == "3001\n"


LEAVES = """
import atexit, fcntl, os, socket, time
open("began", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
server = socket.create_server(("127.0.0.1", 0))
atexit.register(print, "bye", server.getsockname()[1])
raise SystemExit(3)
"""


@machines.needs_linux
def test_a_job_is_over_when_it_says_so_itself(folder, warm):
    """The preloaded process, which is stopped, notices nothing; locks and ports are free all the same."""
    process = folder.start(warm, LEAVES)
    until((folder.path / "began").exists)
    with _stopped(_zygote(warm)):
        (folder.path / "go").touch()
        assert process.wait() == 3
        word, port = folder.log.read_text().split()
        assert word == "bye"
        with (folder.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        socket.create_server(("127.0.0.1", int(port))).close()
    until(lambda: process.identity.pid not in _children(_zygote(warm)))


OTHER_ENDS = {
    "a thread still runs": "import threading as t, time\nt.Thread(target=time.sleep, args=(60,), daemon=1).start()",
    "it has closed all its descriptors": "import os; os.closerange(0, 1024)",
    "it has become another program": "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'exit(3)'])",
    "a copy of it ends first": "import os\nif (p := os.fork()) == 0:\n    exit(5)\nos.waitpid(p, 0); exit(3)",
    "a copy of it is left": "import os, sys, time\nif os.fork() == 0:\n    time.sleep(60)\nsys.exit(3)",
}


@pytest.mark.parametrize("how", OTHER_ENDS)
def test_the_end_of_a_job_is_noticed_in_any_case(folder, warm, how):
    cold, forked = both(folder, warm, OTHER_ENDS[how])
    assert forked == cold


@pytest.mark.slow
@machines.needs_linux
def test_forks_need_no_call_of_newer_kernels(folder, tmp_path):
    """As on kernels before 5.3, WSL 1, or where a sandbox refuses what it does not know."""
    variables = {**VARIABLES, "PYTHONPATH": machines.play(tmp_path / "machine", machines.OLD_KERNEL)}
    starter = WarmStarter()
    starter.preload(sys.executable, variables)
    assert starter.await_ready(sys.executable, variables, READY_SECONDS)
    source = "import os\ntry:\n    os.pidfd_open(os.getpid())\nexcept OSError as error:\n    print('begins', error)"
    try:
        assert starter.why_cold(folder.command(source), folder.path, variables) is None
        begins = (0, "begins [Errno 38] Function not implemented\n")
        assert [folder.run(starter, source, variables=variables) for _ in range(2)] == [begins] * 2
        assert len(starter._preloaded) == 1
        assert all(preloaded.is_ready for preloaded in starter._preloaded.values())
    finally:
        starter.close()


MEET = """
import os, time
open(f"{os.getpid()}.here", "w").close()
end = time.monotonic() + 60
while sum(name.endswith(".here") for name in os.listdir()) < 4:
    assert time.monotonic() < end, "the others have not come"
    time.sleep(0.01)
"""


def test_jobs_run_side_by_side(folder, warm):
    """None ends before all four have begun."""
    processes = [folder.start(warm, MEET, name=f"{number}.py") for number in range(4)]
    assert len({process.identity for process in processes}) == 4
    assert [process.wait() for process in processes] == [0] * 4


def test_orders_that_come_at_the_same_instant_are_all_carried_out(folder, warm):
    """Each thread's next order falls into the middle of the others' orders and answers."""
    command = folder.command("raise SystemExit(3)")

    def start_and_wait(number):
        log = folder.path.parent / f"{number}.txt"
        variables = {**VARIABLES, JOB_KEY_VARIABLE: f"{folder.path} {number}"}
        return [warm.start(command, folder=folder.path, variables=variables, log=log).wait() for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(start_and_wait, range(8)))
    assert codes == [[3] * 5] * 8
    # The job of an order that got lost would have been started cold, which its log says.
    assert [(folder.path.parent / f"{number}.txt").read_text() for number in range(8)] == [""] * 8


@pytest.mark.usefixtures("_light")
def test_orders_that_come_in_one_packet_are_all_carried_out(folder):
    ours, theirs = socket.socketpair()
    command = [sys.executable, zygote.__file__, str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=VARIABLES)
    theirs.close()
    ours.settimeout(READY_SECONDS)
    answers = ours.makefile()
    assert "ready" in answers.readline()
    order = {"command": folder.command("pass"), "folder": str(folder.path), "variables": VARIABLES}
    orders = [{**order, "job": number, "log": str(folder.log)} for number in (1, 2)]
    goes = [{"go": number} for number in (1, 2)]
    ours.sendall("".join(json.dumps(each) + "\n" for each in orders + goes).encode())
    told = [json.loads(answers.readline()) for _ in range(4)]
    assert {each["job"] for each in told if "pid" in each} == {1, 2}
    answers.close()
    ours.close()
    assert process.wait(READY_SECONDS) == 0


READS = """
import importlib, os, sys
read, get = set(), os._Environ.__getitem__

def note(self, name):
    caller = sys._getframe(1)
    while caller.f_code.co_filename.endswith(("/os.py", "/_collections_abc.py", "n os>", "n _collections_abc>")):
        caller = caller.f_back
    # It goes through all that there are.
    if not caller.f_code.co_filename.endswith("wsgiref/handlers.py"):
        read.add(name)
    return get(self, name)

os._Environ.__getitem__ = note
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted(read))
"""
# Of telemetry, of the SDK's own debugging, and of programs that complete command lines.
NO_MATTER = {
    *("AZUREML_RUN_ID", "AZUREML_CR_NODE_RANK", "_AZUREML_TRACE_STACK", "RUAMELDEBUG", "SPHINX_BUILD"),
    *("_ARC_DEBUG", "_ARGCOMPLETE_SUPPRESS_SPACE", "_PYTHON_PROJECT_BASE", "_PYTHON_SYSCONFIGDATA_NAME"),
}


@pytest.mark.slow
def test_what_the_preloaded_modules_read_at_import_is_known():
    done = subprocess.run(
        [sys.executable, "-c", READS, *zygote.PRELOADED], env=VARIABLES, capture_output=True, text=True, check=True
    )
    read = set(done.stdout.split())
    assert read > {"TMPDIR", "AZUREML_DEFAULT_RETRIES"}
    assert {name for name in read - NO_MATTER if not READ_AT_IMPORT.fullmatch(name)} == set()
    settings = dict.fromkeys((name for name in read if READ_AT_IMPORT.fullmatch(name)), "x")
    assert preload_variables(settings) == settings


@pytest.mark.parametrize(
    "variables",
    [
        {"OMP_NUM_THREADS": "1"},
        {"PYTHONPATH": "/x"},
        {"HOME": "/nowhere"},
        {"TMPDIR": "/x"},
        {"AZUREML_DEFAULT_RETRIES": "1"},
    ],
)
def test_variables_that_are_read_at_import_make_it_cold(folder, warm, variables):
    wanted = {**VARIABLES, **variables}
    name, value = next(iter(variables.items()))
    source = f"import os; print(os.environ[{name!r}])"
    assert "the variables that libraries read at import" in warm.why_cold(folder.command(source), folder.path, wanted)
    assert folder.run(warm, source, variables=wanted) == (0, value + "\n")


def test_a_module_of_the_script_that_hides_a_library_makes_it_cold(folder, warm):
    (folder.path / "yaml.py").write_text("WHO = 'mine'")
    source = "import yaml; print(yaml.WHO)"
    assert "modules of its own called yaml" in warm.why_cold(folder.command(source), folder.path, VARIABLES)
    assert folder.run(warm, source) == (0, "mine\n")


@pytest.mark.slow
def test_packages_that_are_installed_meanwhile_are_imported(folder):
    """A folder of packages with one that is preloaded, in which another version of it is installed."""
    site = folder.path.parent / "site"
    site.mkdir()
    (site / "pandas").symlink_to(Path(pandas.__file__).parent)
    variables = {**VARIABLES, "PYTHONPATH": str(site)}
    starter, command = WarmStarter(), folder.command("import time; time.sleep(2)")
    starter.preload(sys.executable, variables)
    assert starter.await_ready(sys.executable, variables, READY_SECONDS)
    assert starter.why_cold(command, folder.path, variables) is None
    busy = starter.start(command, folder=folder.path, variables=variables, log=folder.log)
    (site / "pandas-9.dist-info").mkdir()
    assert "packages were installed" in starter.why_cold(command, folder.path, variables)
    starter.preload(sys.executable, variables)
    assert starter.await_ready(sys.executable, variables, READY_SECONDS)
    assert starter.why_cold(command, folder.path, variables) is None
    assert busy.wait() == 0
    starter.close()


def test_a_module_below_the_folder_is_seen_too(folder, warm):
    (folder.path / "sub" / "requests").mkdir(parents=True)
    (folder.path / "sub" / "requests" / "__init__.py").write_text("WHO = 'mine'")
    code, log = folder.run(warm, "import requests; print(requests.WHO)", name="sub/main.py")
    assert (code, log) == (0, "mine\n")


def test_another_interpreter_is_cold(folder, warm):
    command = ["/usr/bin/env", launcher.__file__, "main.py"]
    assert "nothing is preloaded for this interpreter" in warm.why_cold(command, folder.path, VARIABLES)


@pytest.mark.usefixtures("_light")
def test_a_preloaded_process_that_is_killed_fails_its_jobs_and_the_next_starts_cold(folder):
    starter = WarmStarter()
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    process = folder.start(starter, "import time; time.sleep(60)")
    zygote = _zygote(starter)
    [spare] = until(lambda: _children(zygote).keys() - {process.identity.pid})
    os.kill(zygote, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert _is_gone(process.identity.pid)
    until(lambda: _is_gone(spare))
    assert folder.run(starter, "print('cold')") == (0, "cold\n")
    starter.close()


@pytest.mark.usefixtures("_light")
@pytest.mark.slow
def test_a_job_whose_fork_comes_too_late_runs_once(folder, monkeypatch):
    monkeypatch.setattr(preloaded_module, "ORDER_SECONDS", 0.5)
    starter = WarmStarter(idle=0.5)
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    parent = int(folder.run(starter, "import os; print(os.getppid())")[1])
    os.kill(parent, signal.SIGSTOP)
    source = "import time; time.sleep(1); open('runs.txt', 'a').write('x'); print('ran')"
    process = folder.start(starter, source)
    os.kill(parent, signal.SIGCONT)
    assert process.wait() == 0
    assert folder.log.read_text() == "[local] Started cold after all: the preloaded process does not answer.\nran\n"
    why = until(lambda: starter.why_cold(folder.command(source), folder.path, VARIABLES))
    assert "nothing is preloaded" in why
    assert (folder.path / "runs.txt").read_text() == "x"
    starter.close()


@pytest.mark.usefixtures("_light")
def test_no_order_is_sent_to_a_preloaded_process_that_is_about_to_end(folder):
    preloaded = Preloaded(sys.executable, VARIABLES)
    until(lambda: preloaded.is_ready)
    assert not preloaded._is_in_use()
    with pytest.raises(ForkError, match="has ended"):
        preloaded.fork({"command": folder.command("open('ran', 'w')"), "folder": str(folder.path)})
    preloaded.close()


@pytest.mark.usefixtures("_light")
@pytest.mark.slow
def test_a_preloaded_process_ends_when_it_is_idle(folder):
    starter = WarmStarter(idle=2.0)
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    assert "nothing is preloaded" in until(lambda: starter.why_cold(folder.command("pass"), folder.path, VARIABLES))
    starter.preload(sys.executable, VARIABLES)
    assert starter.await_ready(sys.executable, VARIABLES, READY_SECONDS)
    starter.close()


def _is_gone(pid):
    """Or a zombie that nobody has reaped: containers often have no init that does."""
    file = Path(f"/proc/{pid}/stat")
    return not file.exists() or file.read_text().rpartition(")")[2].split()[0] in "ZX"
