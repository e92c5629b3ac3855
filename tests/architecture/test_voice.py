"""What people read is plain English: none of the phrases that betray a translation.

Read are the strings, docstrings and comments of the package, its templates, the README, the docs and the examples.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.source import FILES, PACKAGE, ROOT, tree

# A phrase (a regular expression), and what to write instead.
PHRASES = {
    r"\b([Ii]s|are|was|were) no\b(?! longer)": "… is not a …, … not found, … must be …",
    r"\b[Tt]here (is|are) (none|nothing)\b": "none found, not set, no results",
    r"\bwhole numbers?\b": "integer",
    r"\b(a|the|no|must be|not|as) texts?\b|(?<!`)\btexts\b": "string",
    r"\b[Ss]o many\b|\b[Aa]s many\b": "the number of …",
    r"\b([Ss]ome|[Nn]o|[Aa]ny)body\b": "name who it is, or use the passive",
    r"\b[Ww]here (there|nothing|nobody|none|no|any)\b": "if there …",
    r"(`|\)|\bNone|\bTrue|\bFalse|\b[Ee]mpty|\belse|\bnone|\beven|\bunless|\b0) where\b": "if",
    r"\b[Ww]here (it|that|this|they|one) (is|are|was|were|has|have|had|does|did|can|cannot|may)\b": "if, when",
    r"\b[Ww]here (it|that|this|they|one) (fails|ends|differs|exists|asks|needs|names)\b": "if, when",
    r"\b(made|created|started|built|registered|taken|needed|kept|refused|raised|known) where\b": "if",
    r"\bsuch an? ": "this, like this",
    r"\bnothing of\b|\bof which nothing\b": "unknown, ignored, does not use …",
    r"\b[Aa]t the (least|most)\b": "at least, at most",
    r"\b[Bb]ut for\b": "except",
    r"\b([Cc]apital|[Ss]mall) letters?\b": "uppercase, lowercase",
    r"\b[Ll]et(s|ting)? (\w+ ){0,2}go\b": "start",
    r"\b[Ii]nstants?\b": "time",
    r"\b[Cc]ircles?\b": "cycle",
    r"\b(is|are) (not )?whole\b": "complete, incomplete",
    r"\b[Tt]ells? (of|what|how|whether|who|that)\b|\btold\b": "report, say, print, return",
    r"\b(is|are|was|were) (not )?there\b(?! (a|an|any|no|such)\b)": "exists, is missing",
    r"\b[Ll]eaves? with\b": "exits with",
    r"\bknows? (no|nothing|none|of)\b": "unknown",
    r"\bcan(not)? be had\b|\bfor ever\b|\bin vain\b|\b[Aa]new\b": "available, forever, for nothing, again",
    r"\bgives? no\b": "returned no …",
    r"\b(is|are) to (be|have|start|know|wait|run|end|stay|go|come|do|hold|keep|give)\b": "must, will",
    r"\bthat (cannot|may not) be\b": "invalid, impossible",
    r"\b(to|until|before|at) (its|their) end\b": "until it ends",
    r"\bgoe?s? with\b": "requires …=…",
    r"\bone (wants|wanted)\b": "you want",
    r"\b[Mm]ay be at most\b|\bno more than\b": "at most",
    r"\b(stand|stands|stood) (in|at|there|beside|below|above|before|after|on)\b": "is, is in",
    r"\bhalves of characters\b": "unpaired surrogates",
    r"\bin the place of\b|\bof no (use|kind|sort|matter)\b": "instead of, useless",
    r"\bwhatever (its|their|it|they|way)\b": "any, regardless of",
    r"\bcome (into being|near)\b|\bcome away\b|\bbrought? along\b|\bbring along\b": "exist, be similar, include",
    r"\ba A": "an A…",
}

Text = tuple[str, str]


@cache
def texts() -> list[Text]:
    """(place, text) of everything that is read, with its line breaks taken out."""
    return [(where, " ".join(text.split())) for where, text in _texts()]


def _texts() -> Iterator[Text]:
    for file in FILES:
        yield from _strings(file)
        yield from _comments(file)
    pages = [page for folder in ("docs", "examples") for page in (ROOT / folder).rglob("*.md")]
    templates = [*PACKAGE.glob("local/studio/templates/*"), *PACKAGE.glob("config/templates/**/*.txt")]
    for file in (ROOT / "README.md", ROOT / "CHANGELOG.md", *pages, *templates):
        if "fr" not in (*file.relative_to(ROOT).parts, *file.name.split(".")):
            name = str(file.relative_to(ROOT))
            yield from ((f"{name}:~{number}", text) for number, text in _paragraphs(file.read_text(encoding="utf-8")))


def _strings(file: Path) -> Iterator[Text]:
    """Docstrings and messages; what f-strings fill in is "{}"."""
    parts = set()
    for node in ast.walk(tree(file)):
        where = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield where, "".join(value.value if isinstance(value, ast.Constant) else "{}" for value in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in parts and " " in str(node.value):
            yield where, str(node.value)


def _comments(file: Path) -> Iterator[Text]:
    """Each run of comments as one text."""
    lines: list[str] = []
    start = end = 0
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != end + 1:
                yield f"{file.relative_to(ROOT)}:{start}", " ".join(lines)
                lines, start = [], token.start[0]
            lines.append(token.string.lstrip("# "))
            end = token.start[0]
    yield f"{file.relative_to(ROOT)}:{start}", " ".join(lines)


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    line = 1
    for paragraph in text.split("\n\n"):
        yield line, paragraph
        line += paragraph.count("\n") + 2


def found(phrase: str) -> list[str]:
    pattern = re.compile(phrase)
    return [
        f"{where}: …{text[max(0, match.start() - 40) : match.end() + 40]}…"
        for where, text in texts()
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("phrase", PHRASES)
def test_nothing_reads_like_a_translation(phrase):
    assert found(phrase) == [], f"Write: {PHRASES[phrase]}"


@pytest.mark.parametrize(
    "text",
    [
        "ws_name is no text",
        "There are none.",
        "`Invalid` where it cannot be read",
        "Show so many of the next instants.",
        "is a AutoMLStep",
    ],
)
def test_the_phrases_are_recognized(text):
    assert any(re.search(phrase, text) for phrase in PHRASES)
