"""`python tools/azureml/aml_submit.py …` is `aml submit …`."""

import sys

from azureml_wrapper.cli import main

main(["submit", *sys.argv[1:]])
