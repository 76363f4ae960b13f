"""What the pages show is done: blocks of code run, each command goes through the program's own command line.

Commands that read and write run as they stand, in a folder that has the files which the pages name; those that measure
are parsed, since tests of their own run them.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sybil import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from typer.main import get_command

from attnbench.app import make_app
from impls import registry
from scenarios import catalog
from tests.support import runs
from tests.support.commands import in_process
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Example

PAGES = ("README.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md", "examples/README.md", "examples/plugin/README.md")
SHOWN = [*PAGES, *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
# How a line begins that a shell or a service takes: variables of its own, a step of a workflow, an interpreter.
START = re.compile(r"(?:- (?:run: )?)?(?:\w+=\S+ )*(?:python3? -m |\.venv/bin/|srun )?attnbench (?=[a-z-])")
NOX = re.compile(r"nox (?:--no-venv )?-s ([a-z][a-z-]*(?: [a-z][a-z-]*)*)")
PROGRAM = re.compile(r"python -m (tests\.[\w.]+)")
# What measures, asks torch, or joins parts that were measured: parsed only.
MEASURES = {"ab", "check", "doctor", "lesson", "merge", "plan", "profile", "record", "run", "worker"}
# A service's and a shell's variables stand for numbers.
VARIABLE = re.compile(r"\$\{\{.*?\}\}|\$\w+")
FENCE = FencedCodeBlockLexer(language=r"\w*", mapping={"language": "language", "source": "source"})
# A package of the reader's, which a page imports a kernel from.
THEIRS = """
import torch


def fast_attention(q, k, v, *, causal, softmax_scale):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=softmax_scale)
"""


class Command(NamedTuple):
    """One command of attnbench, with its words, and whether it stands in a block, whole."""

    words: tuple[str, ...]
    is_whole: bool


def lines(source: str) -> Iterator[str]:
    """Yield the commands of shell lines: a line that goes on is one, what && or a pipe joins is several.

    What runs in the background is a command as any other.
    """
    for line in source.replace("\\\n", " ").splitlines():
        yield from (
            part.strip().removesuffix(" &")
            for part in re.split(r" && | \| |; then |; ", line.partition(" # ")[0].partition(" > ")[0])
        )


def commands(text: str) -> list[Command]:
    """Return the commands of attnbench in a page: lines of its blocks, and spans of code."""
    blocks = [region.lexemes["source"] for region in FENCE(Document(text, "page"))]
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    blocks += re.findall(r"(?:^ {4}.*\n?)+", outside, re.MULTILINE)
    shown = [(line, True) for block in blocks for line in lines(block)]
    shown += [(line, False) for span in re.findall(r"`([^`\n]+)`", outside) for line in lines(span)]
    given = [(START.sub("", VARIABLE.sub("1", line), count=1), whole) for line, whole in shown if START.match(line)]
    return [Command(tuple(shlex.split(line, comments=True)), whole) for line, whole in dict.fromkeys(given)]


def leaves(group) -> Iterator:
    """Yield every command, those of groups of commands in their place."""
    for command in group.commands.values():
        yield from leaves(command) if hasattr(command, "commands") else [command]


def parser():
    """Return the program's command line, whose commands parse their words and do nothing."""
    program = get_command(make_app())
    for command in leaves(program):
        command.callback = lambda **_: None
    return program


def mistake(command: Command) -> str:
    """Return what the program says against a command, which does nothing here; an empty text if it takes it.

    A text may name a command or an option of it: what is missing is a mistake in a block alone.
    """
    with io.StringIO() as said, contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser().main([word for word in command.words if word != "..."], prog_name="attnbench")
        except SystemExit as end:
            told = said.getvalue().strip()
            is_short = not command.is_whole and ("Missing" in told or "requires an argument" in told)
            return told if end.code and not is_short else ""
    return ""


