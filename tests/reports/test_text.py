"""Text from outside stays text in every sink, whatever characters it has."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.records import Case, case_id
from harness.results.run import read_run
from reports import text
from reports.exports.export import FORMATS, export
from reports.exports.markdown import markdown
from reports.page.render import render
from tests.support import runs

# All of Unicode, halves of characters too, and the signs that a sink may obey.
ANY = st.text(st.characters(codec=None, exclude_categories=())) | st.text(
    st.sampled_from("=+-@'\"<>&|\\`*_[]()#$^~!\t\r\n\x00\x1b\x9b\u202e\ud800\udc00a1 ,;")
)
NAMES = ("$\\frac$", "$\\notacommand", "=1+cmd|' /C calc'!A0", "<script>alert(1)</script>", "[red]x[/]", "\x1b[31mred")


@given(ANY)
def test_a_line_for_a_terminal_has_nothing_that_it_would_obey(name):
    shown = text.line(name)
    assert shown.isprintable()
    if name.isprintable():
        assert shown == name


@given(ANY)
def test_rich_shows_a_text_as_it_is(name):
    out = io.StringIO()
    console = Console(file=out, width=100_000, color_system=None)
    console.print(text.styled(name), end="", soft_wrap=True)
    assert out.getvalue() == text.line(name)


@given(ANY)
def test_a_cell_of_csv_is_no_formula_and_reads_back(name):
    cell = text.csv_cell(name)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerow([cell])
    out.getvalue().encode()
    ((again,),) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert again == cell
    if name.isprintable():
        assert cell.removeprefix("'") == name.removeprefix("'")
    if cell.startswith(text.FORMULA):
        float(cell)


@given(ANY)
def test_xml_and_json_are_read_again(name):
    element = ET.fromstring(ET.tostring(ET.Element("a", name=text.xml(name)), encoding="unicode"))
    assert element.tag == "a"
    value = {name: [name, 1, None]}
    written = json.dumps(text.json_value(value), ensure_ascii=False)
    written.encode()
    assert json.loads(written) == {text.whole(name): [text.whole(name), 1, None]}


def test_a_number_that_is_none_is_null_in_json():
    value = {"a": [math.nan, 1.5, 0, True], "b": {"c": math.inf}, "d": -math.inf}
    assert text.json_value(value) == {"a": [None, 1.5, 0, True], "b": {"c": None}, "d": None}


@given(ANY)
def test_markdown_is_one_line_without_bare_marks(name):
    shown = text.markdown(name)
    shown.encode()
    assert "\n" not in shown
    bare = shown.replace("\\\\", "")
    for mark in "|`*_[]$~":
        assert bare.count(mark) == bare.count(f"\\{mark}")
    assert "<" not in shown
    assert "@" not in shown
    assert "http://" not in text.markdown("http://example.org")


def run_with_names(folder, names):
    records = []
    for number, name in enumerate(names):
        for n in (64, 256):
            record = runs.ok_record("batched", n=n, d=64, heads=2, batch=1 + number)
            fields = record.case.model_dump(exclude={"id", "scenario", "also"}) | {"implementation": name}
            case = Case(id=case_id(**fields), scenario="sequence-length", **fields)
            records.append(record.model_copy(update={"case": case}))
    runs.write_run(folder, records, judged=False)
    return folder


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    return run_with_names(tmp_path_factory.mktemp("names") / "run", (*NAMES, "\u4e2d\u6587\U0001f600", "n" * 300))


def test_a_page_draws_names_as_they_are(named):
    page = render([named], named / "page.html").read_text(encoding="utf-8")
    assert "$\\frac$" in page
    assert "mathdefault" not in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "parquet"])
def test_every_export_of_such_names_can_be_read(named, form):
    written = export(read_run(named), to=form).decode()
    if form == "csv":
        assert {row["implementation"] for row in csv.DictReader(io.StringIO(written))} >= {"'=1+cmd|' /C calc'!A0"}
    else:
        json.loads(written)


def test_a_summary_of_such_names_keeps_its_tables(named):
    rows = [line for line in markdown([read_run(named)]).splitlines() if line.startswith("| sequence-length")]
    assert len(rows) == len(NAMES) + 2
    assert {row.replace("\\|", "").count("|") for row in rows} == {10}


def test_half_a_character_in_a_run_breaks_nothing(named, tmp_path):
    journal = (named / "journal.jsonl").read_text(encoding="utf-8").replace("$\\\\notacommand", "\\ud800")
    assert "\\ud800" in journal
    for file in named.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "journal.jsonl").write_text(journal, encoding="utf-8")
    assert "\ufffd" in render([tmp_path], tmp_path / "page.html").read_text(encoding="utf-8")
    for form in FORMATS:
        if form != "parquet":
            export(read_run(tmp_path), to=form)
