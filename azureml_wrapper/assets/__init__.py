"""What a workspace holds: compute targets, datastores, datasets, environments, and the rules for their names.

Each module finds and registers one kind; nothing here connects or runs anything.
"""
