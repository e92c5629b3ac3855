"""A pipeline as data and as objects of the SDK: loaded, checked, wired and rendered.

Submitted runs and published pipelines do not belong here (`runs`, `publishing`).
"""
