"""Requirements files and conda files as people have them, turned into what an environment of Azure ML can carry.

An environment holds a conda file, and the list in its `pip` becomes a requirements file at the build
(azureml/core/conda_dependencies.py), so it can carry what a requirements file can, except files of this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin

from packaging.requirements import Requirement

from azureml_wrapper import pip_lines
from azureml_wrapper.config import parsing
from azureml_wrapper.errors import BadValue, ConfigNotFound, ConfigSyntax
from azureml_wrapper.pip_lines import PipLine

# What CondaDependencies takes (its `_VALID_YML_KEYS`).
_CONDA_KEYS = ("name", "channels", "dependencies", "prefix", "variables")
_PYTHON = re.compile(r"([^:\s]+::)?python\s*($|[=<>!~\s])", re.IGNORECASE)
# pip asks an index for packages; these say where else, or that it must not.
_INDEX_OPTIONS = ("--index-url", "--extra-index-url", "--no-index", "--find-links")


@dataclass(frozen=True)
class _Place:
    """Where lines are written: a file, or an argument; `lines` are its numbers, if they are not 1, 2, 3, …"""

    name: str
    folder: Path | None = None
    lines: Sequence[int] = ()

    def at(self, number: int) -> str:
        shown = self.lines[number - 1] if self.lines else number
        return f"{self.name}, line {shown}" if self.folder else self.name

    def refuse(self, line: PipLine, reason: str) -> NoReturn:
        raise BadValue(pip_lines.masked(f"{self.at(line.number)}: {line.text!r} {reason}"))


@dataclass(frozen=True)
class _Found:
    """A line and its place; `text` is what the environment gets."""

    line: PipLine
    place: _Place
    text: str


def read_requirements(file: Path | None, dependencies: Iterable[str] = ()) -> list[str]:
    """The lines that an environment's list of pip packages gets from a requirements file, and from an argument.

    Files that `-r` names are read, versions that `-c` names are added to the packages of the list, and variables are
    replaced.

    Raises:
        BadValue: With file and line: pip does not take it, or it names a file of this machine.
        ConfigNotFound: The file, or one that it names, does not exist.
    """
    found = [] if file is None else list(_read(existing(file), ()))
    given = _Place("dependencies")
    for text in dependencies:
        found += _lines(text, given, ())
    return _listed(found)


def read_conda(file: Path) -> dict[str, Any]:
    """The content of a conda file, whose pip lines are read as those of a requirements file beside it."""
    return conda_content(parsing.read_yaml(existing(file), file.read_bytes()), str(file))


def conda_content(document: parsing.Document, name: str) -> dict[str, Any]:
    """The content of a conda file, as `read_conda` returns it; without a file, its lines can name none beside it."""
    if (problem := _problem_of_conda(document.data)) is not None:
        path, message = problem
        line = document.line(path) if path else None
        raise BadValue(f"{name}{f', line {line}' if line else ''}: {message}")
    content = dict(document.data)
    texts: list[str] = []
    numbers: list[int] = []
    for index, entry in enumerate(content.get("dependencies") or []):
        for at, text in enumerate((entry.get("pip") or []) if isinstance(entry, Mapping) else []):
            lines = text.splitlines() or [""]
            texts += lines
            numbers += [document.line(("dependencies", index, "pip", at)) or 0] * len(lines)
    place = _Place(name, document.path.parent if document.path else None, numbers)
    above = (document.path.resolve(),) if document.path else ()
    return with_pip(content, _listed(list(_lines("\n".join(texts), place, above))))


def with_pip(content: Mapping[str, Any], pip: Sequence[str]) -> dict[str, Any]:
    """A conda file's content with another list of pip packages."""
    others = [entry for entry in content.get("dependencies") or [] if not isinstance(entry, Mapping)]
    return {**content, "dependencies": [*others, {"pip": [*pip]}] if pip else others}


