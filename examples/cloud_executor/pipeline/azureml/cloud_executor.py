"""The project's own name for `aml execute`: python pipeline/azureml/cloud_executor.py --script-path …"""

from azureml_wrapper.cloud_executor import main

main()
