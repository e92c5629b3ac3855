"""Clean the table, split it, and bring the measurements to one scale."""

import numpy as np

from azureml_wrapper import ScriptWrapper

FEATURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]

script = ScriptWrapper()
config = script.get_config()

penguins = script.get_csv_from_config("dataset")
measured = penguins[["species", *FEATURES]].dropna()
print(f"{len(penguins)} penguins, {len(measured)} of them measured")

is_test = np.random.default_rng(config["seed"]).random(len(measured)) < config["test_share"]
train, test = measured[~is_test].copy(), measured[is_test].copy()

# The scale comes from the training part alone: the test part must stay unseen.
center, scale = train[FEATURES].mean(), train[FEATURES].std()
for part in (train, test):
    part[FEATURES] = (part[FEATURES] - center) / scale

script.save_csv_in_output_folder(train, "train.csv")
script.save_csv_in_output_folder(test, "test.csv")
script.run.log("rows_train", len(train))
script.run.log("rows_test", len(test))
script.complete()
