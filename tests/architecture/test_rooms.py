"""Every room says what belongs there, every name means one thing, and docs/architecture.md shows them all."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from statistics import median

import pytest

from tests.architecture.imports import MODULES, ROOT_PACKAGE, graph
from tests.architecture.source import FILES, PACKAGE, ROOT, tree

# Lines of the median module. A thing that needs three modules of forty lines is one module.
LEAST_MEDIAN = 150
ROOMS = sorted(file.parent for file in PACKAGE.glob("*/__init__.py"))
# Rooms of the service, and the folders of its services, which have the same files each.
LOCAL_ROOMS = sorted(file.parent for file in PACKAGE.glob("local/*/__init__.py"))
DOCUMENT = ROOT / "docs" / "architecture.md"


def test_modules_are_no_fragments():
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in FILES if file.name != "__init__.py"]
    assert median(lines) >= LEAST_MEDIAN


def bases() -> dict[str, set[str]]:
    """Basename → the modules and rooms of the wrapper with it; those of the service stand by themselves."""
    found = defaultdict(set)
    for module in MODULES:
        if module != ROOT_PACKAGE and not f"{module}.".startswith(f"{ROOT_PACKAGE}.local."):
            found[module.rpartition(".")[2]].add(module)
    return found


def are_one_family(modules: set[str]) -> bool:
    """Whether these are a command (`cli/X.py`), its work (`cli/work/X.py`), and the room or module X that it uses."""
    cli = f"{ROOT_PACKAGE}.cli."
    commands = sorted((module for module in modules if module.startswith(cli)), key=len)
    others = modules - set(commands)
    own = [module for module in commands[1:] if module.startswith(f"{cli}work.") and module in graph()[commands[0]]]
    used = {module for each in commands for module in graph()[each]}
    return (
        len(commands) == 1 + len(own)
        and len(others) <= 1
        and all(any(f"{module}.".startswith(f"{other}.") for module in used) for other in others)
    )


def test_a_name_of_a_module_means_one_thing():
    twins = {name: sorted(each) for name, each in bases().items() if len(each) > 1 and not are_one_family(each)}
    assert twins == {}


@pytest.mark.parametrize("room", [*ROOMS, *LOCAL_ROOMS], ids=lambda room: str(room.relative_to(PACKAGE)))
def test_a_room_says_what_belongs_there_and_what_does_not(room):
    said = " ".join((ast.get_docstring(tree(room / "__init__.py")) or "").split())
    has_limits = re.search(r"\b(not|no|nothing|never|neither|only|elsewhere|belongs? (to|in))\b", said, re.IGNORECASE)
    is_told = len(re.findall(r"\.(?=\s|$)", said)) >= 2 and has_limits
    assert is_told, said


def shown_tree() -> str:
    """The tree in docs/architecture.md: what follows a line `azureml_wrapper/`, fenced or indented."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == "azureml_wrapper/"]
    if not starts:
        return ""
    tree_lines = []
    for line in lines[starts[0] + 1 :]:
        if not line.strip() or line.startswith("```"):
            break
        tree_lines.append(line)
    return "\n".join(tree_lines)


def blocks(text: str) -> dict[str, str]:
    """Room → what the tree shows between `room/` and the next room."""
    rooms = "|".join(room.name for room in ROOMS)
    parts = re.split(rf"(?<![\w/])({rooms})/", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def missing_in(text: str) -> list[str]:
    """The rooms and modules of the wrapper that a tree does not show in their place."""
    shown = blocks(text)
    missing = [f"{room.name}/" for room in ROOMS if room.name not in shown]
    for module, file in MODULES.items():
        room, *rest = file.relative_to(PACKAGE).parts
        place = shown.get(room, "") if rest else text
        is_shown = re.search(rf"\b{file.stem}\b", place)
        if file.name != "__init__.py" and room != "local" and not is_shown:
            missing.append(module)
    return missing


def test_the_document_shows_every_room_and_module_of_the_wrapper():
    assert not shown_tree() or missing_in(shown_tree()) == []


def test_a_module_in_the_wrong_room_is_missing_in_a_tree():
    text = "  run  script\n  jobs/  folder   runs/ failure · waiting\n"
    missing = missing_in(text)
    assert {"azureml_wrapper.jobs.states", "azureml_wrapper.errors", "cli/"} <= set(missing)
    assert not {"azureml_wrapper.jobs.folder", "azureml_wrapper.runs.failure", "azureml_wrapper.run", "jobs/"} & set(
        missing
    )


def test_the_document_names_no_file_that_does_not_exist():
    known = {path.name for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks") for path in folder.rglob("*.py")}
    if not shown_tree():
        return
    named = re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", DOCUMENT.read_text(encoding="utf-8"))
    assert [name for name in named if name not in known] == []
