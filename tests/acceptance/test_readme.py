"""The READMEs: what they show runs, and both show the same."""

from __future__ import annotations

import ast
import re

import click
import pytest

from azureml_wrapper.cli.main import aml
from tests.acceptance.blocks import RUN, headings, read
from tests.acceptance.conftest import ROOT

ENGLISH, FRENCH = ROOT / "README.md", ROOT / "README.fr.md"


def test_both_languages_have_the_same_blocks():
    english, french = read(ENGLISH), read(FRENCH)
    assert len(english) > 10
    assert english == french


def test_both_languages_have_the_same_headings():
    assert headings(ENGLISH) == headings(FRENCH)


def test_both_languages_link_to_the_same_places():
    def targets(path):
        return set(re.findall(r"\]\(([^)]+)\)", path.read_text())) - {"README.md", "README.fr.md"}

    assert targets(ENGLISH) == targets(FRENCH)


@pytest.mark.parametrize("path", [ENGLISH, FRENCH], ids=["english", "french"])
def test_links_lead_to_files_that_exist(path):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", path.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def commands(group: click.Group, name: str):
    """The full name of every command below a group."""
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}"


@pytest.mark.parametrize("path", [ENGLISH, FRENCH], ids=["english", "french"])
def test_every_command_is_in_the_table(path):
    table = path.read_text()
    assert [command for command in commands(aml, "aml") if f"| `{command}" not in table] == []


def test_every_make_target_that_is_named_exists():
    named = set(re.findall(r"^make (\w+)", ENGLISH.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named == {"demo", "test", "check", "bench"}
    assert named <= targets


def lines_of_code(blocks):
    """Python blocks as one program, with blank lines between them so that a traceback names the block."""
    program = "\n\n".join(f"# block {place}\n{block.text}" for place, block in blocks)
    ast.parse(program)
    return program


@pytest.mark.slow
def test_what_the_readme_shows_runs(shell):
    """Files first, then the Python blocks as one program, then the commands, as a reader would go through it."""
    shell.extra["STORAGE_KEY"] = "bXkta2V5"
    blocks = read(ENGLISH)
    for block in blocks:
        if block.file:
            (shell.folder / block.file).write_text(block.text, encoding="utf-8")
    numbered = [(place, block) for place, block in enumerate(blocks) if block.language in RUN and not block.file]
    program = lines_of_code([(place, block) for place, block in numbered if block.language == "python"])
    # The reader has no config.json yet while typing the tutorial.
    later = (shell.folder / "config.json").read_text()
    (shell.folder / "config.json").unlink()
    output = shell.run("python", "-c", program).stdout
    assert "Completed" in output
    assert "{'rows': 6}" in output
    assert "'Gentoo_mass_g': 4883.3" in output
    assert list((shell.folder / "results").rglob("*.txt"))
    (shell.folder / "config.json").write_text(later)
    scripts = [block.text for _, block in numbered if block.language == "bash"]
    outputs = [shell.run("bash", "-euc", script).stdout for script in scripts]
    assert "--penguins penguins\n" in outputs[0]
    assert "nothing was run" in outputs[0]
    assert "{'accuracy': 0.93}" in outputs[1]
    assert "1 passed" in outputs[2]
    assert 'score = 0.6, with {"--lr": 0.3, "--loss": "wgan"}' in outputs[3]
    assert re.search(r"write Completed\n([\d:]{8} read \w+\n)*[\d:]{8} read Completed", outputs[4])
    assert "pipeline.yml" in outputs[5]
    assert "3 files: nothing found." in outputs[5]
