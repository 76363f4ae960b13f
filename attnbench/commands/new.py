"""`attnbench new`: a kernel file to begin with, right as it stands."""

from __future__ import annotations

import keyword
import re
import shlex
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from attnbench.console import fail, say, say_json
from attnbench.options import Telling, grouped

TEMPLATE = Path(__file__).with_name("new_kernel.txt")
# What a file's text, a shell and a label hold without quotes.
PLAIN_NAME = re.compile(r"[\w.+/-]+")


@grouped
def new_command(
    *,
    file: Annotated[Path, typer.Argument(help="Python file to write, such as my_kernel.py.")],
    name: Annotated[str | None, typer.Option("--name", help="Name to register; that of the file if not given.")] = None,
    telling: Telling,
) -> None:
    """Write a kernel file that agrees with the oracle, to put your own kernel in; a file that exists is kept.

    Example: attnbench new my_kernel.py
    """
    from impls.discovery import built_in_names

    function = file.stem.replace("-", "_")
    if file.suffix != ".py" or not function.isidentifier() or keyword.iskeyword(function):
        raise fail(f"{str(file)!r} names no Python module; write it as my_kernel.py")
    registered = function.replace("_", "-") if name is None else name
    if not PLAIN_NAME.fullmatch(registered):
        raise fail(f"name {registered!r} must have letters, digits and . + - / _ alone")
    if registered in built_in_names("attention"):
        raise fail(f"implementation {registered!r} is built in: choose another --name")
    text = Template(TEMPLATE.read_text(encoding="utf-8"))
    write_new(file, text.substitute(FILE=file.name, NAME=registered, FUNCTION=function))
    kernel = ("--impl-file", str(file))
    commands = [
        shlex.join(("attnbench", "check", "--quick", *kernel)),
        shlex.join(
            ("attnbench", "run", "sequence-length", "--fast", *kernel, "--impl", registered, "--impl", "sdpa-auto")
        ),
    ]
    if telling.json:
        say_json({"file": str(file), "name": registered, "next": commands})
        return
    say(f"{file} registers {registered}")
    if not telling.quiet:
        say("next:")
        for command in commands:
            say(f"  {command}")


def write_new(file: Path, content: str) -> None:
    """Write a file that does not exist yet. Ends the program where it does, or can't be written."""
    if file.exists():
        raise fail(f"{file} exists: choose another name")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as created:
            created.write(content)
    except OSError as error:
        raise fail(f"can't write {file}: {error.strerror}") from None
