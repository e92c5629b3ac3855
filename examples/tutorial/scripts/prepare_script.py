"""The first step of the tutorial: it has an output folder and no input folder."""

import argparse
import json
from pathlib import Path

from azureml.core import Run

run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config")
parser.add_argument("--train-data", type=str, dest="train_data")
parser.add_argument("--output-folder", type=str, dest="output_folder")
args = parser.parse_args()

penguins = run.input_datasets[args.config["train_dataset_name"]].to_pandas_dataframe()
measured = penguins.dropna(subset=["flipper_length_mm", "body_mass_g"])
measured.to_csv(Path(args.output_folder) / "train.csv", index=False)
run.log("rows", len(measured))

run.complete()
