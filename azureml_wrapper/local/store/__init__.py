"""What the service stores: names and states in SQLite, contents in files.

Neither HTTP nor the JSON of clients belongs here, nor rules: those are in `domain`.
"""
