"""One package for each service of Azure ML: its operations, and its JSON. Services never import each other.

A package's docstring says what it serves; COVERAGE.md repeats it. `handlers.py` has one function for each operation
(parse, ask a store or the domain, answer), `wire.py` what lies between JSON and the domain. A table of routes that
needs less than 20 lines of a file is at the end of `handlers.py`, a longer one in `routes.py`.
"""
