"""The `command` of a job: a plain call of a script if possible, which SDK v1 runs best, else a line for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from azureml_wrapper.v2 import references
from azureml_wrapper.v2.references import Binding

# Placeholders for bindings while words are split: private characters, which no command has.
_BEGIN, _END = "\ue000", "\ue001"
_MARK = re.compile(f"{_BEGIN}(\\d+){_END}")
_SHELL = set("|&;<>()$`*?[]#~!{}\n")
_IN_DOUBLE_QUOTES = set("$`\\")
_PYTHON = ("python", "python3")

Word = tuple[str | Binding, ...]


@dataclass(frozen=True)
class Script:
    """`python SCRIPT WORDS…`: a word consists of strings and bindings."""

    name: str
    words: tuple[Word, ...]


def as_script(command: str) -> Script | None:
    """Return the script that a command calls; None if it needs more of a shell than splitting words."""
    text, found = _marked(_one_line(command))
    # Azure ML replaces `$name` in the arguments of scripts, regardless of the quotes around it.
    if "$" in text or _needs_shell(text):
        return None
    words = [_word(word, found) for word in shlex.split(text)]
    names = [word[0] for word in words[:2] if len(word) == 1 and isinstance(word[0], str)]
    if len(names) < 2 or names[0] not in _PYTHON or not names[1].endswith(".py") or names[1].startswith("-"):
        return None
    return Script(names[1].removeprefix("./"), tuple(words[2:]))


def split_first(command: str) -> tuple[str, str]:
    """The first word, and the rest as it stands: for CommandStep, which would take quotes away from all of it."""
    line = _one_line(command)
    first, _, rest = line.partition(" ")
    if set(first) & set("'\"\\") or references.whole(first) or "${{" in first:
        return "sh", f"-c {shlex.quote(line)}"
    return first, rest


def used(command: str) -> Iterator[Binding]:
    """Every binding of a command."""
    return references.within(command)


def _one_line(command: str) -> str:
    """Without the line breaks that a shell leaves out, too."""
    return re.sub(r"\\\r?\n[ \t]*", " ", command).strip()


def _marked(command: str) -> tuple[str, list[Binding]]:
    found: list[Binding] = []

    def mark(binding: Binding) -> str:
        found.append(binding)
        return f"{_BEGIN}{len(found) - 1}{_END}"

    return references.fill(command, mark), found


def _word(word: str, found: list[Binding]) -> Word:
    parts = _MARK.split(word)
    mixed = [found[int(part)] if place % 2 else part for place, part in enumerate(parts)]
    return tuple(part for part in mixed if part != "") or ("",)


def _needs_shell(text: str) -> bool:
    """Whether a line has more than words and quotes; unclosed quotes are left to a shell, too."""
    for character, quote in scan(text):
        if not character:
            return bool(quote)
        # In double quotes, a backslash means what a shell says; shlex says nearly, but not quite, the same.
        if quote != "'" and character in (_IN_DOUBLE_QUOTES if quote else _SHELL):
            return True
    return False


def in_single_quotes(command: str) -> Iterator[Binding]:
    """Iterate over the bindings inside '…' of a shell command, where a shell does not expand variables."""
    found: list[Binding] = []

    def mark(binding: Binding) -> str:
        found.append(binding)
        return chr(ord(_BEGIN) + len(found) - 1)

    marked = references.fill(command, mark)
    marks = {chr(ord(_BEGIN) + number): binding for number, binding in enumerate(found)}
    return (marks[character] for character, quote in scan(marked) if quote == "'" and character in marks)


def scan(line: str) -> Iterator[tuple[str, str]]:
    """Each character of a shell's line with the quote around it; at the end, "" with the quote that is not closed.

    Quotes themselves and escaped characters are left out; so are backslashes, except in double quotes.
    """
    quote = ""
    characters = iter(line)
    for character in characters:
        if character == "\\" and quote != "'":
            if quote:
                yield character, quote
            next(characters, "")
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        else:
            yield character, quote
    yield "", quote
