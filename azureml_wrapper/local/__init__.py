"""The local Azure ML."""
