"""Fires schedules, by recurrence or when blobs change.

When a recurrence fires is not computed here, but in `azureml_wrapper/recurrence.py`.
"""
