"""Lines of requirements files as pip reads them, of the wrapper's files and of the service's environments.

pip-requirements-parser has pip's own rules, to which uv's differ: `-ihttps://…`, two options in one line, or
`--only-binary a,b` are only pip's.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pip_requirements_parser import (
    OPT_BY_OPTIONS_DEST,
    CommentLine,
    CommentRequirementLine,
    InvalidRequirementLine,
    OptionLine,
    RequirementsFile,
    auto_decode,
    preprocess,
)

_WEB = ("http", "https", "ftp", "git", "hg", "svn", "bzr")
# Up to the last "@" of the host's part: a password may contain others. `git` is the user of all repositories.
_LOGIN = re.compile(r"(?<=://)(?!git@)[^/\s'\"`]*@")
# A signature, or a token.
_QUERY = re.compile(r"(://[^\s?#'\"`]*\?)[^\s#'\"`]+")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# What most lines are. They mean the same to everyone, and the library takes a thousand times as long for them: it
# builds pip's option parser for each line. A name with a dot may be a file's.
_RELEASE = r"\d+(?:\.\d+)*"
_PLAIN = re.compile(
    rf"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:(?:==|!=|>=|<=|>|<){_RELEASE}(?:,(?:!=|>=|<=|>|<){_RELEASE})*)?"
)
# Options that pip reads for the file that has them: their values are in `files`.
_FILES = ("requirements", "constraints")
_PLACES = ("index_url", "extra_index_urls", "find_links")


@dataclass(frozen=True, kw_only=True)
class PipLine:
    """One line, without its comment, joined with the lines that continue it.

    Args:
        number: The first line's, from 1.
        requirement: The requirement without its options and without `-e`; empty for a line of options.
        options: Options for the whole list, one `--name value` each, without those in `files`.
        files: What it includes: (`-r` or `-c`, a path or an address).
        hashed: Whether pip compares what it installs with a hash.
        local: A file or folder of this machine that it names, or empty.
        problem: Why pip does not take the line; empty if it does.
    """

    number: int
    text: str
    requirement: str = ""
    editable: bool = False
    options: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    hashed: bool = False
    local: str = ""
    problem: str = ""

    @property
    def parsed(self) -> Requirement | None:
        """The requirement, or None if it is a plain address, from which only pip learns its name."""
        try:
            return Requirement(self.requirement)
        except ValueError:
            return None

    @property
    def name(self) -> str:
        """The canonical name of the package, empty if it is not known."""
        return canonicalize_name(self.parsed.name) if self.parsed else ""


def decode(content: bytes) -> str:
    """The text of a requirements file: by its byte order mark or its `# coding:` line; otherwise UTF-8.

    Raises:
        ValueError: It is in no such encoding.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    try:
        return str(auto_decode(content))
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError("its encoding is not known; save it as UTF-8") from error


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[PipLine, ...]:
    """The lines of a requirements file's text, without those that are empty or comments."""
    lines, others = _split(text)
    if any(others):
        lines |= _parse("\n".join(others))
    return tuple(lines[number] for number in sorted(lines))


def count_costly(text: str) -> int:
    """How many lines take `parse` a millisecond or two each."""
    others = _split(text)[1]
    return sum(bool(line) and not before.endswith("\\") for before, line in itertools.pairwise(["", *others]))


def _split(text: str) -> tuple[dict[int, PipLine], list[str]]:
    """The plain lines by their numbers, and all lines with empty ones in their place."""
    every = text.removeprefix("\ufeff").splitlines()
    plain = {
        number: PipLine(number=number, text=line, requirement=line)
        for number, (before, line) in enumerate(itertools.pairwise(["", *every]), start=1)
        if _PLAIN.fullmatch(line) and not before.endswith("\\")
    }
    return plain, ["" if number in plain else line for number, line in enumerate(every, start=1)]


