"""What azureml_wrapper costs, measured side by side with what else people use: `make bench`, or `python -m benchmarks`.

scenarios/   one file each: what is measured, and which lines its table has
peers/       how the same pipeline is written for other tools, each in a virtual environment of its own (.envs/)
programs/    what runs in fresh processes to be measured
results/     what came out, as JSON; docs/performance.md is made of it
"""
