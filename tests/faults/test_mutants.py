"""The list of mutations stays true: each changes one place of today's source, and names tests that are there."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.faults.mutants import PACKAGE, ROOT, Mutation
from tests.faults.mutations import MUTATIONS


@cache
def functions(file: str) -> set[str]:
    """The functions of a module of tests: "name", or "Class::name"."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return own | {f"{each.name}::{node.name}" for each in classes for node in each.body if hasattr(node, "name")}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_of_the_source(mutation):
    source = (ROOT / PACKAGE / mutation.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutation.applied(source))) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_has_tests_that_are_there(mutation):
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert name.partition("[")[0] in functions(file), test


def test_every_mutation_has_a_name_of_its_own():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_place_that_is_gone_or_there_twice_is_told():
    for source, count in (("b", 0), ("aa", 2)):
        with pytest.raises(ValueError, match=f"'a' occurs {count} times in x.py; expected once"):
            Mutation("any", "x.py", "a", "c", ()).applied(source)
