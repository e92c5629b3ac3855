import argparse
from pathlib import Path

import pandas as pd
from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--to")
args = parser.parse_args()

penguins = Run.get_context().input_datasets["penguins"].to_pandas_dataframe()
penguins["body_mass_g"] = pd.to_numeric(penguins["body_mass_g"], errors="coerce")
means = penguins.groupby("species")["body_mass_g"].mean()
folder = Path(args.to)
folder.mkdir(parents=True, exist_ok=True)
means.to_csv(folder / "means.csv")
