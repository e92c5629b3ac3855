"""`python -m tests.faults.fuzzing.service --home HOME`: the service, whose jobs do nothing.

Everything of a job is real (its working folder, its process, its outputs and its end) except what it runs: `true`
instead of an interpreter, so that a million requests may submit as many jobs as they like. Environments are not
built, because that would download packages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_wrapper.local import app, server
from azureml_wrapper.local.executor.process import ColdStarter, Process


class IdleStarter(ColdStarter):
    """Starts `true` for each job."""

    def start(self, command: Sequence[str], *, folder: Path, variables: Mapping[str, str], log: Path) -> Process:
        return super().start(["true"], folder=folder, variables=variables, log=log)


def main() -> None:
    os.environ["UV_OFFLINE"] = "1"
    starter: Any = IdleStarter
    app._starter = starter
    server.main()


if __name__ == "__main__":
    main()
