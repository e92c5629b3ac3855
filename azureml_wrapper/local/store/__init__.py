"""What the service keeps: SQLite for all that has a name or a status, files for all that has bytes. No HTTP, no JSON
of clients, and no decisions: those are in domain."""
