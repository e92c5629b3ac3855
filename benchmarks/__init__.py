"""What azureml_wrapper costs, beside what else people use: `make bench`.

scenarios/   one file each: what is measured, and which lines its table has
peers/       how the same pipeline is written for other tools, each in a virtual environment of its own (.envs/)
programs/    what runs in fresh processes to be measured
results/     what came out, as JSON; docs/performance.md is made of it
"""
