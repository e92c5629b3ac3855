"""azureml_wrapper: Azure ML pipelines in a few lines, in Azure or on this machine."""
