"""The web pages. Their addresses hold the key that opens them, and are those of azureml/core/_portal.py.

Pages only read: everything that changes something goes through the services.
"""
