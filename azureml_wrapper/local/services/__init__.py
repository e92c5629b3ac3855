"""One module for each service of Azure ML, or a package if it would have more than 250 lines.

Services never import each other. The docstring of each says what it serves; COVERAGE.md repeats it. A module first
translates between JSON and the domain, then has one function for each operation (parse, ask a store or the domain,
respond), and ends with the table of routes. In a package, `wire.py` has the JSON, `handlers.py` the operations and
the table; only if the operations fill several files is the table in `routes.py`. A module without routes has what
several services need.
"""
