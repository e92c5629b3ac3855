"""One module for each service of Azure ML, or a package for a large one. Services never import each other.

Its docstring says what a service serves; COVERAGE.md repeats it. A module first translates between JSON and the
domain, then has one function for each operation (parse, ask a store or the domain, respond), and ends with the table
of routes. In a package, `wire.py` has the JSON, `handlers.py` the operations and the table; only if the operations
fill several files is the table in `routes.py`. A module without routes has what several services need.
"""
