"""Every command that a page shows is one that there is: of attnbench with its options, of nox, of the evidence."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.main import get_command

from attnbench.app import make_app
from tests.support.places import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md", "examples/README.md", "examples/plugin/README.md")
SHOWN = [*PAGES, *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
START = re.compile(r"(?:\w+=\S+ )*(?:python3? -m |\.venv/bin/)?attnbench (?=[a-z-])")
NOX = re.compile(r"nox (?:--no-venv )?-s ([a-z][a-z-]*(?: [a-z][a-z-]*)*)")
PROGRAM = re.compile(r"python -m (tests\.[\w.]+)")


def commands(text):
    """The command lines of attnbench in a page: lines of its blocks, and spans of code."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"(?:^ {4}.*\n?)+", text, re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = [START.sub("", line, count=1) for line in [*lines, *spans] if START.match(line)]
    return list(dict.fromkeys(found))


def mistake(command):
    """What the program says against the words of a command, without running it; nothing if it takes them."""
    group, words = get_command(make_app()), shlex.split(command, comments=True)
    name = "attnbench"
    while hasattr(group, "commands"):
        if words[:1] and words[0].startswith("-"):
            return ""
        if not words or words[0] not in group.commands:
            return f"no command {words[:1]}"
        name, group = f"{name} {words[0]}", group.commands[words.pop(0)]
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    known = {way for option in group.params for way in option.opts} | {"--help", "-h"}
    unknown = [word for word in given if word not in known]
    return f"{name} has no {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", SHOWN)
def test_the_commands_of_a_page_are_commands_of_the_program(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    wrong = {command: said for command in commands(text) if (said := mistake(command))}
    assert not wrong


def test_the_pages_show_most_commands():
    every = [command.split()[0] for page in SHOWN for command in commands((ROOT / page).read_text(encoding="utf-8"))]
    assert set(get_command(make_app()).commands) <= set(every)


def test_a_command_or_an_option_that_is_not_there_is_found():
    lines = (
        "```sh",
        "THREADS=1 attnbench rnu --fast",
        "python -m attnbench run --fats",
        "attnbench list --json",
        "```",
    )
    text = "\n".join([*lines, "`attnbench baseline drop`"])
    assert [mistake(command) for command in commands(text)] == [
        "no command ['rnu']",
        "attnbench run has no --fats",
        "",
        "no command ['drop']",
    ]


@pytest.mark.parametrize("page", SHOWN)
def test_the_sessions_and_programs_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = {name.replace("_", "-") for name in re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE)}
    assert {"dev", "fuzz-runs", "pytest-bench"} <= sessions
    assert {name for names in NOX.findall(text) for name in names.split()} <= sessions
    for program in PROGRAM.findall(text):
        place = ROOT.joinpath(*program.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), program
