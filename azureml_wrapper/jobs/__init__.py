"""One script as one job, and the folder that remembers it: its record, its state, its results, and running it again.

Connecting and waiting do not belong here (`connection`, `runs`), nor projects with their data (`projects`).
"""
