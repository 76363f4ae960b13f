"""The texts read as plain British English: no sentence that stops a reader, no habit that makes many of them."""

from __future__ import annotations

import re

import pytest

from tests.support.commands import in_process
from tests.support.places import ROOT

ROOMS = ("attnbench", "attnbench_pytest", "docs", "examples", "harness", "impls", "reports", "scenarios")
KINDS = {".py", ".md", ".jinja", ".js", ".txt", ".toml"}
VENDORED = "vendor"
# Sentences that made readers go back, and the habits behind them, each with what to write instead.
BANNED = {
    r"name bookkeeping of tensors": "say which operators do work",
    r"is no doubt": "limits what a case can resolve",
    r"[Cc]ompared are|[Mm]easured are|[Ss]hown are|Seen are|Named are|Kept are": "the subject first",
    r"the intervals allow \d": "the intervals include",
    r"holds itself back": "throttles",
    r"swapped answer": "computed by another kernel",
    r"narrow them: twice": "doubling would narrow them",
    r"system's own rules": "leave the C library alone",
    r"trims rounds": "fewer rounds",
    r"contains only in part": "only partly inside",
    r"inconclusive by rule": "always inconclusive",
    r"either form is, the other": "a bullet per verdict",
    r"leaves chance no part": "allows for chance",
    r"peak is taken of": "taken over",
    r"nobody's in particular|is nobody else's": "cannot be attributed",
    r"accuses? nobody": "the fact",
    r"\btold apart\b": "no significant difference; distinguished",
    r"raises rises": "exceptions propagate",
    r"\b(None|empty|False|True|[01]) where\b": "if",
    r"is no (obstacle|mistake|choice)\b|are no times\b": "say what is so",
    r"\b(seconds|samples|operations|bytes|joules|ms|us|calls) a (call|round|core|visit|block|sample|case)\b": "per",
}
# Words of American spelling, outside code: identifiers of other libraries keep theirs.
AMERICAN = re.compile(
    r"\b(behaviors?|colors?|colored|centers?|centered|favors?|honors?|neighbors?|gray|labeled|modeled|canceled|"
    r"(?:normal|optim|recogn|summar|organ|initial|material|synchron|serial|minim|maxim|emphas|util|quant)"
    r"iz(?:e[sd]?|ing|ation)|"
    r"analyz(?:e[sd]?|ing)|judgments?)\b"
)
# What is code in a text of Markdown.
CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+", re.DOTALL)


def texts():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in KINDS and VENDORED not in path.parts and path.is_file():
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("*.md")):
        yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def banned(text):
    flat = re.sub(r"\s+(?:# )?", " ", text)
    return [f"{found[0]!r}: {better}" for pattern, better in BANNED.items() if (found := re.search(pattern, flat))]


def american(text):
    return sorted({found[0] for found in AMERICAN.finditer(CODE.sub("", text))})


@pytest.fixture(scope="module")
def everything():
    found = dict(texts())
    assert len(found) > 200
    return found


def test_no_text_has_a_sentence_that_stops_a_reader(everything):
    found = {str(path): words for path, text in everything.items() if (words := banned(text))}
    assert found == {}


def test_pages_are_in_british_spelling(everything):
    pages = {path: text for path, text in everything.items() if path.suffix == ".md"}
    found = {str(path): words for path, text in pages.items() if (words := american(text))}
    assert found == {}


@pytest.mark.parametrize(
    "text", ["it returns None where\n    # nothing is", "three seconds a call", "they can't be told\napart"]
)
def test_a_sentence_that_is_planted_is_found(text):
    assert len(banned(text)) == 1


def test_american_spelling_is_found_outside_code_alone():
    assert american("a gray behavior of `color`") == ["behavior", "gray"]


@pytest.mark.parametrize("place", ["README.md", "docs/README.md"])
def test_the_glossary_is_linked(place):
    assert "glossary.md" in (ROOT / place).read_text(encoding="utf-8")


def test_help_says_where_the_words_are_explained():
    assert "docs/glossary.md" in in_process("--help").output
