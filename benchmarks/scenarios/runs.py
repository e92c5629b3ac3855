"""A workspace with many runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from benchmarks.ours import NAMES, Place, place
from benchmarks.scenario import Entry, Scenario, Setting, Values

RUNS, SHOWN = 10_000, 20
MAKE_SECONDS = 300.0


@contextlib.contextmanager
def entries(setting: Setting) -> Iterator[list[Entry]]:
    count = setting.size(RUNS, 100)
    with place(setting.folder / "runs") as here:
        here.start()
        made = here.program("make_runs", count, limit=MAKE_SECONDS).json()
        reading = (("show", str(made["run"])), ("pipelines",), ("schedules",))
        (here.folder / ".azureml").mkdir()
        (here.folder / ".azureml" / "config.json").write_text(CONFIG)
        words = ("runs", "--limit", str(SHOWN))
        yield [
            Entry(
                name=f"all {count:,} runs by the SDK",
                measure=lambda: here.program("list_runs", count, limit=setting.limit).json(),
            ),
            Entry(
                name=f"aml runs, the newest {SHOWN} of {count:,}",
                measure=lambda: {"seconds": here.aml(*words, limit=setting.limit).seconds},
            ),
            *(Entry(name=f"aml {each[0]}", measure=command(here, each, setting.limit)) for each in reading),
            Entry(
                name="import azureml.core",
                measure=lambda: here.program("import_time", "azureml.core", limit=setting.limit).json(),
            ),
        ]


def command(here: Place, words: Sequence[str], limit: float) -> Callable[[], Values]:
    return lambda: {"seconds": here.aml(*words, limit=limit).seconds}


CONFIG = (
    f'{{"subscription_id": "{NAMES["subscription_id"]}", "resource_group": "{NAMES["resource_group"]}", '
    f'"workspace_name": "{NAMES["ws_name"]}"}}'
)

SCENARIO = Scenario(
    name="runs",
    title="A list of 10,000 runs",
    about="""`Experiment.get_runs` through all of its pages, in a connected process; `aml runs` and other
commands that read as whole processes, beside the import of the SDK, which they do without.""",
    open=entries,
)
