"""Sweeps (contract: azureml/train/restclients/hyperdrive/rest_client.py)."""
