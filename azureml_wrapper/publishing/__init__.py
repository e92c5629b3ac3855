"""Published pipelines and their schedules: registering, listing, triggering and disabling them.

When a schedule fires is not computed here, but in `azureml_wrapper/recurrence.py`.
"""
