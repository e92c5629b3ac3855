"""Metrics of runs, as the SDK logs them. MLflow's are the mlflow service's."""
