"""What a job installs, upgrades or removes is seen by this job alone. Packages come from a folder."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from azureml_wrapper.local.domain.runs import RunStatus
from azureml_wrapper.local.executor import overlay_site
from azureml_wrapper.local.executor.overlay import base_of, make_overlay
from tests.contract.bench import message, warm_starter
from tests.waiting import until


def _write_wheel(folder: Path, version: str) -> None:
    info = f"tiny_thing-{version}.dist-info"
    files = {
        "tiny_thing/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntiny = tiny_thing:__doc__\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"tiny_thing-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with tiny-thing 1.0 and 2.0."""
    folder = tmp_path_factory.mktemp("wheels")
    _write_wheel(folder, "1.0")
    _write_wheel(folder, "2.0")
    return folder


def built(wheels) -> dict:
    """An environment with tiny-thing 1.0, which is built."""
    dependencies = [{"pip": ["--no-index", f"--find-links {wheels}", "tiny-thing==1.0"]}]
    return {"name": "e", "python": {"condaDependencies": {"dependencies": dependencies}}}


def freeze(python: str | Path = sys.executable) -> str:
    command = [sys.executable, "-m", "pip", "--python", str(python), "freeze", "--all"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


TOGETHER = """
import pathlib, subprocess, sys, time
version, wheels, meeting = sys.argv[1:]
pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", wheels]
subprocess.run([*pip, "tiny-thing==" + version], check=True)
pathlib.Path(meeting, version).touch()
while len(list(pathlib.Path(meeting).iterdir())) < 2:
    time.sleep(0.02)
import tiny_thing
subprocess.run([sys.executable, "-c", "import tiny_thing; print(tiny_thing.VERSION)"])
print(tiny_thing.VERSION)
"""


@pytest.mark.slow
def test_two_jobs_at_once_have_two_versions_and_the_service_none(bench, wheels, tmp_path):
    before, meeting = freeze(), tmp_path / "meeting"
    meeting.mkdir()
    versions = ("1.0", "2.0")
    runs = [bench.submit(TOGETHER, arguments=(version, str(wheels), str(meeting))) for version in versions]
    for run_id, version in zip(runs, versions, strict=True):
        assert bench.wait(run_id, seconds=60).status is RunStatus.COMPLETED, bench.log(run_id)
        assert bench.printed(run_id) == [version, version]
    assert freeze() == before
    until(lambda: not bench.executor.is_busy())
    assert list(bench.home.jobs.iterdir()) == []


SHOW = "python -c 'import tiny_thing; print(tiny_thing.VERSION)'"
FROM = "--no-index --find-links {wheels}"
GONE = "ModuleNotFoundError: No module named 'tiny_thing'"
COMMANDS = {
    f"pip install -q {FROM} tiny-thing==2.0": "2.0",
    f"pip install -q --user {FROM} tiny-thing==2.0": "2.0",
    f"uv pip install -q {FROM} tiny-thing==2.0": "2.0",
    f"uv pip install -q --system {FROM} tiny-thing==2.0": "2.0",
    "pip uninstall -q -y tiny-thing": GONE,
    f"pip install -q {FROM} tiny-thing==2.0 && pip uninstall -q -y tiny-thing": GONE,
    "uv pip uninstall -q tiny-thing": GONE,
}


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_a_built_environment_stays_as_it_was(bench, wheels, monkeypatch, line):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    run = bench.run(command=f"{line.format(wheels=wheels)}; {SHOW}", environment=built(wheels))
    assert bench.printed(run.run_id)[-1] == COMMANDS[line], bench.log(run.run_id)
    again = bench.run("import tiny_thing; print(tiny_thing.VERSION)", environment=built(wheels))
    assert bench.printed(again.run_id) == ["1.0"]
    [place] = bench.home.environments.iterdir()
    assert "tiny-thing==1.0" in freeze(place / "env" / "bin" / "python").splitlines()


IN_ITS_OWN_PROCESS = """
import importlib, sys
wheels, folder_of_pip = sys.argv[1:]
sys.path.append(folder_of_pip)
from pip._internal.cli.main import main
main(["install", "-q", "--no-index", "--find-links", wheels, "tiny-thing==2.0"])
import tiny_thing
print(tiny_thing.VERSION)
main(["uninstall", "-q", "-y", "tiny-thing"])
del sys.modules["tiny_thing"]
try:
    import tiny_thing
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_script_may_call_pip_in_its_own_process(bench, wheels):
    run = bench.run(
        IN_ITS_OWN_PROCESS, arguments=(str(wheels), sysconfig.get_path("purelib")), environment=built(wheels)
    )
    assert run.status is RunStatus.COMPLETED, message(run)
    # pip warns of imports after an installation.
    printed = [line for line in bench.printed(run.run_id) if "WARNING" not in line]
    assert printed == ["2.0", "No module named 'tiny_thing'"]


ENVIRONMENT = """
import multiprocessing, subprocess, sys, sysconfig
def paths():
    return [sys.executable, sys.prefix, sysconfig.get_path("purelib"), sysconfig.get_path("scripts")]
if __name__ == "__main__":
    print(paths())
    subprocess.run([sys.executable, "-c", "import main; print(main.paths())"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(paths))
    print(sum(path == sysconfig.get_path("purelib") for path in sys.path))
    import pytest, azureml.core
"""


def test_a_job_and_its_children_run_in_an_environment_of_their_own(bench):
    run = bench.run(ENVIRONMENT)
    assert run.status is RunStatus.COMPLETED, message(run)
    *lines, count = bench.printed(run.run_id)
    assert str(bench.home.jobs) in lines[0]
    assert (len(lines), len(set(lines)), count) == (3, 1, "1")
    assert ("Warm start" in bench.log(run.run_id)) == (bench.make_starter is warm_starter)


@pytest.mark.parametrize("source", ["# pip install x", "import pip", "run(['uv', 'pip', 'install'])"])
def test_a_script_that_installs_packages_is_not_forked(bench, source):
    run = bench.run(f"print(1)\nrun = print\n{source}")
    if bench.make_starter is warm_starter:
        assert "because it uses pip, and has to see what that installs" in bench.log(run.run_id)


def test_the_interpreter_of_a_job_names_the_one_under_it(tmp_path):
    own = make_overlay(tmp_path / "env", Path(sys.executable), tmp_path / "programs")
    assert own == tmp_path / "env" / "bin" / "python"
    assert base_of(str(own)) == sys.executable
    assert base_of(sys.executable) == sys.executable
    assert base_of("/no/such/bin/python") == "/no/such/bin/python"


def test_a_program_that_does_not_answer_as_python_runs_without_one(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert make_overlay(tmp_path / "env", program, tmp_path / "programs") == program


def test_processes_that_run_already_still_import_after_the_packages_were_linked(tmp_path):
    """`fill` moves the packages of the base into the environment: a loaded package still finds its other modules."""
    environment, base = tmp_path / "env", tmp_path / "base"
    (base / "thing").mkdir(parents=True)
    for name in ("__init__", "late"):
        (base / "thing" / f"{name}.py").write_text("")
    Path(overlay_site.packages(str(environment))).mkdir(parents=True)
    (environment / "base-0").symlink_to(base)
    program = (
        f"import sys; sys.path.insert(0, {str(Path(overlay_site.__file__).parent)!r}); import overlay_site\n"
        f"overlay_site.show({str(environment)!r}); import thing; overlay_site.fill({str(environment)!r})\n"
        f"import thing.late; print(thing.late.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(environment / "base-0" / "thing" / "late.py")
    assert (environment / "base-0").samefile(overlay_site.packages(str(environment)))
    assert sorted(path.name for path in base.rglob("*.py")) == ["__init__.py", "late.py"]
