"""A project run with one command: its data, compute and environment are sent along with the script.

A single script without a project is not handled here, but in `jobs`.
"""
