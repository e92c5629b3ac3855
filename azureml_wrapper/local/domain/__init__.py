"""The rules of the local Azure ML as plain data and pure functions: runs, graphs, schedules, limits.

No HTTP, no JSON of clients, no database, no processes, and neither the SDK nor the wrapper.
"""
