"""`python tools/azureml/aml_job.py status output/x` is `aml status output/x`, and so on."""

from azureml_wrapper.cli import main

main()
