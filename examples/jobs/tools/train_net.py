"""Which penguin is it? Softmax regression by mini-batches, tested on each fold of the data in turn.

Several processes share the folds: the process RANK of WORLD_SIZE takes every WORLD_SIZE-th one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml


def read_config() -> dict[str, Any]:
    """The config file, with the pairs `SOLVER.BASE_LR 0.1` of the command line put into it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config_file", required=True)
    parser.add_argument("overrides", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    config = yaml.safe_load(Path(given.config_file).read_text(encoding="utf-8"))
    for key, value in zip(given.overrides[::2], given.overrides[1::2], strict=True):
        *path, name = key.split(".")
        place = config
        for part in path:
            place = place.setdefault(part, {})
        # Paths stay as they are.
        place[name] = value if name.endswith("DIR") else yaml.safe_load(value)
    return config


def read_table(file: Path, features: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features, and the number of each penguin's species; rows with gaps are left out."""
    with file.open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if "NA" not in (row[name] for name in features)]
    values = np.array([[float(row[name]) for name in features] for row in rows])
    labels = np.unique([row["species"] for row in rows], return_inverse=True)[1]
    return (values - values.mean(0)) / values.std(0), labels


def probabilities(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    scores = features @ weights[1:] + weights[0]
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def fit(features: np.ndarray, labels: np.ndarray, solver: dict[str, Any]) -> np.ndarray:
    random = np.random.default_rng(solver["SEED"])
    weights = np.zeros((1 + features.shape[1], labels.max() + 1))
    targets = np.eye(labels.max() + 1)[labels]
    for _ in range(solver["EPOCHS"]):
        order = random.permutation(len(labels))
        for start in range(0, len(order), solver["IMS_PER_BATCH"]):
            batch = order[start : start + solver["IMS_PER_BATCH"]]
            error = (probabilities(weights, features[batch]) - targets[batch]) / len(batch)
            weights[0] -= solver["BASE_LR"] * error.sum(0)
            weights[1:] -= solver["BASE_LR"] * features[batch].T @ error
    return weights


def main() -> None:
    config = read_config()
    data, rank, world = config["DATA"], int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    features, labels = read_table(Path(data["DIR"], data["FILE"]), data["FEATURES"])
    fold_of = np.random.default_rng(config["SOLVER"]["SEED"]).integers(data["FOLDS"], size=len(labels))
    for fold in range(rank, data["FOLDS"], world):
        mine = fold_of == fold
        weights = fit(features[~mine], labels[~mine], config["SOLVER"])
        accuracy = float((probabilities(weights, features[mine]).argmax(1) == labels[mine]).mean())
        print(f"process {rank}: fold {fold} accuracy {accuracy:.4f}", flush=True)
        found = {"fold": fold, "accuracy": accuracy, "process": rank, "weights": weights.round(6).tolist()}
        Path(config["OUTPUT_DIR"], f"fold_{fold}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
