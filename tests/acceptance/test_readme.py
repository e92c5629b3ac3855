"""The README and the pages of docs/: what they show runs, and both languages show the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

import azureml_wrapper
from azureml_wrapper.cli.main import aml
from tests.acceptance import player
from tests.acceptance.blocks import Block, anchors, headings, links, prose, read
from tests.acceptance.conftest import ROOT

DOCS, FRENCH_DOCS = ROOT / "docs", ROOT / "docs" / "fr"
README, FRENCH_README = ROOT / "README.md", ROOT / "README.fr.md"
FRENCH = [FRENCH_README, *sorted(FRENCH_DOCS.glob("*.md"))]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("examples/**/README.md"))]
PAGES = [README, *sorted(DOCS.glob("*.md")), *FRENCH, *OTHERS]
# These continue the tutorial, in its folder.
CONTINUED = ("pipelines", "publishing", "distributed", "migration", "cli")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def english_of(french: Path) -> Path:
    return README if french == FRENCH_README else DOCS / french.name


both_languages = pytest.mark.parametrize("french", FRENCH, ids=name_of)
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@both_languages
def test_both_languages_have_the_same_blocks(french):
    english = [block.without_comments() for block in read(english_of(french))]
    assert [block.without_comments() for block in read(french)] == english


@both_languages
def test_the_comments_of_the_blocks_are_translated(french):
    def comments(path):
        return {comment for block in read(path) for comment in block.comments}

    assert comments(french) & comments(english_of(french)) == set()


@both_languages
def test_both_languages_have_the_same_headings(french):
    assert headings(french) == headings(english_of(french))


@both_languages
def test_both_languages_link_to_the_same_pages(french):
    def targets(path):
        pages = {(path.parent / link.partition("#")[0]).resolve() for link in links(path)}
        return {english_of(page) if page in FRENCH else page for page in pages} - {README}

    assert targets(french) == targets(english_of(french))


# What the French pages do not say -> their one term for it.
TERMS = {
    r"clusters?(?! de calcul)|grappes?|computes?": "cluster de calcul",
    r"datasets?": "jeu de données",
    r"datastores?|magasins?(?! de données)": "magasin de données",
    r"jobs?|travaux": "tâche",
    r"workspaces?": "espace de travail",
    r"schedules?|plannings?": "planification",
    r"runs?|logs?|steps?": "exécution, journal, étape",
    r"config|configs": "configuration",
    r"nuage": "cloud",
}


@both_languages
@pytest.mark.parametrize("words", TERMS)
def test_the_french_pages_have_one_term_for_a_thing(french, words):
    text = " ".join(re.sub(r"`[^`\n]*`|\]\([^)]*\)|«[^»]*»", "", prose(french)).split())
    found = [
        text[max(0, match.start() - 30) : match.end() + 20]
        for match in re.finditer(rf"(?<![/\w])({words})\b(?!\.\w)", text)
    ]
    assert found == [], TERMS[words]


@pytest.mark.parametrize("page", [README, FRENCH_README], ids=name_of)
def test_the_front_page_is_short(page):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 200


@each_page
def test_links_lead_somewhere(page):
    missing = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("front", [README, FRENCH_README], ids=name_of)
def test_every_page_can_be_reached_from_the_front_page(front):
    reached: set[Path] = set()
    waiting = [front]
    while waiting:
        page = waiting.pop()
        found = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        new = {file for file in found if file.suffix == ".md"} - reached
        reached |= new
        waiting += sorted(new)
    assert set(PAGES) - reached == set()


def commands(group: click.Group, name: str):
    """Full name -> command, of every command below a group."""
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")
        yield f"{name} {part}", command


def table_of_commands(page: Path) -> dict[str, str]:
    """The words of a command in the table (`aml run CONFIG -e EXPERIMENT`) -> its line."""
    rows = re.findall(r"^\| `(aml [^`]+)` \| (.*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


TABLES = pytest.mark.parametrize("page", [DOCS / "cli.md", FRENCH_DOCS / "cli.md"], ids=name_of)


@TABLES
def test_every_command_is_in_the_table(page):
    shown = [re.match(r"aml( [a-z]+)+", words)[0] for words in table_of_commands(page)]
    groups = {name.rpartition(" ")[0] for name, _ in commands(aml, "aml")} - {"aml schedules"}
    assert sorted(shown) == sorted(name for name, _ in commands(aml, "aml") if name not in groups)


@TABLES
def test_every_option_of_the_table_exists(page):
    known = dict(commands(aml, "aml"))
    for words, line in table_of_commands(page).items():
        name = re.match(r"aml( [a-z]+)+", words)[0]
        options = {option for parameter in known[name].params for option in parameter.opts}
        named = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", f"{words} {line}".replace("docker logs -f", "")))
        assert named - options == set(), name


def test_every_make_target_that_is_named_exists():
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named <= targets


def test_every_module_that_the_assumptions_name_exists():
    package = ROOT / "azureml_wrapper"
    rows = re.findall(r"^\| .+ \| .+ \| (`.+`) \|$", (DOCS / "assumptions.md").read_text("utf-8"), re.MULTILINE)
    named = {path for row in rows for path in re.findall(r"`([^`]+)`", row)}
    assert len(named) > 30
    assert sorted(path for path in named if not (package / path).exists()) == []


def test_every_key_of_a_config_is_explained():
    text = (DOCS / "configs.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", text))
    for kind in ("workspace", "pipeline", "step", "job"):
        schema = json.loads((ROOT / "azureml_wrapper" / "config" / "schemas" / f"{kind}.json").read_text("utf-8"))
        models = [schema, *schema.get("$defs", {}).values()]
        keys = {key for model in models for key in model.get("properties", {})} - {"$schema"}
        assert keys - explained == set(), kind


def test_every_class_that_users_import_is_in_a_page():
    text = "".join(page.read_text(encoding="utf-8") for page in [README, *DOCS.glob("*.md")])
    assert [name for name in azureml_wrapper.__all__ if not re.search(rf"\b{name}\b", text)] == []


def play(shell, page: Path) -> list[str]:
    """What each block of a page that runs has printed, in order."""
    blocks = read(page)
    file = shell.folder.parent / f"{page.stem}.json"
    file.write_text(json.dumps([(block.language, block.text, block.file) for block in blocks]), encoding="utf-8")
    source = Path(player.__file__).read_text(encoding="utf-8")
    printed = shell.run("python", "-c", source, str(file)).stdout.split(player.MARK)[1:]
    outputs = [output.partition("\n")[2] for output in printed]
    assert len(outputs) == sum(block.runs for block in blocks)
    return outputs


@pytest.mark.slow(15)
def test_the_readme_runs(shell):
    python, command = play(shell, README)
    assert "Completed {'Adelie_mass_g': 3500.0, 'Chinstrap_mass_g': 3500.0, 'Gentoo_mass_g': 5100.0}" in python
    assert "weigh" in command
    assert "reused" in command


@pytest.mark.slow(30)
def test_the_tutorial_and_the_pages_that_continue_it_run(shell):
    shell.extra["STORAGE_KEY"] = "bXkta2V5"
    output = "".join(play(shell, DOCS / "tutorial.md"))
    assert "Completed" in output
    assert "{'rows': 6}" in output
    assert "'Gentoo_mass_g': 4883.3" in output
    assert list((shell.folder / "results").rglob("*.txt"))

    _, again, command = play(shell, DOCS / "pipelines.md")
    assert re.search(r"^[0-9a-f-]{36} \{'rows': 6\}$", again, re.MULTILINE)
    assert re.search(r"prepare +Completed", command)

    [published] = play(shell, DOCS / "publishing.md")
    assert re.search(r"^1 https?://", published, re.MULTILINE)
    assert published.rstrip().endswith("Completed") or "\nCompleted\n" in published

    [ranks] = play(shell, DOCS / "distributed.md")
    assert str([f"user_logs/std_log_process_{rank}.txt" for rank in range(4)]) in ranks

    [exported] = play(shell, DOCS / "migration.md")
    assert "pipeline.yml" in exported
    assert "3 files: nothing found." in exported

    [commands] = play(shell, DOCS / "cli.md")
    assert "--penguins penguins --output-folder output_folder\n" in commands
    assert "nothing was run" in commands


@pytest.mark.slow
def test_programs_for_the_sdk_run(shared):
    assert "{'accuracy': 0.93}" in play(shared, DOCS / "sdk-programs.md")[0]


@pytest.mark.slow
def test_programs_for_sdk_v2_connect(shared):
    assert play(shared, DOCS / "sdk-v2.md")[0].endswith("['cpu']\n")


@pytest.mark.slow
def test_other_tools_open_the_storage(shared):
    assert play(shared, DOCS / "storage.md") == ["5100\n", "['mass.csv', 'notes.txt']\n", "b'weighed in June'\n"]


@pytest.mark.slow
def test_the_example_of_a_test_passes(shell):
    assert "1 passed" in play(shell, DOCS / "testing.md")[0]


@pytest.mark.slow(15)
def test_files_of_az_ml_run(shell):
    assert 'score = 0.6, with {"--lr": 0.3, "--loss": "wgan"}' in play(shell, DOCS / "az-ml.md")[0]


@pytest.mark.slow
def test_pipeline_configuration_files_run(shared):
    command, python = play(shared, DOCS / "pipeline-files.md")
    assert re.search(r"write Completed\n([\d:]{8} read \w+\n)*[\d:]{8} read Completed", command)
    # What the SDK prints when it submits comes before.
    assert python.endswith("\nCompleted\n")


def test_no_page_with_blocks_that_run_is_forgotten():
    played = {"README.md", "docs/tutorial.md", *(f"docs/{name}.md" for name in CONTINUED)}
    played |= {
        f"docs/{name}.md" for name in ("sdk-programs", "sdk-v2", "storage", "testing", "az-ml", "pipeline-files")
    }
    english = [README, *DOCS.glob("*.md")]
    assert {name_of(page) for page in english if any(map(is_played, read(page)))} == played


def is_played(block: Block) -> bool:
    return block.runs or block.file is not None
