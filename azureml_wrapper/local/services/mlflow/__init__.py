"""MLflow's tracking service, as mlflow and azureml-mlflow use it. Models are registered through the SDK."""
