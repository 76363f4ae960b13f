"""Options are declared once, in groups: a command that takes a group has each of its options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
import typer
from typer.testing import CliRunner

from attnbench.app import COMMANDS
from attnbench.console import say
from attnbench.options import Cases, Effort, Output, Place, grouped, one_of

Colour = Literal["red", "green"]


@dataclass(frozen=True)
class Shape:
    sides: Annotated[list[str] | None, typer.Argument(help="Sides.")] = None
    width: Annotated[int, typer.Option("--width", "-w", min=1, help="Width.")] = 3
    colour: Annotated[Colour, typer.Option("--colour", help="Colour.", parser=one_of("colour", get_args(Colour)))] = (
        "red"
    )


@dataclass(frozen=True)
class Where:
    folder: Annotated[Path | None, typer.Option("-o", help="Folder.")] = None


@grouped
def draw(shape: Shape, where: Where, *, filled: Annotated[bool, typer.Option("--filled", help="Fill.")] = False):
    """Draw a shape."""
    say(f"{shape!r} {where!r} {filled}")


def call(*arguments):
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(draw)
    return CliRunner().invoke(app, arguments)


def test_a_command_gets_its_groups_filled():
    done = call("a", "b", "-w", "5", "--colour", "green", "-o", "here", "--filled")
    assert done.output.strip() == f"{Shape(['a', 'b'], 5, 'green')!r} {Where(Path('here'))!r} True"


def test_options_that_are_not_given_keep_the_defaults_of_the_group():
    assert call().output.strip() == f"{Shape()!r} {Where()!r} False"


def test_help_lists_the_options_of_every_group_and_the_command_s_own():
    text = call("--help").output
    assert "Draw a shape." in text
    for option in ("sides", "--width", "-o", "--filled"):
        assert option in text
    assert "<red|green>" in text
    assert "shape" not in text.replace("Draw a shape.", "")


def test_limits_of_a_field_are_checked():
    assert call("--width", "0").exit_code == 2


def test_what_is_no_choice_is_refused_in_a_line_that_names_the_choices():
    done = call("--colour", "gren")
    assert done.exit_code == 2
    assert done.stderr == "attnbench: no colour 'gren'; did you mean 'green'? have: green, red\n"


def test_two_groups_with_an_option_of_one_name_are_refused():
    with pytest.raises(ValueError, match="duplicate parameter name"):

        @grouped
        def both(shape: Shape, other: Shape) -> None: ...


@pytest.mark.parametrize(
    ("command", "groups"), [("plan", (Cases, Place)), ("run", (Cases, Place, Effort, Output)), ("doctor", (Place,))]
)
def test_a_command_has_the_options_of_its_groups(command, groups):
    names = set(typer.main.get_params_from_function(COMMANDS[command]))
    assert {field.name for group in groups for field in fields(group)} <= names
