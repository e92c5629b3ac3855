"""Pipelines: their parts, runs, publications, endpoints and schedules. Drafts are not served."""
