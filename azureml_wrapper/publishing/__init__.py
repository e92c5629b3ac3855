"""Published pipelines and their schedules.

How a schedule's times are computed stands in azureml_wrapper/recurrence.py.
"""
