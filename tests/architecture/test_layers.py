"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import FILES, PACKAGE, module_name, place, tree

LOCAL = "azureml_wrapper.local"
# Who starts the service and finds it: within functions, so that nobody pays for it who stays in Azure.
STARTING = {"azureml_wrapper/connection/local.py", "azureml_wrapper/testing.py", "azureml_wrapper/cli/local.py"}
# What `aml local` does; cli/local.py imports these within its commands.
COMMANDS = {"azureml_wrapper/cli/service.py", "azureml_wrapper/cli/programs.py"}

# From the outside in: each may import what stands after it, and itself.
LOCAL_LAYERS = (
    ("server",),
    ("app",),
    ("services", "studio", "executor", "scheduler"),
    ("http",),
    ("store",),
    ("tokens",),
    ("domain", "home"),
)
WRAPPER_LAYERS = ("cli", "wrapper", "config", "errors")


def imports(file: Path, *, at_the_top: bool = False) -> Iterator[tuple[str, str]]:
    """(place, module) of each import that is made when the program runs."""
    for node in _running(tree(file), at_the_top):
        if isinstance(node, ast.Import):
            yield from ((place(file, node), alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((place(file, node), f"{node.module}.{alias.name}") for alias in node.names)


def _running(node: ast.AST, at_the_top: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if at_the_top and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        yield child
        yield from _running(child, at_the_top)


def is_local(file: Path) -> bool:
    return file.is_relative_to(PACKAGE / "local")


LOCAL_FILES = [file for file in FILES if is_local(file)]
WRAPPER_FILES = [file for file in FILES if not is_local(file)]


def test_the_local_azure_ml_knows_neither_the_sdk_nor_the_wrapper():
    found = []
    for file in LOCAL_FILES:
        # What the public functions of the package start is the wrapper's connection; the launcher and
        # ParallelRunStep's driver run in a user's interpreter, beside the SDK.
        if file.name == "launcher.py" or "driver" in file.parts or file == PACKAGE / "local" / "__init__.py":
            continue
        for where, module in imports(file):
            if module.split(".")[0] == "azureml" or (
                module.startswith("azureml_wrapper.")
                and not f"{module}.".startswith(f"{LOCAL}.")
                and not module.startswith("azureml_wrapper.recurrence")
            ):
                found.append(f"{where} imports {module}")
    assert found == []


def _layer(module: str) -> int | None:
    part = module.removeprefix(f"{LOCAL}.").split(".")[0]
    return next((number for number, names in enumerate(LOCAL_LAYERS) if part in names), None)


def test_the_layers_of_the_local_azure_ml_point_inwards():
    found = []
    for file in LOCAL_FILES:
        own = _layer(module_name(file))
        if own is None:
            continue
        for where, module in imports(file):
            if module.startswith(f"{LOCAL}.") and (_layer(module) or len(LOCAL_LAYERS)) < own:
                found.append(f"{where} imports {module}")
    assert found == []


def test_services_know_neither_each_other_nor_the_executor():
    found = []
    for file in (PACKAGE / "local" / "services").rglob("*.py"):
        if file.parent.name == "services":
            continue
        own = f"{LOCAL}.services.{file.relative_to(PACKAGE / 'local' / 'services').parts[0]}"
        for where, module in imports(file):
            other = module.startswith(f"{LOCAL}.services.") and not f"{module}.".startswith(f"{own}.")
            if (other and not module.startswith(f"{LOCAL}.services.context")) or module.startswith(
                f"{LOCAL}.executor"
            ):
                found.append(f"{where} imports {module}")
    assert found == []


def test_the_wrapper_reaches_the_service_only_to_start_it():
    found = []
    for file in WRAPPER_FILES:
        name = file.relative_to(PACKAGE.parent).as_posix()
        if name in COMMANDS:
            continue
        for where, module in imports(file, at_the_top=name in STARTING):
            if f"{module}.".startswith(f"{LOCAL}."):
                found.append(f"{where} imports {module}")
    assert found == []


def _wrapper_layer(module: str) -> int:
    part = module.removeprefix("azureml_wrapper").strip(".").split(".")[0]
    # `python -m azureml_wrapper.cloud_executor` is a command line, too.
    named = {"cli": 0, "cloud_executor": 0, "config": 2, "errors": 3}
    return named.get(part, 1)


@pytest.mark.parametrize("file", WRAPPER_FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_layers_of_the_wrapper_point_inwards(file):
    own = _wrapper_layer(module_name(file))
    found = [
        f"{where} imports {module}"
        for where, module in imports(file)
        if module.startswith("azureml_wrapper.") and _wrapper_layer(module) < own
    ]
    assert found == []


def test_there_are_no_circles_between_modules():
    known = {module_name(file) for file in FILES}
    graph = {
        module_name(file): {
            name
            for _, module in imports(file, at_the_top=True)
            for name in (module, module.rpartition(".")[0])
            if name in known and name != module_name(file)
        }
        for file in FILES
    }
    # A package's names come after its __init__; importing a submodule is no circle.
    while free := {name for name, others in graph.items() if not others & graph.keys()}:
        graph = {name: others for name, others in graph.items() if name not in free}
    assert graph == {}
