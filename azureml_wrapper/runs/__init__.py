"""Runs that were submitted: waiting for them, why they failed, their logs, and submitting them again.

Nothing here builds or submits a new pipeline or job.
"""
