"""The local service's domain and executor speak no client's format: the services read and write it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import PACKAGE, place, tree

ROOMS = ("domain", "executor")
# Keys as SDK v1 writes them: ModuleNodes, nodeCount.
WIRE_KEY = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*|[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*")
READERS = ("get", "pop", "setdefault")


def keys(node: ast.AST) -> Iterator[ast.expr | None]:
    """What a node uses as keys: of a dict, in brackets, or in `.get()`."""
    if isinstance(node, ast.Dict):
        yield from node.keys
    elif isinstance(node, ast.Subscript):
        yield node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
        yield from node.args[:1]


def wire_keys(source: ast.AST) -> list[ast.Constant]:
    every = [key for node in ast.walk(source) for key in keys(node)]
    strings = [key for key in every if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return [key for key in strings if WIRE_KEY.fullmatch(key.value)]


def test_such_keys_are_found():
    source = ast.parse(
        "a['NodeId'] = b.get('nodeCount', {'ValueType': 1, 'node_count': 2, 'Id': 3, 'id': 4, 'A': 5})"
    )
    assert {key.value for key in wire_keys(source)} == {"NodeId", "nodeCount", "ValueType", "Id"}


def test_domain_and_executor_have_no_key_of_a_clients_format():
    files = [file for room in ROOMS for file in sorted((PACKAGE / "local" / room).glob("*.py"))]
    assert len(files) > 40
    assert [f"{place(file, key)} {key.value}" for file in files for key in wire_keys(tree(file))] == []