def _parse(text: str) -> dict[int, PipLine]:
    """The lines by their numbers, as the library reads them."""
    lines: dict[int, PipLine] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        # The library reads files only; the mark says how.
        file.write_text(text, encoding="utf-8-sig")
        for parsed in RequirementsFile.parse(str(file)):
            if not isinstance(parsed, CommentRequirementLine):
                number = parsed.requirement_line.line_number
                # What is wrong with a line of options comes after the line.
                if number not in lines or isinstance(parsed, InvalidRequirementLine):
                    lines[number] = _line(parsed)
    return lines


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each `${NAME}` outside of comments, as pip does, and keep the numbers of the lines.

    Raises:
        UnexpandedVariable: The variable is not set, or is part of an address's login.
    """
    lines: dict[int, str] = {}
    for found in preprocess(text.removeprefix("\ufeff")):
        if not isinstance(found, CommentLine):
            lines[found.line_number] = _expand(found.line_number, found.line, variables)
    return "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))


class UnexpandedVariable(ValueError):
    """An unset or secret variable; `args` are the line's number and the reason."""


def _expand(number: int, line: str, variables: Mapping[str, str]) -> str:
    for login in _LOGIN.finditer(line):
        if secret := _VARIABLE.search(login[0]):
            raise UnexpandedVariable(
                number,
                f"{secret[0]} is part of an address's login. Everyone who can read the workspace would see its value "
                "in the environment. Store the login as a connection of the workspace instead: Workspace."
                "set_connection(…, category='PythonFeed').",
            )
    if unset := next((name for name in _VARIABLE.findall(line) if not variables.get(name)), None):
        raise UnexpandedVariable(number, f"the variable {unset} is not set. Set it, or write its value.")
    return _VARIABLE.sub(lambda found: variables[found[1]], line)


def masked(text: str) -> str:
    """Text without the logins and the signatures of the addresses in it."""
    return _QUERY.sub(r"\1****", _LOGIN.sub("****@", text))


def _line(parsed: Any) -> PipLine:
    line = parsed.requirement_line
    known: dict[str, Any] = {"number": line.line_number, "text": re.sub(r"\s+", " ", line.line)}
    if isinstance(parsed, InvalidRequirementLine):
        return PipLine(**known, problem=_reason(parsed.error_message))
    if isinstance(parsed, OptionLine):
        return _options(known, parsed.options)
    link = parsed.link
    return PipLine(
        **known,
        requirement=_without_options(known["text"]),
        editable=parsed.is_editable,
        hashed=bool(parsed.hash_options or (link and link.hash_name)),
        local=str(link.url) if link and not _is_web(link.url) else "",
    )


def _reason(message: str) -> str:
    """The first sentence of the library's message, without its name and the line itself."""
    return message.splitlines()[0].removeprefix("pip_requirements_parser: error: ").rstrip(":. ")


def _without_options(text: str) -> str:
    if text.startswith("-"):
        # `-e ADDRESS` and `--editable=ADDRESS`.
        return re.sub(r"^(-e|--editable)[\s=]*", "", text)
    return re.split(r"\s--?[a-z]", text)[0]


def _options(known: Mapping[str, Any], options: Mapping[str, Any]) -> PipLine:
    files = [(f"-{name[0]}", str(path)) for name in _FILES for path in options.get(name, ())]
    others = {name: value for name, value in options.items() if name not in _FILES}
    places = [place for name in _PLACES for place in _values(others.get(name))]
    return PipLine(
        **known,
        options=tuple(_named(others)),
        files=tuple(files),
        local=next((place for place in places if not _is_web(place)), ""),
        problem="" if options else "it has no option that pip knows",
    )


def _named(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        option = OPT_BY_OPTIONS_DEST[name]
        if value is True:
            yield option
        else:
            yield from (f"{option} {one}" for one in _values(value))


def _values(value: Any) -> list[str]:
    """The values of an option; those of `--no-binary` are separated by commas."""
    found = [value] if isinstance(value, str) else [*(value or ())]
    return [one for each in found for one in (each.split(",") if "://" not in each else [each])]


def _is_web(address: str) -> bool:
    """Whether an address is not of this machine."""
    scheme = urlsplit(address).scheme.lower()
    return scheme.split("+")[0] in _WEB and not scheme.endswith("+file")
