"""A pipeline as data, and as objects of the SDK: read, checked, wired and rendered.

Runs and published pipelines have rooms of their own.
"""
