"""The last step of the tutorial: it has an input folder and no output folder."""

import argparse
from pathlib import Path

import pandas as pd
from azureml.core import Run

run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--input-folder", type=str, dest="input_folder")
args = parser.parse_args()

predictions = pd.read_csv(Path(args.input_folder) / "predictions.csv")
by_species = predictions.groupby("species")[["body_mass_g", "predicted_mass_g"]].mean().round()
print(by_species)

# Files in outputs/ are stored with the run.
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)
by_species.to_csv(outputs / "by_species.csv")
run.log("species", len(by_species))

run.complete()
