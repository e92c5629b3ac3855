"""Single runs: `Experiment.submit(ScriptRunConfig)`, and how to cancel them."""
