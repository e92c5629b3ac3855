"""Evaluate the model on penguins that it has not seen."""

import json
from pathlib import Path

import numpy as np
from model import probabilities
from picture import save_counts

from azureml_wrapper import ScriptWrapper

script = ScriptWrapper()
test = script.get_csv_from_input_folder("test.csv")
model = script.get_csv_from_input_folder("model.csv").set_index("feature")

species = list(model.columns)
actual = np.array([species.index(name) for name in test.pop("species")])
predicted = probabilities(model.to_numpy(), test.to_numpy()).argmax(axis=1)

counts = np.zeros((len(species), len(species)), dtype=int)
np.add.at(counts, (actual, predicted), 1)
accuracy = float((actual == predicted).mean())
print(f"accuracy {accuracy:.3f} on {len(test)} penguins")

# Files in outputs/ are stored with the run.
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)
save_counts(counts, outputs / "confusion.png")
result = {"accuracy": accuracy, "penguins": len(test), "species": species, "confusion": counts.tolist()}
(outputs / "result.json").write_text(json.dumps(result, indent=2))

script.run.log("accuracy", accuracy)
for row, name in enumerate(species):
    script.run.log(f"recall_{name}", float(counts[row, row] / counts[row].sum()))
script.run.log_image("confusion", path=str(outputs / "confusion.png"))
script.complete()
