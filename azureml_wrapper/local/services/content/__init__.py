"""Snapshots of script folders (contract: azureml/_restclient/snapshots_client.py)."""