def with_python(content: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """A conda file's content with another version of Python; unchanged if `version` is None."""
    entries = content.get("dependencies") or []
    others = [entry for entry in entries if isinstance(entry, Mapping) or not _PYTHON.match(entry)]
    return {**content, "dependencies": [f"python={version}", *others]} if version else dict(content)


def pip_of(content: Mapping[str, Any]) -> list[str]:
    """The pip packages of a conda file's content."""
    entries = [entry for entry in content.get("dependencies") or [] if isinstance(entry, Mapping)]
    return [str(line) for entry in entries for line in entry.get("pip") or []]


def check_hashes(lines: Sequence[str]) -> bool:
    """Whether a list has hashes; `BadValue` if only a part of it has them, because pip then installs nothing."""
    parsed = [line for text in lines for line in pip_lines.parse(text)]
    required = any("--require-hashes" in line.options for line in parsed)
    if not required and not any(line.hashed for line in parsed):
        return False
    if without := next((line for line in parsed if line.requirement and not line.hashed), None):
        raise BadValue(
            pip_lines.masked(
                f"{without.text!r} has no --hash, and others have: pip installs hashed packages only if all have "
                "one. Create the file with `pip-compile --generate-hashes`, or take the hashes out."
            )
        )
    return True


def names_an_index(lines: Iterable[str]) -> bool:
    """Whether a list says where pip looks for packages."""
    return any(line.startswith(_INDEX_OPTIONS) for line in options_of(lines))


def options_of(lines: Iterable[str]) -> list[str]:
    """The options of a list, one `--name value` each."""
    return [option for text in lines for line in pip_lines.parse(text) for option in line.options]


def names_of(lines: Iterable[str]) -> set[str]:
    """The names of a list's packages."""
    return {line.name for text in lines for line in pip_lines.parse(text)}


def existing(file: Path) -> Path:
    """A file that lists packages; `ConfigNotFound` if it does not exist."""
    if not file.is_file():
        raise ConfigNotFound(f"{file} does not exist. Pass a file that lists the packages of an environment.")
    return file


def _read(file: Path, above: tuple[Path, ...]) -> Iterator[_Found]:
    place = _Place(str(file), file.parent)
    try:
        text = pip_lines.decode(file.read_bytes())
    except ValueError as error:
        raise ConfigSyntax(f"{file}: {error}.") from error
    yield from _lines(text, place, (*above, file.resolve()))


def _lines(text: str, place: _Place, above: tuple[Path, ...]) -> Iterator[_Found]:
    try:
        lines = pip_lines.parse(pip_lines.expand(text, os.environ))
    except pip_lines.UnexpandedVariable as error:
        raise BadValue(f"{place.at(error.args[0])}: {error.args[1]}") from error
    for line in lines:
        if line.problem:
            place.refuse(line, f"is not a line that pip takes: {line.problem}.")
        if line.local:
            place.refuse(
                line,
                "names a file or folder of this machine, which Azure ML does not get. List the packages instead; "
                "Environment.add_private_pip_wheel uploads a wheel and returns its address.",
            )
        if line.files:
            yield from _included(line, place, above)
        elif line.requirement or line.options:
            yield _Found(line, place, line.text)


def _included(line: PipLine, place: _Place, above: tuple[Path, ...]) -> Iterator[_Found]:
    """The lines of the files that a line names; an address is left to the build, which can read it."""
    if line.options or len(line.files) > 1:
        place.refuse(line, "has several options. Write one per line.")
    [(option, name)] = line.files
    if name.lower().startswith(("http://", "https://")):
        yield _Found(line, place, f"{option} {name}")
        return
    if place.folder is None:
        place.refuse(line, "names a file or folder of this machine. Pass it as requirements=.")
    file = Path(urljoin("file:", name).removeprefix("file://") if name.startswith("file:") else place.folder / name)
    if not file.is_file():
        raise ConfigNotFound(f"{place.at(line.number)}: {file} does not exist.")
    if file.resolve() in above:
        place.refuse(line, "names a file that includes this one.")
    for found in _read(file, above):
        yield replace(found, text="") if option == "-c" else found


def _listed(found: Sequence[_Found]) -> list[str]:
    """An environment's lines. Constraints, whose `text` is empty, become conditions of the packages they limit."""
    listed = [each for each in found if each.text]
    for constraint in found:
        if not constraint.text and constraint.line.requirement:
            listed = _constrained(listed, constraint)
    return [each.text for each in listed]


def _constrained(listed: Sequence[_Found], constraint: _Found) -> list[_Found]:
    limit = constraint.line.parsed
    if limit is None or limit.url or limit.extras:
        constraint.place.refuse(constraint.line, "is not a constraint of a version, which is all that can be added.")
    same = [each for each in listed if each.line.name == constraint.line.name]
    if not same:
        constraint.place.refuse(
            constraint.line,
            "limits a package that is not in the list, and an environment has no constraints. Add the package to the "
            "list, or name the constraints by a web address (-c https://…), which the build reads.",
        )
    if limit.marker or any(each.line.parsed is None or each.line.parsed.url for each in same):
        return [*listed, _Found(constraint.line, constraint.place, constraint.line.text)]
    return [_limited(each, limit) if each in same else each for each in listed]


def _limited(found: _Found, limit: Requirement) -> _Found:
    """A package with another condition on its version, in place of what its line says before its options."""
    requirement = Requirement(found.line.requirement)
    requirement.specifier &= limit.specifier
    text = f"{requirement}{found.line.text[len(found.line.requirement) :]}"
    return replace(found, line=replace(found.line, requirement=str(requirement), text=text), text=text)


def _problem_of_conda(content: object) -> tuple[parsing.KeyPath, str] | None:
    """What is wrong with a conda file's content, and where."""
    if not isinstance(content, Mapping):
        what = "the file is empty" if content is None else "is not a conda file: must be a mapping"
        return (), f"{what}. Expected `dependencies:` and a list of packages."
    for key in content:
        if key not in _CONDA_KEYS:
            return (str(key),), f"unknown key {key!r}. A conda file has {', '.join(_CONDA_KEYS)}."
    if not isinstance(content.get("dependencies") or [], list):
        return ("dependencies",), "dependencies must be a list."
    for index, entry in enumerate(content.get("dependencies") or []):
        path: parsing.KeyPath = ("dependencies", index)
        if isinstance(entry, Mapping):
            if (problem := _problem_of_pip(entry)) is not None:
                return (*path, *problem[0]), problem[1]
        elif not isinstance(entry, str):
            return path, f"a package must be a string, got {entry!r}."
    return None


def _problem_of_pip(entry: Mapping[Any, Any]) -> tuple[parsing.KeyPath, str] | None:
    for key, lines in entry.items():
        if key != "pip":
            return (str(key),), f"unknown key {key!r}. Packages are strings; only `pip:` has a list of its own."
        if isinstance(lines, str):
            return ("pip",), f"pip must be a list, got the string {pip_lines.masked(lines)!r}. Put a dash before it."
        if not isinstance(lines or [], list):
            return ("pip",), "pip must be a list."
        for index, line in enumerate(lines or []):
            if not isinstance(line, str):
                return ("pip", index), f"a package must be a string, got {line!r}."
    return None
