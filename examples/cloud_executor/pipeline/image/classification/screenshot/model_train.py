"""Train a model that distinguishes screenshots from photos; the argument is the path of its config in `pipeline`."""

import json
import sys

import numpy as np
from azureml.core import Run

from azureml_wrapper import file_paths

config = json.loads(file_paths.pipeline_path(sys.argv[1]).read_text())
data = file_paths.working_path("image", "classification", "screenshot", "preprocessednpk", "64x64", "pictures.npz")
run = Run.get_context()
with np.load(data) as content:
    pictures, wanted = content["pictures"], content["is_screenshot"].astype(float)

# The gradients of the picture: a photo has many small ones, a screenshot few, but large ones.
steps = np.abs(np.diff(pictures, axis=2)).reshape(len(pictures), -1)
features = np.stack([np.histogram(each, bins=12, range=(0, 0.3))[0] / each.size for each in steps])
order = np.random.default_rng(config["seed"]).permutation(len(features))
train, test = np.split(order, [len(order) * 3 // 4])
mean, spread = features[train].mean(axis=0), features[train].std(axis=0) + 1e-9
scaled = (features - mean) / spread

weights, bias = np.zeros(scaled.shape[1]), 0.0
for epoch in range(config["epochs"]):
    guess = 1 / (1 + np.exp(-(scaled[train] @ weights + bias)))
    loss = -np.mean(np.log(np.where(wanted[train] > 0, guess, 1 - guess) + 1e-12))
    run.log("loss", float(loss))
    error = guess - wanted[train]
    weights -= config["learning_rate"] * scaled[train].T @ error / len(train)
    bias -= config["learning_rate"] * error.mean()
    if epoch % 20 == 0:
        print(f"epoch {epoch}: loss {loss:.4f}", flush=True)

accuracy = float(np.mean((scaled[test] @ weights + bias > 0) == (wanted[test] > 0)))
run.log("accuracy", accuracy)
np.savez(file_paths.outputs_path("model.npz"), weights=weights, bias=bias, mean=mean, spread=spread)
file_paths.outputs_path("result.json").write_text(json.dumps({"accuracy": accuracy, "tested": len(test)}))
print(f"accuracy {accuracy:.3f} of {len(test)} pictures")
