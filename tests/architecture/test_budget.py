"""How large things may become. A budget that stands in the way of a better design is changed here, with a reason."""

from __future__ import annotations

import ast
import statistics
from functools import cache

import pytest

from tests.architecture.source import FILES, PACKAGE, ROOT, Function, functions, place, tree

MEDIAN, MOST, LONGEST = 7, 35, 60
FILE_LINES = 400
POSITIONAL = 5
PUBLIC_METHODS = 20

# Signatures that are promised as they are, with every parameter usable by position.
PROMISED = {
    "azureml_wrapper/step.py": {"__init__"},
    "azureml_wrapper/pipeline.py": {"__init__"},
}
# Where any error is caught and kept: the outermost handlers of the command line, of the service, of a user's script.
CATCH_ALL = {
    "azureml_wrapper/cli/main.py",
    "azureml_wrapper/local/background.py",
    "azureml_wrapper/local/executor/zygote.py",
    "azureml_wrapper/local/http/application.py",
    "azureml_wrapper/local/driver/azureml_user/parallel_run/master.py",
    "azureml_wrapper/local/driver/azureml_user/parallel_run/worker.py",
}


def length(function: Function) -> int:
    """Lines from `def` on, the docstring not counted."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        docstring = body[0]
        return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1)
    return function.end_lineno - function.lineno + 1


@cache
def lengths() -> dict[str, int]:
    return {place(file, function): length(function) for file in FILES for function in functions(file)}


def test_functions_are_short():
    assert statistics.median(lengths().values()) <= MEDIAN


def test_all_but_a_few_functions_fit_on_a_screen():
    ordered = sorted(lengths().values())
    assert ordered[int(len(ordered) * 0.95)] <= MOST


def test_no_function_is_long():
    assert {where: lines for where, lines in lengths().items() if lines > LONGEST} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_is_not_long(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


def positional(function: Function) -> int:
    given = [*function.args.posonlyargs, *function.args.args]
    return len([argument for argument in given if argument.arg not in ("self", "cls")])


def test_what_has_many_parameters_names_them():
    over = {
        place(file, function): positional(function)
        for file in FILES
        for function in functions(file)
        if positional(function) > POSITIONAL
        and function.name not in PROMISED.get(file.relative_to(ROOT).as_posix(), ())
    }
    assert over == {}


def test_a_class_is_not_a_heap():
    over = {}
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.ClassDef):
                methods = [each for each in node.body if isinstance(each, Function) and not each.name.startswith("_")]
                if len(methods) > PUBLIC_METHODS:
                    over[place(file, node)] = len(methods)
    assert over == {}


def test_every_function_says_its_types():
    untyped = [
        place(file, function)
        for file in FILES
        for function in functions(file)
        if (function.returns is None and function.name != "__init__")
        or any(
            argument.annotation is None
            for argument in [*function.args.args, *function.args.kwonlyargs]
            if argument.arg not in ("self", "cls")
        )
    ]
    assert untyped == []


def catches_all(node: ast.AST) -> bool:
    """`except Exception` and the like, where the error is not raised again."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    named = getattr(node.type, "id", None)
    raises = any(isinstance(each, ast.Raise) and each.exc is None for each in ast.walk(node))
    return (node.type is None or named in ("Exception", "BaseException")) and not raises


def test_only_the_outermost_handlers_catch_everything():
    found = {file.relative_to(ROOT).as_posix() for file in FILES if any(map(catches_all, ast.walk(tree(file))))}
    assert found <= CATCH_ALL
