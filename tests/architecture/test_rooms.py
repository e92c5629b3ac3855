"""Every room says what belongs there, every name means one thing, and docs/architecture.md shows them all."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest

from tests.architecture.imports import MODULES, ROOT_PACKAGE, graph
from tests.architecture.source import FILES, PACKAGE, ROOT, tree

MOST_FILES = 300
ROOMS = sorted(file.parent for file in PACKAGE.glob("*/__init__.py"))
# Rooms of the service, and the folders of its services, which have the same files each.
LOCAL_ROOMS = sorted(file.parent for file in PACKAGE.glob("local/*/__init__.py"))
DOCUMENT = ROOT / "docs" / "architecture.md"

# Until MOST_FILES is reached.
KNOWN_FILES = 349


def test_the_package_has_few_files():
    assert len(FILES) <= max(MOST_FILES, KNOWN_FILES)


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


def blocks() -> dict[str, str]:
    """Room → its lines in the tree of docs/architecture.md, from `room/` to the next room. "" for the top."""
    text = DOCUMENT.read_text(encoding="utf-8")
    trees = [
        block for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) if block.startswith("azureml_wrapper/")
    ]
    found: dict[str, str] = defaultdict(str)
    room = ""
    for line in "".join(trees).splitlines()[1:]:
        if named := re.match(r"^ {2}(\w+)/", line):
            room = named[1]
        elif re.match(r"^ {2}\w", line):
            room = ""
        found[room] += f"{line}\n"
    return found


def test_the_document_shows_every_module_of_the_wrapper():
    shown = blocks()
    if not shown:
        return  # until the document has its tree
    missing = []
    for module, file in MODULES.items():
        room, *_ = file.relative_to(PACKAGE).parts
        name = module.rpartition(".")[2]
        if file.name == "__init__.py" or room == "local":
            continue
        if not re.search(rf"\b{name}\b", shown["" if room.endswith(".py") else room]):
            missing.append(module)
    assert missing == []
    assert {room.name for room in ROOMS} <= shown.keys()


def test_the_document_names_no_file_that_does_not_exist():
    known = {path.name for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks") for path in folder.rglob("*.py")}
    if not blocks():
        return
    named = re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", DOCUMENT.read_text(encoding="utf-8"))
    assert [name for name in named if name not in known] == []
