"""What users meet: every public callable has a docstring, and the library leaves standard output to its users."""

from __future__ import annotations

import ast

from tests.architecture.source import FILES, PACKAGE, Function, place, tree

# The command line prints for people, the local service into the logs of jobs; `python -m` of a module is a command.
PRINTING = ("cli", "local")


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, Function) and node.name == "main"


def _prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"


def test_library_code_never_prints():
    found = []
    for file in FILES:
        if file.relative_to(PACKAGE).parts[0] in PRINTING:
            continue
        in_main = {call for node in ast.walk(tree(file)) if _is_main(node) for call in ast.walk(node)}
        found += [place(file, node) for node in ast.walk(tree(file)) if _prints(node) and node not in in_main]
    assert found == []
