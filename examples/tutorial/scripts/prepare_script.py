"""The first step of the tutorial: it has an output folder and no input folder."""

import argparse
import json
from pathlib import Path

import pandas as pd
from azureml.core import Run

run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config")
parser.add_argument("--train-data", type=str, dest="train_data")
parser.add_argument("--output-folder", type=str, dest="output_folder")
args = parser.parse_args()

penguins = run.input_datasets[args.config["train_dataset_name"]].to_pandas_dataframe()
columns = ["flipper_length_mm", "body_mass_g"]
# Azure ML reads a column that contains "NA" as strings.
penguins[columns] = penguins[columns].apply(pd.to_numeric, errors="coerce")
measured = penguins.dropna(subset=columns)
measured.to_csv(Path(args.output_folder) / "train.csv", index=False)
run.log("rows", len(measured))

run.complete()
