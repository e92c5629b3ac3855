"""Scripts of steps, and what the steps said. None imports the SDK: that costs a second or two each."""

from __future__ import annotations

import json

from azureml.pipeline.core import PipelineRun, Schedule, StepRun

from tests.waiting import until

WRITE = """
    import pathlib, sys
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text(" ".join(sys.argv[2:]))
    print("wrote", sys.argv[2:])
"""
APPEND = """
    import pathlib, sys
    source, target = map(pathlib.Path, sys.argv[1:3])
    text = (source / "words.txt").read_text()
    target.mkdir(parents=True, exist_ok=True)
    (target / "words.txt").write_text(text + " and " + sys.argv[3])
    print("read", text)
"""
SHOW = """
    import json, os, sys
    print("ARGUMENTS", json.dumps(sys.argv[1:]))
    print("PARAMETERS", json.dumps({k: v for k, v in os.environ.items() if k.startswith("AML_PARAMETER_")}))
"""
# The files below each argument, or the content where it is a file.
LIST = """
    import json, os, sys
    found = []
    for place in sys.argv[1:]:
        names = [os.path.join(folder, name)[len(place):].lstrip("/")
                 for folder, _, files in os.walk(place) for name in files]
        found.append(sorted(names) if os.path.isdir(place) else open(place).read())
    print("FOUND", json.dumps(found))
"""
FAIL = "print('before'); raise ValueError('the soup is too hot')"
SLEEP = "import time; print('asleep', flush=True); time.sleep(600)"
PASS = "print('done')"


def step_of(run: PipelineRun, name: str) -> StepRun:
    """The one step run of that name."""
    (found,) = run.find_step_run(name)
    return found


def said(run: PipelineRun, name: str, word: str):
    """The JSON that a step printed after a word."""
    lines = step_of(run, name).get_stdout_log().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{word} ")]
    return json.loads(line.removeprefix(f"{word} "))


def await_runs(schedule: Schedule, count: int = 1) -> list[PipelineRun]:
    """The runs that a schedule has begun, once there are so many; the newest first."""
    until(lambda: len(schedule.get_pipeline_runs()) >= count, tell=schedule.get_pipeline_runs)
    return schedule.get_pipeline_runs()
