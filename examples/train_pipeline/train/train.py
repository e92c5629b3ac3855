"""Each rank is a process that learns from its share of the traces and writes its result."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--input_data", type=Path, help="folder of normalized traces")
parser.add_argument("--output", type=Path, help="folder for the models")
given = parser.parse_args()

# mpirun sets these for each process; mpi4py has the same values, and more.
rank, size = int(os.environ["OMPI_COMM_WORLD_RANK"]), int(os.environ["OMPI_COMM_WORLD_SIZE"])

files = sorted(given.input_data.glob("*.json"))[rank::size]
traces = [json.loads(file.read_text()) for file in files]
energy = sum(value * value for trace in traces for value in trace) / max(1, sum(map(len, traces)))
given.output.mkdir(parents=True, exist_ok=True)
(given.output / f"model-{rank}.json").write_text(json.dumps({"energy": energy, "traces": len(traces)}))
print(f"rank {rank} of {size}: {len(traces)} traces, energy {energy:.3f}")
