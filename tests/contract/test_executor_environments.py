"""What every executor promises: environments of their own. Packages come from a folder, so no network is needed."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
import time
import zipfile

import pytest

from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor.builds import machine_pythons
from azureml_wrapper.local.executor.pythons import older_pythons
from tests.contract.bench import message
from tests.programs import need_index
from tests.waiting import until

BUILD_LOG = "azureml-logs/20_image_build_log.txt"


@pytest.fixture
def wheels(tmp_path):
    """A folder with the distribution tiny 1.0, whose module says 42."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    add_wheel(folder, "1.0", "42")
    return folder


def add_wheel(folder, version: str, answer: str):
    files = {
        "tiny.py": f"ANSWER = {answer}\n",
        f"tiny-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"tiny-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"tiny-{version}.dist-info/RECORD"))
    file = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for name, text in {**files, f"tiny-{version}.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
    return file


def environment(*pip: str, conda: tuple[str, ...] = (), **python) -> dict:
    return {
        "name": "e",
        "python": {
            "userManagedDependencies": False,
            "interpreterPath": "python",
            "condaDependencies": {"dependencies": [*conda, {"pip": [*pip]}]},
            **python,
        },
    }


def from_folder(folder, *packages: str) -> dict:
    return environment("--no-index", f"--find-links {folder}", *packages)


USE = "import os, tiny; print(tiny.ANSWER, os.path.realpath(tiny.__file__))"


def test_what_is_missing_is_built_once(bench, wheels):
    definition = from_folder(wheels, "tiny==1.0")
    runs = [bench.submit(USE, environment=definition) for _ in range(3)]
    for run_id in runs:
        run = bench.wait(run_id, seconds=60)
        assert run.status is RunStatus.COMPLETED, bench.log(run_id)
        assert "Preparing" in bench.seen[run_id]
        assert bench.printed(run_id)[0].startswith(f"42 {bench.home.environments}")
        assert "because tiny==1.0 is not installed" in bench.log(run_id)
    built = [run_id for run_id in runs if bench.file(run_id, BUILD_LOG).exists()]
    assert len(built) == 1
    assert "uv" in bench.log(built[0], BUILD_LOG)
    assert len(list(bench.home.environments.iterdir())) == 1


def test_a_private_wheel_of_the_workspace_is_installed(bench, wheels):
    account, name = bench.workspace.storage_account, "Environment/azureml-private-packages/tiny-1.0-py3-none-any.whl"
    bench.context.blobs.ensure_container(account, "azureml")
    bench.context.blobs.put_file(account, "azureml", name, wheels / "tiny-1.0-py3-none-any.whl")
    # The port is that of the service which took the wheel; it may be another one by now.
    address = f"https://{account}.blob.core.windows.net@127.0.0.1:12345/azureml/{name}"
    run = bench.run(USE, environment=environment("--no-index", address))
    assert run.status is RunStatus.COMPLETED, message(run)
    assert bench.printed(run.run_id)[0].startswith(f"42 {bench.home.environments}")


def test_a_built_environment_is_used_again(bench, wheels):
    for _ in range(2):
        run = bench.run(USE, environment=from_folder(wheels, "tiny"))
        assert run.status is RunStatus.COMPLETED
    assert not bench.file(run.run_id, BUILD_LOG).exists()


def test_a_built_environment_has_nothing_else(bench, wheels):
    source = "import tiny\ntry:\n    import pytest\nexcept ImportError:\n    print('alone')"
    run = bench.run(source, environment=from_folder(wheels, "tiny"))
    assert bench.printed(run.run_id) == ["alone"]


def test_a_build_obeys_the_options_of_the_list(bench, wheels):
    add_wheel(wheels, "2.0rc1", "43")
    options = ["--prefer-binary", "--only-binary tiny,other --trusted-host example.org"]
    for more, answer in (([], "42"), (["--pre"], "43")):
        run = bench.run(USE, environment=from_folder(wheels, *options, *more, "tiny"))
        assert run.status is RunStatus.COMPLETED, message(run)
        assert bench.printed(run.run_id)[0].startswith(answer)
    assert "--prefer-binary is not used" in bench.log(run.run_id)


def test_a_build_installs_the_files_of_the_hashes_only(bench, wheels):
    digest = hashlib.sha256((wheels / "tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    right = bench.run(USE, environment=from_folder(wheels, "tiny==1.0 \\", f"  --hash=sha256:{digest}"))
    assert right.status is RunStatus.COMPLETED, message(right)
    wrong = bench.run(USE, environment=from_folder(wheels, f"tiny==1.0 --hash=sha256:{digest[::-1]}"))
    assert wrong.status is RunStatus.FAILED
    assert "Hash mismatch" in message(wrong)


def test_a_failed_build_fails_the_run_with_the_builders_last_lines(bench, wheels):
    run = bench.run(USE, environment=from_folder(wheels, "tiny==2.0"))
    assert run.status is RunStatus.FAILED
    assert "The environment could not be built" in message(run)
    assert "tiny==2.0" in message(run)
    assert "Running" not in bench.seen[run.run_id]
    assert list(bench.home.environments.iterdir()) == []
    assert "tiny==2.0" in bench.log(run.run_id, BUILD_LOG)


@pytest.mark.slow
def test_without_a_network_the_build_says_so(bench):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        index = f"--index-url http://me:secret@127.0.0.1:{closed.getsockname()[1]}/simple"
        run = bench.run(USE, environment=environment(index, "tiny"))
    assert run.status is RunStatus.FAILED
    assert "127.0.0.1" in message(run)
    assert "secret" not in message(run) + bench.log(run.run_id) + bench.log(run.run_id, BUILD_LOG)


def test_a_build_can_be_cancelled_and_the_next_job_builds(bench, wheels):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        index = f"--index-url http://127.0.0.1:{silent.getsockname()[1]}/simple"
        first = bench.submit(USE, environment=environment(index, "tiny"))
        bench.wait(first, "Preparing")
        second = bench.submit(USE, environment=environment(index, "tiny"))
        bench.wait(second, "Preparing")
        time.sleep(0.5)
        for run_id in (second, first):
            assert bench.executor.cancel(bench.workspace.workspace_id, run_id)
            # uv alone would wait for 30 s, several times.
            assert bench.wait(run_id, seconds=20).status is RunStatus.CANCELED
    assert list(bench.home.environments.glob("*/ready")) == []


@pytest.mark.slow
def test_one_thread_builds_for_all_jobs_that_need_an_environment(bench, wheels):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        index = f"--index-url http://127.0.0.1:{silent.getsockname()[1]}/simple"
        runs = [bench.submit(USE, environment=environment(index, "tiny")) for _ in range(4)]
        names = {f"job {run_id}" for run_id in runs}
        for run_id in runs:
            bench.wait(run_id, "Preparing")
        until(lambda: len(names & {thread.name for thread in threading.enumerate()}) == 1)
        for run_id in reversed(runs):
            bench.executor.cancel(bench.workspace.workspace_id, run_id)
        assert [bench.wait(run_id).status for run_id in runs] == [RunStatus.CANCELED] * 4


def test_a_build_that_was_interrupted_is_done_again(bench, wheels):
    definition = from_folder(wheels, "tiny")
    assert bench.run(USE, environment=definition).status is RunStatus.COMPLETED
    [place] = bench.home.environments.iterdir()
    (place / "ready").unlink()
    (place / "env" / "bin" / "python").unlink()
    assert bench.run(USE, environment=definition).status is RunStatus.COMPLETED


def test_an_interpreter_can_be_named(bench):
    run = bench.run("print(1)", environment=environment("nothing", userManagedDependencies=True))
    assert bench.printed(run.run_id) == ["1"]
    assert f"Interpreter: {sys.executable}, because the environment is user-managed." in bench.log(run.run_id)


def test_a_conda_package_that_nobody_has_is_refused_by_name(bench, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    run = bench.run("print(1)", environment=environment(conda=("cudatoolkit=11.3",)))
    assert run.status is RunStatus.FAILED
    assert "cudatoolkit=11.3" in message(run)
    assert "has no conda" in message(run)


def test_conda_builds_what_only_conda_has(bench, monkeypatch, tmp_path):
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    # Stands in for conda: makes a prefix whose interpreter is this one.
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != --prefix ]; do shift; done\n'
        f'mkdir -p "$2/bin" "$2/conda-meta" && ln -s {sys.executable} "$2/bin/python" && cat "$4"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    source = "import os; print(os.environ['CONDA_PREFIX'])"
    run = bench.run(source, environment=environment(conda=("cudatoolkit=11.3",)))
    assert run.status is RunStatus.COMPLETED, message(run)
    assert bench.printed(run.run_id)[0].startswith(str(bench.home.environments))
    assert "cudatoolkit=11.3" in bench.log(run.run_id, BUILD_LOG)


@pytest.fixture
def other_python():
    """Skips the test where this machine has no other Python."""
    other = next(older_pythons(machine_pythons()), None)
    if other is None:
        pytest.skip("this machine has one Python only")
    return other


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["python={}", "python=={}.*"])
def test_the_python_that_is_asked_for_is_used(bench, wheels, other_python, spelling):
    minor = other_python.version.rpartition(".")[0]
    definition = environment("--no-index", f"--find-links {wheels}", "tiny", conda=(spelling.format(minor), "pip"))
    source = "import sys, tiny; print('%d.%d.%d' % sys.version_info[:3])"
    for _ in range(2):
        run_id = bench.submit(source, environment=definition)
        run = bench.wait(run_id, seconds=120)
        assert run.status is RunStatus.COMPLETED, bench.log(run_id) + message(run)
        assert bench.printed(run_id)[-1] == other_python.version
        assert f"because tiny is not installed. {other_python} is used, because" in bench.log(run_id)


@pytest.mark.slow
def test_packages_that_need_an_older_python_get_one_if_none_is_named(bench, wheels, other_python):
    tag = "cp" + "".join(other_python.version.split(".")[:2])
    (wheels / "tiny-1.0-py3-none-any.whl").rename(wheels / f"tiny-1.0-{tag}-none-any.whl")
    run_id = bench.submit(
        "import sys; print('%d.%d.%d' % sys.version_info[:3])", environment=from_folder(wheels, "tiny")
    )
    run = bench.wait(run_id, seconds=120)
    assert run.status is RunStatus.COMPLETED, bench.log(run_id) + message(run)
    assert bench.printed(run_id)[-1] == other_python.version
    assert "because the packages do not install on Python 3." in bench.log(run_id)


@pytest.fixture
def index(tmp_path):
    need_index(tmp_path)


@pytest.mark.online
@pytest.mark.slow
@pytest.mark.usefixtures("index")
def test_a_package_comes_from_the_index_that_pip_is_told_of(bench):
    run = bench.run("import toolz; print(toolz.__name__)", environment=environment("toolz"))
    assert run.status is RunStatus.COMPLETED, message(run)
    assert bench.printed(run.run_id) == ["toolz"]


SDK = "import azureml.core, pkg_resources, sys; print(azureml.core.VERSION, '%d.%d' % sys.version_info[:2])"


@pytest.mark.online
@pytest.mark.slow
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("packages", "oldest"),
    [(["azureml-defaults", "pandas==2.0.3"], "1.61"), (["azureml-defaults==1.56.0", "toolz"], "1.56")],
)
def test_the_sdk_is_the_newest_unless_another_is_pinned(bench, packages, oldest):
    run_id = bench.submit(SDK, environment=environment(*packages))
    run = bench.wait(run_id, seconds=600)
    assert run.status is RunStatus.COMPLETED, bench.log(run_id) + message(run)
    assert bench.printed(run_id)[-1].startswith(oldest)
