"""The folders of a project: the same calls on a laptop and in a job of the cloud executor.

    from azureml_wrapper import file_paths

    images = numpy.load(file_paths.working_path("images", "64x64", "images.npy"))
    figure.savefig(file_paths.outputs_path("confusion.png"))

On a laptop, the project is the nearest folder that has a subfolder `pipeline`, searched upwards from the running
script, then from the current folder. In a job, `pipeline` is what was uploaded, `outputs` is what Azure ML keeps of
the run, and `data_blobs` holds the required datasets; files that a script writes there are lost when the job ends.
The cloud executor marks its jobs with the variables CLOUD_EXECUTOR_SCRIPT and CLOUD_EXECUTOR_DATASETS; Azure ML sets
`required_datasets` to the location of the data.

This file needs only the standard library: if a job's environment lacks azureml_wrapper, copy it next to your script.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Set by the cloud executor: the script's path in `pipeline`, and the path of the datasets below `data_blobs` (ending
# in "/" if it is a folder).
SCRIPT_VARIABLE = "CLOUD_EXECUTOR_SCRIPT"
DATASETS_VARIABLE = "CLOUD_EXECUTOR_DATASETS"
# The name of the input, and of the variable that holds its path (azureml/core/run.py, InputDatasets).
INPUT = "required_datasets"
PIPELINE, DATA, OUTPUTS, RAW, WORKING = "pipeline", "data_blobs", "outputs", "raw", "working"


def pipeline_path(*parts: str) -> Path:
    """Return the full path of the pipeline folder, or of `parts` in it."""
    return _pipeline().joinpath(*parts)


def data_blobs_path(*parts: str) -> Path:
    """Return the full path of data_blobs, or of `parts` in it."""
    return _data().joinpath(*parts)


def raw_path(*parts: str) -> Path:
    """Return the full path of data_blobs/raw (created if missing), or of `parts` in it."""
    return _made(_data() / RAW).joinpath(*parts)


def working_path(*parts: str) -> Path:
    """Return the full path of data_blobs/working (created if missing), or of `parts` in it."""
    return _made(_data() / WORKING).joinpath(*parts)


def outputs_path(*parts: str) -> Path:
    """Return the full path of outputs (created if missing), or of `parts` in it."""
    return _made((_pipeline() if is_job() else _root()) / OUTPUTS).joinpath(*parts)


def is_job() -> bool:
    """Return whether this process is a job of the cloud executor."""
    return SCRIPT_VARIABLE in os.environ


@cache
def _root() -> Path:
    """Return the folder of the project on a laptop."""
    for start in _starts():
        for folder in (start, *start.parents):
            if (folder / PIPELINE).is_dir():
                return folder
    raise FileNotFoundError(
        f"No folder {PIPELINE!r} found in {Path.cwd()} or above, nor above the script. Put the project's scripts "
        f"into a folder {PIPELINE!r}."
    )


@cache
def _pipeline() -> Path:
    if not is_job():
        return _root() / PIPELINE
    script = os.environ[SCRIPT_VARIABLE]
    # The script may have changed the current folder.
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
        # Several processes of a job may do this at the same time.
        with contextlib.suppress(FileExistsError):
            link.symlink_to(_content(place, required), target_is_directory=required.endswith("/"))
    return root


def _input() -> Path | None:
    """Return the folder or file that Azure ML mounted or downloaded the datasets to."""
    found = os.environ.get(INPUT) or os.environ.get(f"AZUREML_DATAREFERENCE_{INPUT}")
    return Path(found).absolute() if found else None


def _content(place: Path, required: str) -> Path:
    """Return the data itself: Azure ML names either a single file, or the folder that it downloaded the file to."""
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
