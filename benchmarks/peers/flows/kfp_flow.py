"""Kubeflow Pipelines on this machine: each component a process (SubprocessRunner, in the same environment)."""

import os

from kfp import dsl, local

STEPS = int(os.environ["STEPS"])


# A component's source is taken out of this file, so that it can look at nothing outside of its body.
@dsl.component(install_kfp_package=False)
def add(previous: int) -> int:
    import os
    from pathlib import Path

    if os.environ.get("WITH_SDK"):
        from azureml.core import Run  # noqa: F401
    with Path(os.environ["TALLY"]).open("ab") as tally:
        tally.write(b".")
    return previous + 1


@dsl.pipeline
def chain() -> None:
    value = 0
    for _ in range(STEPS):
        value = add(previous=value).output


@dsl.pipeline
def fan() -> None:
    source = add(previous=0).output
    for _ in range(STEPS):
        add(previous=source)


if __name__ == "__main__":
    cached = bool(os.environ.get("CACHE"))
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="outputs", enable_caching=cached)
    {"chain": chain, "fan": fan}[os.environ["SHAPE"]]()
