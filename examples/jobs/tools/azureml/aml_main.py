"""The script of a job: run the training in as many processes as the job has GPUs.

In your own project, change TRAIN, its arguments, and what is done with the results. As with torch.distributed, each
process finds its number in RANK and LOCAL_RANK.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from azureml.core import Run

TRAIN = "tools/train_net.py"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config_file", required=True)
    parser.add_argument("--input_dir", required=True)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--num_gpus", type=int, default=1)
    parser.add_argument("overrides", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    return parser.parse_args()


def train(given: argparse.Namespace) -> list[int]:
    """Run the processes and return their exit codes."""
    command = [sys.executable, TRAIN, "--config_file", given.config_file, *given.overrides]
    command += ["DATA.DIR", given.input_dir, "OUTPUT_DIR", given.output_dir]
    count = max(1, given.num_gpus)
    shared = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    processes = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)
    ]
    return [process.wait() for process in processes]


def report(folder: Path) -> None:
    """Log the mean of the processes' results, and store it with the run."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("fold_*.json"))]
    accuracy = sum(fold["accuracy"] for fold in found) / len(found)
    Run.get_context().log("accuracy", accuracy)
    Path("outputs").mkdir(exist_ok=True)
    Path("outputs", "result.json").write_text(json.dumps({"accuracy": accuracy, "folds": found}, indent=2))
    print(f"accuracy {accuracy:.4f} over {len(found)} folds")


if __name__ == "__main__":
    arguments = parse()
    Path(arguments.output_dir).mkdir(parents=True, exist_ok=True)
    codes = train(arguments)
    if any(codes):
        sys.exit(f"The processes ended with {codes}.")
    report(Path(arguments.output_dir))
