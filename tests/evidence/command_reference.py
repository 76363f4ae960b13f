"""The command line as a page: every command with its arguments, options and defaults, as the program declares them.

`python -m tests.evidence.command_reference` prints it; `--write FILE` writes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from typer.main import get_command

from attnbench.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Commands

Written by `python -m tests.evidence.command_reference --write docs/commands.md`; do not edit.
`attnbench COMMAND --help` says the same on a terminal. Exit codes are in [ci.md](ci.md).
"""


def commands(group, name: str) -> Iterator[tuple[str, object]]:
    """Yield each command by its words, those of groups of commands in their place."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def page() -> str:
    """Return the whole page as Markdown."""
    every = list(commands(get_command(make_app()), "attnbench"))
    index = [f"- [{name}](#{name.replace(' ', '-')}): {sentence(command)}" for name, command in every]
    return "\n".join([HEAD, *index, "", *(line for name, command in every for line in section(name, command))])


def sentence(command) -> str:
    return command.help.split("\n\n")[0].replace("\n", " ").strip()


def section(name: str, command) -> Iterator[str]:
    """Yield the lines of one command: what it does, its example, a row for each argument and option."""
    yield from (f"## {name}", "", sentence(command), "")
    examples = [line.strip() for line in command.help.splitlines() if line.strip().startswith("Example: ")]
    for example in examples:
        yield from ("```sh", example.removeprefix("Example: "), "```", "")
    yield from ("| option | meaning | default |", "|---|---|---|")
    for option in command.params:
        yield f"| {words(option)} | {cell(option.help)} | {default(option)} |"
    yield ""


def words(option) -> str:
    """Return how an option is typed, or an argument's name in capitals."""
    if option.param_type_name == "argument":
        many = "..." if option.nargs == -1 else ""
        return f"`{option.name.upper()}{many}`"
    value = "" if option.is_flag else f" {option.name.upper()}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def default(option) -> str:
    """Return what holds where an option is not given, nothing where that is nothing; "required" where it must be."""
    if option.required:
        return "required"
    is_nothing = option.default is None or option.default is False or option.default in {"", ()}
    return "" if is_nothing else f"`{option.default}`"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    target = parser.parse_args().write
    if target is None:
        print(page())  # noqa: T201
    else:
        target.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
