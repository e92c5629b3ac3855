"""Who may import whom, read from the source."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.imports import MODULES, ROOT_PACKAGE, cycles, graph, imports, places
from tests.architecture.source import FILES, PACKAGE, module_name
from tests.architecture.test_services import ROOM as SERVICES_ROOM
from tests.architecture.test_services import SHARED as SHARED_BY_SERVICES

LOCAL = "azureml_wrapper.local"
# These start the service and find it: within functions, so that users of Azure do not pay for it.
STARTING = {
    "azureml_wrapper/connection/local.py",
    "azureml_wrapper/connection/local_api.py",
    "azureml_wrapper/connection/ml_client.py",
    "azureml_wrapper/testing.py",
}
# What `aml local` does.
COMMANDS = {"azureml_wrapper/cli/work/local.py", "azureml_wrapper/cli/work/programs.py"}

# From the outside in: each may import what stands after it, and itself.
LOCAL_LAYERS = (
    ("server",),
    ("app",),
    ("services", "studio", "executor", "scheduler"),
    ("http",),
    ("store",),
    ("tokens",),
    ("background", "domain", "faultpoints", "home"),
)
# The same for the wrapper. What stands side by side may import each other, but no two modules do.
WRAPPER_FLOORS = (
    ("cli", "cloud_executor", "testing"),
    ("projects",),
    ("job", "jobs"),
    ("pipeline", "step", "train_pipeline"),
    ("v2",),
    ("publishing", "run", "runs"),
    ("workspace",),
    ("pipelines", "transfer"),
    ("pipeline_files", "snapshots"),
    ("connection", "script"),
    ("assets",),
    ("config",),
    ("file_lock", "file_paths", "messages", "network", "pip_lines", "recurrence", "signatures"),
    ("errors",),
)
# What the service and the wrapper share: it imports neither.
LEAVES = {"network", "pip_lines", "recurrence", "signatures"}


def is_local(file: Path) -> bool:
    return file.is_relative_to(PACKAGE / "local")


LOCAL_FILES = [file for file in FILES if is_local(file)]
WRAPPER_FILES = [file for file in FILES if not is_local(file)]


def test_the_local_azure_ml_knows_neither_the_sdk_nor_the_wrapper():
    found = []
    for file in LOCAL_FILES:
        # The launcher and ParallelRunStep's driver run in a user's interpreter, beside the SDK.
        if file.name == "launcher.py" or "driver" in file.parts:
            continue
        for where, module in imports(file):
            if module.split(".")[0] == "azureml" or (
                module.startswith("azureml_wrapper.")
                and not f"{module}.".startswith(f"{LOCAL}.")
                and module.split(".")[1] not in LEAVES
            ):
                found.append(f"{where} imports {module}")
    assert found == []


def test_a_shared_leaf_imports_nothing_of_ours():
    files = [PACKAGE / f"{name}.py" for name in LEAVES]
    assert [module for file in files for _, module in imports(file) if module.startswith("azureml_wrapper")] == []


def test_the_domain_imports_the_domain_only():
    found = [
        f"{where} imports {module}"
        for file in (PACKAGE / "local" / "domain").glob("*.py")
        for where, module in imports(file)
        if module.startswith("azureml_wrapper") and not module.startswith(f"{LOCAL}.domain.")
    ]
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
    for file in SERVICES_ROOM.rglob("*.py"):
        if file in SHARED_BY_SERVICES:
            continue
        own = f"{LOCAL}.services.{file.relative_to(SERVICES_ROOM).with_suffix('').parts[0]}"
        for where, module in imports(file):
            other = module.startswith(f"{LOCAL}.services.") and not f"{module}.".startswith(f"{own}.")
            is_shared = any(f"{module}.".startswith(f"{module_name(each)}.") for each in SHARED_BY_SERVICES)
            if (other and not is_shared) or module.startswith(f"{LOCAL}.executor"):
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


def floor(module: str) -> int:
    """The number of the wrapper's floor on which a module stands, 0 at the top."""
    part = room(module)
    return next(number for number, names in enumerate(WRAPPER_FLOORS) if part in names)


def room(module: str) -> str:
    """What stands directly below the package: a room, or a module at the top of the package."""
    return module.removeprefix("azureml_wrapper").strip(".").split(".")[0]


WRAPPER_MODULES = [module for module, file in MODULES.items() if not is_local(file) and module != ROOT_PACKAGE]


def test_every_room_of_the_wrapper_has_a_floor():
    rooms = {room(module) for module in WRAPPER_MODULES}
    listed = [name for names in WRAPPER_FLOORS for name in names]
    assert rooms == set(listed), "Give each room, and each module at the top, a place in WRAPPER_FLOORS."
    assert len(listed) == len(set(listed))


def test_the_floors_of_the_wrapper_point_downwards():
    climbs = {
        (module, room(other))
        for module in WRAPPER_MODULES
        for other in graph()[module]
        if not is_local(MODULES[other]) and other != ROOT_PACKAGE and floor(other) < floor(module)
    }
    found = [place for module, to in sorted(climbs) for place in places(module, f"{ROOT_PACKAGE}.{to}")]
    assert found == [], "Imports go down only; see WRAPPER_FLOORS."


def test_no_modules_import_each_other_in_a_cycle():
    """Imports inside functions count; only those for types do not."""
    assert [
        place
        for cycle in cycles(graph())
        for module in sorted(cycle)
        for other in sorted(graph()[module] & cycle)
        for place in places(module, other)
    ] == []


def test_cycles_are_found_in_any_graph():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d", "f"}, "f": set(), "g": {"f"}}
    assert set(cycles(edges)) == {frozenset("abc"), frozenset("de")}
    assert cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []
