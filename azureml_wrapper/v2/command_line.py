"""The `command` of a job: a plain call of a script if possible, which SDK v1 runs best, else a line for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from azureml_wrapper.v2 import bindings
from azureml_wrapper.v2.bindings import Binding

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
    # Azure ML puts values in the place of `$name` in the arguments of scripts, whatever quotes stood around it.
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
    if set(first) & set("'\"\\") or bindings.whole(first) or "${{" in first:
        return "sh", f"-c {shlex.quote(line)}"
    return first, rest


def used(command: str) -> Iterator[Binding]:
    """Every binding of a command."""
    return bindings.within(command)


def _one_line(command: str) -> str:
    """Without the line breaks that a shell leaves out, too."""
    return re.sub(r"\\\r?\n[ \t]*", " ", command).strip()


def _marked(command: str) -> tuple[str, list[Binding]]:
    found: list[Binding] = []

    def mark(binding: Binding) -> str:
        found.append(binding)
        return f"{_BEGIN}{len(found) - 1}{_END}"

    return bindings.fill(command, mark), found


def _word(word: str, found: list[Binding]) -> Word:
    parts = _MARK.split(word)
    mixed = [found[int(part)] if place % 2 else part for place, part in enumerate(parts)]
    return tuple(part for part in mixed if part != "") or ("",)


def _needs_shell(text: str) -> bool:
    """Whether more than words and quotes is in a line; quotes that do not end are a shell's business, too."""
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\" and not quote:
            position += 1
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        elif character in (_IN_DOUBLE_QUOTES if quote else _SHELL):
            # Within double quotes, a backslash means what a shell says; shlex says nearly, but not quite, the same.
            return True
        position += 1
    return bool(quote)
