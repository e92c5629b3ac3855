"""Where a project's folders are: the same calls on a laptop and in a job of the cloud executor.

    from azureml_wrapper import file_paths

    images = numpy.load(file_paths.working_path("images", "64x64", "images.npy"))
    figure.savefig(file_paths.outputs_path("confusion.png"))

On a laptop these are the folders of the project: the folder that holds `pipeline`, which is the nearest one above the
script that runs, or else above the current folder. In a job, `pipeline` is what was sent, `outputs` is what Azure ML
keeps of the run, and `data_blobs` holds the datasets that were required; what a script writes there is gone when the
job ends. A job is told by the variables CLOUD_EXECUTOR_SCRIPT and CLOUD_EXECUTOR_DATASETS, which the cloud executor
sets, and finds its data by `required_datasets`, which Azure ML sets.

This file needs nothing but Python: where a job's environment does not have azureml_wrapper, copy it to your script.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Set by the cloud executor: the script's path in `pipeline`, and the datasets' below `data_blobs` ("/" at the end of
# that of a folder).
SCRIPT_VARIABLE = "CLOUD_EXECUTOR_SCRIPT"
DATASETS_VARIABLE = "CLOUD_EXECUTOR_DATASETS"
# The input's name, and so that of the variable with its path (azureml/core/run.py, InputDatasets).
INPUT = "required_datasets"
PIPELINE, DATA, OUTPUTS, RAW, WORKING = "pipeline", "data_blobs", "outputs", "raw", "working"


def pipeline_path(*parts: str) -> Path:
    """The full path of the pipeline directory, or of something in it."""
    return _pipeline().joinpath(*parts)


def data_blobs_path(*parts: str) -> Path:
    """The full path of data_blobs, or of something in it."""
    return _data().joinpath(*parts)


def raw_path(*parts: str) -> Path:
    """The full path of data_blobs/raw, which is made where it is missing, or of something in it."""
    return _made(_data() / RAW).joinpath(*parts)


def working_path(*parts: str) -> Path:
    """The full path of data_blobs/working, which is made where it is missing, or of something in it."""
    return _made(_data() / WORKING).joinpath(*parts)


def outputs_path(*parts: str) -> Path:
    """The full path of outputs, which is made where it is missing, or of something in it."""
    return _made((_pipeline() if is_job() else _root()) / OUTPUTS).joinpath(*parts)


def is_job() -> bool:
    """Whether this is a job that the cloud executor has sent."""
    return SCRIPT_VARIABLE in os.environ


@cache
def _root() -> Path:
    """The project's folder on a laptop."""
    for start in _starts():
        for folder in (start, *start.parents):
            if (folder / PIPELINE).is_dir():
                return folder
    raise FileNotFoundError(
        f"There is no folder {PIPELINE!r} in {Path.cwd()} or above it, nor above the script. A project's scripts "
        f"belong below {PIPELINE!r}."
    )


@cache
def _pipeline() -> Path:
    if not is_job():
        return _root() / PIPELINE
    script = os.environ[SCRIPT_VARIABLE]
    # A script may have changed the current folder before it asks.
    for start in (Path.cwd(), *_starts()):
        for folder in (start, *start.parents):
            if (folder / script).is_file():
                return folder
    return Path.cwd()


@cache
def _data() -> Path:
    if not is_job():
        return _root() / DATA
    required, place = os.environ.get(DATASETS_VARIABLE, ""), _input()
    if required == "/" and place is not None:
        return place
    root = _made(_pipeline() / DATA)
    if required and place is not None:
        link = root / required.rstrip("/")
        _made(link.parent)
        # Several processes of a job may come here at once.
        with contextlib.suppress(FileExistsError):
            link.symlink_to(_content(place, required), target_is_directory=required.endswith("/"))
    return root


def _input() -> Path | None:
    """Where Azure ML has put the datasets."""
    found = os.environ.get(INPUT) or os.environ.get(f"AZUREML_DATAREFERENCE_{INPUT}")
    return Path(found).absolute() if found else None


def _content(place: Path, required: str) -> Path:
    """A single file may be given as itself, or as the folder that it was brought into."""
    name = Path(required).name
    return place / name if not required.endswith("/") and place.is_dir() else place


def _starts() -> Iterator[Path]:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    for file in (main, sys.argv[0] if sys.argv else None):
        if file:
            yield Path(file).absolute().parent
    yield Path.cwd()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
