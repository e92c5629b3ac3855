"""What users meet: every public callable has a docstring, and the library leaves standard output to its users."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator

import azureml_wrapper
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


def _public(nodes: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """Classes, functions and methods whose names say that they may be used from elsewhere."""
    for node in nodes:
        if isinstance(node, (ast.ClassDef, Function)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def test_every_public_callable_has_a_docstring():
    wrapper = [file for file in FILES if file.relative_to(PACKAGE).parts[0] != "local"]
    found = [
        f"{place(file, node)} {node.name}"
        for file in wrapper
        for node in _public(tree(file).body)
        if ast.get_docstring(node) is None
    ]
    assert found == []


def test_the_names_of_the_package_are_explained_argument_by_argument():
    """Args, Returns and Raises: what a reader of `help(PipelineWrapper.register)` looks for."""
    missing = []
    for owner, name, method in _methods_of_public_classes():
        text = inspect.getdoc(method) or ""
        named = set(re.findall(r"\w+", text.partition("Args:")[2]))
        parameters = [each for each in inspect.signature(method).parameters if each not in ("self", "cls")]
        missing += [f"{owner}.{name}: {each}" for each in parameters if each not in named]
    assert missing == []


def _methods_of_public_classes() -> Iterator[tuple[str, str, Callable[..., object]]]:
    for owner in azureml_wrapper.__all__:
        cls = getattr(azureml_wrapper, owner)
        if issubclass(cls, azureml_wrapper.WrapperError):
            continue
        for name, method in inspect.getmembers(cls, inspect.isroutine):
            if not name.startswith("_") and str(getattr(method, "__module__", None)).startswith("azureml_wrapper"):
                yield owner, name, method
