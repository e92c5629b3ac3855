"""Scale each trace to mean 0 and a maximum amplitude of 1."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--input_data", type=Path, help="folder of raw traces")
parser.add_argument("--output", type=Path, help="folder for normalized traces")
parser.add_argument("--decimals", type=int, default=6)
given = parser.parse_args()

given.output.mkdir(parents=True, exist_ok=True)
files = sorted(given.input_data.glob("*.json"))
for file in files:
    trace = json.loads(file.read_text())
    mean = sum(trace) / len(trace)
    largest = max(abs(value - mean) for value in trace)
    normalized = [round((value - mean) / largest, given.decimals) for value in trace]
    (given.output / file.name).write_text(json.dumps(normalized))
print(f"normalized {len(files)} traces")