# The runs of the pages by their names, in three that were made.
RUNS = {
    "before": ("before", "old", "OLD", "20260102-030405"),
    "after": ("after", "new", "NEW", "NAME", "2026-03-01", "kernel"),
    "mine": ("mine",),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Three runs of a machine, with the implementation that the pages compare with."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        # Some of the sizes: what commands do with a run takes as many seconds as it has cases.
        whole = runs.SWEEPS["sequence-length"]
        patch.setitem(runs.SWEEPS, "sequence-length", {**whole, "axes": {"n": whole["axes"]["n"][::3]}})
        for seed, name in enumerate(RUNS):
            made = runs.make_run(folder / name, seed=seed, sweeps=("sequence-length",), failures=False)
            for file in made.iterdir():
                file.write_text(file.read_text().replace("sdpa-math", "sdpa-auto"))
    return folder


@pytest.fixture
def place(request, tmp_path, measured, monkeypatch):
    """A folder of a reader: runs, baselines, a table and a package under the names that a block gives them."""
    block = request.node.callspec.params["block"]
    for source, names in RUNS.items():
        for name in names:
            if name in block or "runs/ " in block:
                shutil.copytree(measured / source, tmp_path / "runs" / name)
    (tmp_path / "my_package.py").write_text(THEIRS)
    rows = "".join(f"{2**k},{4.0**k * 1e-9},mine\n" for k in range(7, 15))
    (tmp_path / "times.csv").write_text(f"n,seconds,impl\n{rows}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in () if "baseline save" in block else ("main", "smoke"):
        assert in_process("baseline", "save", measured / "before", name).exit_code == 0
    monkeypatch.setattr(registry, "REGISTRY", registry.Registry())
    yield tmp_path
    sys.modules.pop("my_package", None)


def shell(example: Example) -> None:
    """Run the commands of a block that read and write; scripts run where their services are told of."""
    if not example.parsed.startswith("#!"):
        for command in commands(f"```\n{example.parsed}```"):
            if command.words[0] not in MEASURES:
                done = in_process(*command.words)
                assert done.exit_code == 0, f"{example.path}:{example.line} {command.words}: {done.output}"


def toml(example: Example) -> None:
    """Read a scenario as `run` does."""
    file = Path("scenario.toml")
    file.write_text(example.parsed)
    scenario = catalog.read(file)
    assert scenario.calls or scenario.axes


EVALUATORS = {"": shell, "bash": shell, "sh": shell, "toml": toml, "python": PythonEvaluator()}
# Blocks of services, whose commands are parsed with all others.
SERVICES = {"yaml"}


def blocks(text: str, page: str) -> Iterator[Example]:
    """Yield the blocks of a page, each to be evaluated in its language."""
    document = Document(text, str(ROOT / page))
    for region in FENCE(document):
        language = region.lexemes["language"]
        if language not in SERVICES:
            region.parsed, region.evaluator = region.lexemes["source"], EVALUATORS[language]
            document.add(region)
    yield from document.examples()


def every_block() -> Iterator:
    """Yield each block that runs; those of Python on a page are one, which share their names."""
    for page in SHOWN:
        shown = list(blocks((ROOT / page).read_text(encoding="utf-8"), page))
        python = [example for example in shown if example.region.lexemes["language"] == "python"]
        for group in [*([example] for example in shown if example not in python), python]:
            if group:
                yield pytest.param("\n".join(example.parsed for example in group), group, id=f"{page}:{group[0].line}")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("block", "examples"), list(every_block()))
def test_the_blocks_of_a_page_run(block, examples):
    for example in examples:
        example.namespace["pytest"] = pytest
        example.evaluate()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("```sh\nattnbench compare runs/before runs/nowhere\n```", "runs/nowhere is no run"),
        ("```python\nfrom attnbench import register\nregister(problem='atention', nmae='mine')\n```", "name"),
        ("```toml\nquestion = 'What?'\naxis = []\n```", "axis"),
    ],
)
def test_a_block_that_fails_is_found(block, error):
    with pytest.raises(Exception, match=error):
        next(blocks(block + "\n", "page.md")).evaluate()


@pytest.mark.parametrize("page", SHOWN)
def test_the_commands_of_a_page_are_commands_of_the_program(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    wrong = {command.words: said for command in commands(text) if (said := mistake(command))}
    assert not wrong


def test_the_pages_show_most_commands():
    shown = [words[0] for page in SHOWN for words, _ in commands((ROOT / page).read_text(encoding="utf-8"))]
    assert set(get_command(make_app()).commands) <= set(shown)


def test_a_command_or_an_option_that_is_not_there_is_found():
    text = """
```sh
THREADS=1 attnbench rnu --fast
python -m attnbench run --fats && attnbench list --json
attnbench merge
attnbench verify --csv times.csv --x n --y seconds --exponent two
- run: attnbench report runs/1 --format word
```
`attnbench baseline drop`, `attnbench merge`, `attnbench run -o`
"""
    told = [mistake(command) for command in commands(text)]
    parts = ("command 'rnu'", "--fats", "", "Missing argument", "--exponent", "'word'", "command 'drop'", "", "")
    assert all(part in said for part, said in zip(parts, told, strict=True))
    assert [bool(said) for said in told] == [bool(part) for part in parts]


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
