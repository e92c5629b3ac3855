import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from azureml.core import Run

run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config") #Les hyperparamètres, est un dictionnaire!
parser.add_argument("--new-data", type=str, dest="new_data")
parser.add_argument("--test-data", type=str, dest="test_data")
parser.add_argument("--input-folder", type=str, dest="input_folder") #Folder contenant les données reçus de step précédent
parser.add_argument("--output-folder", type=str, dest="output_folder") #Folder dans lequel mettre les données à passer au prochain step
args = parser.parse_args()
config = args.config 
new_dataset = run.input_datasets[config.get("new_dataset_name")].to_pandas_dataframe() #Les datasets deviennent des DataFrames
test_dataset = run.input_datasets[config.get("test_dataset_name")].to_pandas_dataframe()

# Body mass (kg) from flipper length (mm) by gradient descent in small batches.
train_dataset = pd.read_csv(Path(args.input_folder) / "train.csv")
length, mass = (train_dataset[column].to_numpy(float) for column in ("flipper_length_mm", "body_mass_g"))
slope = 0.0
for _ in range(config["epochs"]):
    for start in range(0, len(length), config["batch_size"]):
        batch = slice(start, start + config["batch_size"])
        slope -= config["lr"] * np.mean((slope * length[batch] - mass[batch] / 1000) * length[batch])

for dataset in (new_dataset, test_dataset):
    # Azure ML reads a column that contains "NA" as strings.
    for column in ("flipper_length_mm", "body_mass_g"):
        dataset[column] = pd.to_numeric(dataset[column], errors="coerce")
error = slope * test_dataset["flipper_length_mm"] - test_dataset["body_mass_g"] / 1000
run.log("slope", slope)
run.log("mean_error_kg", error.abs().mean())
new_dataset["predicted_mass_g"] = slope * new_dataset["flipper_length_mm"] * 1000
new_dataset.to_csv(Path(args.output_folder) / "predictions.csv", index=False)

run.complete()
