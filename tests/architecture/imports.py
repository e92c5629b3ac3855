"""Who imports whom: every import of the package, those inside functions included.

Only imports for types (`if TYPE_CHECKING`) do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

from tests.architecture.source import FILES, ROOT, module_name, place, tree

ROOT_PACKAGE = "azureml_wrapper"
MODULES = {module_name(file): file for file in FILES}


def imports(file: Path, *, at_the_top: bool = False) -> Iterator[tuple[str, str]]:
    """(place, name) of each import: `a.b.c` for `from a.b import c`, whether c is a module or something in one."""
    for node in _running(tree(file), at_the_top):
        if isinstance(node, ast.Import):
            yield from ((place(file, node), alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(file, node)
            yield from ((place(file, node), f"{origin}.{alias.name}") for alias in node.names)


def _origin(file: Path, node: ast.ImportFrom) -> str:
    """The absolute name of what stands after `from`."""
    if not node.level:
        return node.module or ""
    package = file.parents[node.level - 1].relative_to(ROOT).parts
    return ".".join([*package, *filter(None, [node.module])])


def _running(node: ast.AST, at_the_top: bool) -> Iterator[ast.AST]:
    """All nodes below this one that run: those in functions too, unless `at_the_top`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from _running(other, at_the_top)
        elif not (at_the_top and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield child
            yield from _running(child, at_the_top)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


@cache
def lazy_names(package: str) -> dict[str, str]:
    """Name → module of what a package's `__init__` only loads when it is asked for: `azureml_wrapper.RunWrapper`."""
    found = {}
    for node in ast.walk(tree(MODULES[package])):
        if _is_type_checking(node):
            for each in node.body:
                if isinstance(each, ast.ImportFrom) and each.module in MODULES:
                    found.update({alias.asname or alias.name: each.module for alias in each.names})
    return found


def target(name: str) -> str | None:
    """The module of the package that an import of this name loads in the end."""
    module = name
    while module and module not in MODULES:
        module = module.rpartition(".")[0]
    if not module:
        return None
    rest = name.removeprefix(f"{module}.").split(".")[0]
    is_package = MODULES[module].name == "__init__.py"
    return lazy_names(module).get(rest, module) if is_package and rest else module


def parents(module: str, of: str) -> set[str]:
    """The packages of a module, whose `__init__` runs before it; those that hold `of` are loaded already."""
    names = [module.rpartition(".")[0]]
    while names[-1]:
        names.append(names[-1].rpartition(".")[0])
    return {name for name in names if name and not f"{of}.".startswith(f"{name}.")}


@cache
def graph() -> dict[str, frozenset[str]]:
    """Module → the modules of the package that it imports."""
    return {module: frozenset(_targets(module)) for module in MODULES}


def _targets(module: str) -> set[str]:
    found = {target(name) for _, name in imports(MODULES[module])} - {None, module}
    return {each for one in found for each in (one, *parents(one, module))}


def cycles(edges: Mapping[str, Set[str]]) -> list[frozenset[str]]:
    """The strongly connected components of more than one module (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            position = stack.index(node)
            component = frozenset(stack[position:])
            del stack[position:]
            if len(component) > 1:
                found.append(component)

    for node in edges:
        if node not in order:
            visit(node)
    return found


def places(importer: str, imported: str) -> list[str]:
    """`file:line imports module`, for messages: where one module imports another, or a module below it."""
    lines = [line for line, name in imports(MODULES[importer]) if f"{target(name)}.".startswith(f"{imported}.")]
    return [f"{line} imports {imported}" for line in lines]
