"""Runs scripts, pipelines and sweeps as processes of this machine: environment, inputs, outputs, logs, cancellation.

What a job or a step is, and its allowed states, is not decided here, but in `domain`.
"""
