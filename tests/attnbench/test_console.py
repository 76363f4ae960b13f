"""Whatever a terminal can show, the work goes on, and a closed pipe ends it in the way that pipes do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from attnbench.console import CLOSED, USAGE

SAY = "from attnbench import console; console.prepare_streams(); console.say('n² d × 5 µs ≈ 中 \\udc80 \\x1b[31m')"  # noqa: RUF001


def started(program, *, stdout, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "n^2 d x 5 us ~ ? \\udc80 \\x1b[31m\n"),
        ("utf-8", "n² d × 5 µs ≈ 中 \\udc80 \\x1b[31m\n"),  # noqa: RUF001
    ],
)
def test_characters_that_a_terminal_lacks_are_replaced_one_by_one(encoding, shown):
    done = started(SAY, stdout=subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout, done.stderr) == (0, shown, "")


def exit_code_of(call):
    return (
        "import typer\nfrom attnbench import console\nconsole.prepare_streams()\n"
        f"try:\n    [{call} for _ in range(3)]\n"
        "except typer.Exit as ended:\n    raise SystemExit(ended.exit_code)\n"
    )


@pytest.mark.parametrize("call", ["console.say('x')", "console.wide_console().print('x')"])
def test_a_closed_pipe_ends_a_command_silently_with_the_code_of_pipes(call):
    read, write = os.pipe()
    os.close(read)
    done = started(exit_code_of(call), stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (CLOSED, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here that is always full")  # noqa: PTH110
def test_an_output_that_can_not_be_written_is_named():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = started(exit_code_of("console.say('x')"), stdout=full)
    assert (done.returncode, done.stderr) == (USAGE, "attnbench: standard output: No space left on device\n")


def test_a_closed_standard_output_stays_closed_to_files_opened_later(tmp_path):
    program = (
        "import os; os.close(1)\nimport sys; sys.stdout = None\n"
        "from attnbench import console; console.prepare_streams()\n"
        f"file = open({str(tmp_path / 'x')!r}, 'w')\nconsole.say('lost'); assert file.fileno() != 1\n"
    )
    assert started(program, stdout=subprocess.PIPE).returncode == 0
    assert not (tmp_path / "x").read_text()
