"""Print what the previous step has collected."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--input_data", type=Path, help="folder with scores.txt")
given = parser.parse_args()

lines = sorted((given.input_data / "scores.txt").read_text().splitlines())
print("\n".join(["Peaks:", *lines]))
