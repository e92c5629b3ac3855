"""Clean the table, split it, and scale the measurements."""

import numpy as np
import pandas as pd

from azureml_wrapper import ScriptWrapper

script = ScriptWrapper()
config = script.get_config()
features = config["features"]

penguins = script.get_csv_from_config("dataset")
# Azure ML reads a column that contains "NA" as strings.
penguins[features] = penguins[features].apply(pd.to_numeric, errors="coerce")
measured = penguins[["species", *features]].dropna()
print(f"{len(penguins)} penguins, {len(measured)} of them measured")

is_test = np.random.default_rng(config["seed"]).random(len(measured)) < config["test_share"]
train, test = measured[~is_test].copy(), measured[is_test].copy()

# The scale is that of the training part alone: the test part must stay unseen.
center, scale = train[features].mean(), train[features].std()
for part in (train, test):
    part[features] = (part[features] - center) / scale

script.save_csv_in_output_folder(train, "train.csv")
script.save_csv_in_output_folder(test, "test.csv")
script.run.log("rows_train", len(train))
script.run.log("rows_test", len(test))
script.complete()
