"""One script as one job, and the folder that remembers it."""
