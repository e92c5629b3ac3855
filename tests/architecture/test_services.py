"""Services look alike: who knows one, knows all."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import PACKAGE, tree

ROOM = PACKAGE / "local" / "services"
MOST_LINES = 250


def assigns_routes(file):
    return any(
        isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "ROUTES" for target in node.targets)
        for node in tree(file).body
    )


LARGE = sorted(path.parent for path in ROOM.glob("*/__init__.py"))
SMALL = sorted(path for path in ROOM.glob("*.py") if assigns_routes(path))
# What several services need.
SHARED = sorted(set(ROOM.glob("*.py")) - {*SMALL, ROOM / "__init__.py"})


def names(path):
    return path.stem


def test_the_services_are_found():
    assert len(LARGE) + len(SMALL) == 18
    assert SHARED


@pytest.mark.parametrize("service", [*LARGE, *SMALL], ids=names)
def test_a_service_says_what_it_serves(service):
    assert ast.get_docstring(tree(service if service in SMALL else service / "__init__.py"))


def lines(*files):
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


@pytest.mark.parametrize("service", LARGE, ids=names)
def test_a_folder_would_be_too_long_for_a_module(service):
    assert lines(*service.glob("*.py")) > MOST_LINES


@pytest.mark.parametrize("service", SMALL, ids=names)
def test_a_module_is_not_long(service):
    assert lines(service) <= MOST_LINES


@pytest.mark.parametrize("service", SMALL, ids=names)
def test_the_table_of_routes_ends_a_module(service):
    assert [node for node in tree(service).body if isinstance(node, ast.Assign)][-1] is tree(service).body[-1]


@pytest.mark.parametrize("service", LARGE, ids=names)
def test_the_table_of_routes_ends_the_handlers_unless_they_fill_several_files(service):
    if assigns_routes(service / "handlers.py"):
        assert not (service / "routes.py").exists()
        return
    imported = {
        alias.name
        for node in tree(service / "routes.py").body
        if isinstance(node, ast.ImportFrom) and node.module == f"azureml_wrapper.local.services.{service.name}"
        for alias in node.names
    }
    assert "handlers" in imported
    assert len(imported) > 1
