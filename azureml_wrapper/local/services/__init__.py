"""One package for each service of Azure ML: its operations, and its JSON. Services never import each other.

A package's docstring says what it serves; COVERAGE.md repeats it. `handlers.py` has one function for each operation
(parse, ask a store or the domain, respond) and ends with the table of routes. `wire.py` translates between JSON and
the domain. Only a service whose operations fill several files has its table in `routes.py`.
"""
