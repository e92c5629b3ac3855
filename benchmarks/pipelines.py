"""The pipeline that ours and every peer runs: trivial steps in a chain, or as many steps that read one source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Shape = Literal["chain", "fan"]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A step takes a number, adds one, and passes it on. With `sdk`, it does `from azureml.core import Run` first.

    `folder` is where its files are written. A fan has one step more: the source.
    """

    folder: Path
    steps: int
    shape: Shape = "chain"
    sdk: bool = False

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.steps}{'-sdk' if self.sdk else ''}"

    @property
    def variables(self) -> dict[str, str]:
        """How the programs of peers/flows are told. Each step adds a byte to the file TALLY."""
        sdk = "1" if self.sdk else ""
        return {"STEPS": str(self.steps), "SHAPE": self.shape, "WITH_SDK": sdk, "TALLY": str(self.tally)}

    @property
    def tally(self) -> Path:
        return self.folder / "tally"

    def sources(self) -> list[int | None]:
        """For each step the one that it reads."""
        if self.shape == "chain":
            return [None, *range(self.steps - 1)]
        return [None, *[0] * self.steps]


# As a step of Azure ML gets it; a plain loop and DVC call it in the same way. The first line is new for each run.
SCRIPT = """# {mark}
import argparse
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--input-folder")
parser.add_argument("--output-folder")
arguments, _ = parser.parse_known_args()
value = int(Path(arguments.input_folder, "value").read_text()) if arguments.input_folder else 0
if arguments.output_folder:
    Path(arguments.output_folder, "value").write_text(str(value + 1))
if "TALLY" in os.environ:
    with open(os.environ["TALLY"], "ab") as tally:
        tally.write(b".")
"""
WITH_SDK = "from azureml.core import Run\n"


def script(pipeline: Pipeline, mark: object = "") -> str:
    return SCRIPT.format(mark=mark) + (WITH_SDK if pipeline.sdk else "")
