"""Fit a softmax regression by gradient descent."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from model import descend, loss

from azureml_wrapper import ScriptWrapper

script = ScriptWrapper()
config = script.get_config()

train = script.get_csv_from_input_folder("train.csv")
species, labels = np.unique(train.pop("species"), return_inverse=True)
features = train.to_numpy()

weights = np.zeros((1 + features.shape[1], len(species)))
for epoch in range(1, config["epochs"] + 1):
    weights = descend(weights, features, labels, config["learning_rate"])
    if epoch % config["log_every"] == 0:
        script.run.log("loss", loss(weights, features, labels))
print(f"loss after {config['epochs']} epochs: {loss(weights, features, labels):.4f}")

model = pd.DataFrame(weights, columns=species)
model.insert(0, "feature", ["constant", *train.columns])
script.save_csv_in_output_folder(model, "model.csv")
# The next step needs the test part, too, and reads only the folder of the step before it.
shutil.copy(Path(script.input_folder) / "test.csv", script.output_folder)
script.complete()
