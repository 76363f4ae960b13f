"""Recipes for continuous integration as text: the shell steps of a workflow, the blocks of a page."""

from __future__ import annotations

import re
import textwrap

STEP = re.compile(r"^(?P<indent> +)- (?:name: (?P<name>.*)|uses: .*)$")
RUN = re.compile(r"^ +(?:- )?run: (?P<rest>.*)$")


def shell_steps(text: str) -> dict[str, str]:
    """Return the script of each named step of a workflow, in order."""
    steps, name, lines = {}, "", text.splitlines()
    for number, line in enumerate(lines):
        if found := STEP.match(line):
            name = found["name"] or ""
        if found := RUN.match(line):
            steps[name] = found["rest"] if found["rest"] != "|" else _below(lines, number)
    return steps


def blocks(text: str, *, language: str) -> list[str]:
    """Return what a Markdown page has in code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def listed(text: str, key: str) -> list[str]:
    """Return the items of a list in YAML, each on a line."""
    lines = text.splitlines()
    number = next(number for number, line in enumerate(lines) if line.strip() == f"{key}:")
    return [line.strip().removeprefix("- ") for line in _below(lines, number).splitlines()]


def _below(lines: list[str], number: int) -> str:
    """Return the lines that are further in than the one of a number."""
    depth = len(lines[number]) - len(lines[number].lstrip())
    taken = []
    for line in lines[number + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= depth:
            break
        taken.append(line)
    return textwrap.dedent("\n".join(taken)).strip() + "\n"
