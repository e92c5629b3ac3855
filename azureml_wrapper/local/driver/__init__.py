"""The driver of ParallelRunStep, which Azure puts into a step's snapshot as `driver/amlbi_main.py`.

The files beside this one run in the step's interpreter, and import neither the service nor the wrapper. Entry scripts
import `azureml_user.parallel_run`, as in Azure.
"""

from pathlib import Path

MAIN = str(Path(__file__).with_name("amlbi_main.py"))
