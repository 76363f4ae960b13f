"""The page of commands is what the program declares, whole."""

from __future__ import annotations

import pytest
from typer.main import get_command

from attnbench.app import COMMANDS, make_app
from tests.evidence import command_reference
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def page():
    return command_reference.page()


def test_the_page_in_docs_is_what_the_program_says_today(page):
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page, (
        "write it again: python -m tests.evidence.command_reference --write docs/commands.md"
    )


def test_every_command_and_each_of_its_options_is_on_the_page(page):
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")[1:]}
    assert {f"attnbench {name}" for name in (*COMMANDS, "baseline save", "baseline list")} <= set(sections)
    for name, command in get_command(make_app()).commands.items():
        for option in command.params if name in COMMANDS else ():
            for way in option.opts if option.param_type_name == "option" else [option.name.upper()]:
                assert f"`{way}" in sections[f"attnbench {name}"], (name, way)


def test_defaults_and_what_must_be_given_are_shown_and_the_rest_is_empty(page):
    rows = dict.fromkeys(line for line in page.splitlines() if line.startswith("|"))
    assert "| `--seed SEED` | Seed of the inputs. | `0` |" in rows
    assert "| `--exponent EXPONENT` | The exponent that is claimed; 0 for a flat cost. | required |" in rows
    assert "| `--json` | Print one JSON document; the rest on standard error. |  |" in rows


def test_a_bar_in_a_sentence_does_not_end_its_cell():
    assert command_reference.cell("a | b\n c") == r"a \| b c"
