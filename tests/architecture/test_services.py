"""Services look alike: who knows one, knows all."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import PACKAGE, tree

SERVICES = sorted(path.parent for path in (PACKAGE / "local" / "services").glob("*/__init__.py"))


def assigns_routes(file):
    return any(
        isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "ROUTES" for target in node.targets)
        for node in tree(file).body
    )


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_says_what_it_serves(service):
    assert ast.get_docstring(tree(service / "__init__.py"))


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
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
