"""`attnbench compare`: a gate for every outcome, words for each, and nothing heavy imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from attnbench.app import make_app
from harness.results.run import read_run
from tests.support import runs
from tests.support.places import ROOT

HEAVY = ("torch", "pandas", "seaborn", "scipy.stats", "matplotlib")


def attnbench(*arguments):
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments], prog_name="attnbench")


def made(directory, *, speed=1.0, **known):
    return runs.make_run(directory, sweeps=("sequence-length",), failures=False, speed=speed, **known)


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    return made(tmp_path_factory.mktemp("again") / "after", seed=3)


def changed(directory, source, change):
    """Write a run as another one but for what `change` makes of each record."""
    records = [change(record) for record in read_run(source).records]
    runs.write_run(directory, records, sweeps=("sequence-length",), judged=False)
    return directory


def test_a_regression_ends_with_1_and_names_the_worst(base, slower):
    done = attnbench("compare", base, slower, "--fail-on", "slower:5%")
    assert done.exit_code == 1
    assert "91 of 91 cases compare: 91 slower." in done.output
    [failed] = [line for line in done.output.splitlines() if "FAILED" in line]
    assert failed.startswith("--fail-on slower:5%: FAILED in 91 of 91 cases: ")
    cases = json.loads(attnbench("compare", base, slower, "--json").stdout)["cases"]
    worst = sorted((case["ratio"] for case in cases), reverse=True)
    assert [float(text) for text in re.findall(r"\(([\d.]+)\S\)", failed)] == [round(ratio, 2) for ratio in worst[:6]]


def test_a_speed_up_ends_with_0_and_so_does_a_look_without_a_gate(base, slower):
    assert attnbench("compare", slower, base, "--fail-on", "slower:5%").exit_code == 0
    assert attnbench("compare", base, slower).exit_code == 0


def test_a_gate_speaks_where_nothing_changed(base, again):
    done = attnbench("compare", base, again, "--fail-on", "slower:20%", "--fail-on", "memory", "--fail-on", "disagreed")
    assert done.exit_code == 0
    last = done.output.splitlines()[-3:]
    assert last[0] == "--fail-on slower:20%: holds in 91 cases; the interval rules it out in 91"
    assert last[1:] == ["--fail-on memory:0%: holds in 91 cases", "--fail-on disagreed: holds in 91 cases"]


def test_a_gate_says_how_much_it_could_not_judge(base, tmp_path):
    part = changed(tmp_path / "part", base, lambda record: record)
    lines = [line for line in (part / "journal.jsonl").read_text().splitlines() if '"loop"' not in line]
    (part / "journal.jsonl").write_text("\n".join(lines) + "\n")
    done = attnbench("compare", base, part, "--fail-on", "slower:20%")
    assert done.exit_code == 0
    assert "78 of 91 cases compare" in done.output
    assert "Not compared: 13 not run in NEW" in done.output
    assert done.output.splitlines()[-1].endswith("; 13 of 91 can't be judged")


def test_runs_without_a_common_case_end_with_5_and_the_reason(base, tmp_path):
    other = runs.make_run(tmp_path / "other", sweeps=("heads",), failures=False)
    done = attnbench("compare", base, other, "--fail-on", "slower:5%")
    assert done.exit_code == 5
    assert "--fail-on slower:5%: nothing to judge; 91 only in BASE and 63 only in NEW" in done.output
    assert "No time compares, of 154 cases" in done.stderr


def test_a_run_in_which_nothing_was_timed_ends_with_5(base, tmp_path):
    def crash(record):
        return runs.Record(case=record.case, status="crashed", reason="killed by SIGSEGV")

    everything = changed(tmp_path / "crashed", base, crash)
    done = attnbench("compare", everything, everything, "--fail-on", "slower:5%")
    assert done.exit_code == 5
    assert "91 crashed in BASE" in done.stderr
    assert attnbench("compare", base, everything, "--fail-on", "slower:5%").exit_code == 4


def test_another_machine_ends_with_5_and_names_what_differs(base, tmp_path):
    elsewhere = made(tmp_path / "elsewhere", device_name="Another CPU, 64 cores", speed=9.0)
    done = attnbench("compare", base, elsewhere, "--fail-on", "slower:5%")
    assert done.exit_code == 5
    assert "91 other machine (cpu Synthetic CPU, 2 cores, Another CPU, 64 cores in NEW)" in done.stderr
    exact = attnbench("compare", base, elsewhere, "--fail-on", "memory:1%", "--fail-on", "operations")
    assert exact.exit_code == 0
    assert "--fail-on operations:0%: holds in 91 cases" in exact.output


def test_a_disagreement_ends_with_1_where_asked_for_else_with_3(base, tmp_path):
    def disagree(record):
        if record.case.implementation != "online":
            return record
        return runs.Record(case=record.case, status="disagreed", reason="error 3e-2 is 14 times the budget")

    wrong = changed(tmp_path / "wrong", base, disagree)
    done = attnbench("compare", base, wrong, "--fail-on", "disagreed")
    assert done.exit_code == 1
    assert "No longer right: online d 64" in done.output
    assert attnbench("compare", base, wrong, "--fail-on", "slower:5%").exit_code == 3


def test_more_memory_ends_with_1(base, tmp_path):
    def fatter(record):
        memory = record.memory.model_copy(update={"peak": record.memory.peak + 2**20})
        return record.model_copy(update={"memory": memory})

    fat = changed(tmp_path / "fat", base, fatter)
    assert attnbench("compare", base, fat, "--fail-on", "memory:1%").exit_code == 1
    assert attnbench("compare", fat, base, "--fail-on", "memory:1%").exit_code == 0
    assert "Extra memory changed in 91 cases, in 91 to more." in attnbench("compare", base, fat).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "{base}"], "nowhere is no run directory, and baselines has no baselines"),
        (["{base}"], "compare needs BASE and NEW"),
        (["{base}", "--by", "implementation"], "--by implementation needs --base NAME"),
        (["{base}", "--by", "implementation", "--base", "lop"], "did you mean 'loop'?"),
        (["{base}", "{base}", "--by", "implementation", "--base", "loop"], "give BASE alone"),
        (["{base}", "{base}", "--base", "loop"], "add --by implementation"),
        (["{base}", "{base}", "--fail-on", "sloer:5%"], "must read slower:5%, memory:1%"),
        (["{base}", "{base}", "--format", "html"], "no format 'html'; have: md, table"),
        (["{base}", "--by", "implementation", "--base", "loop", "--recheck"], "it needs two runs"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(arguments, message, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = attnbench("compare", *(argument.format(base=base) for argument in arguments))
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_json_has_every_case_and_what_each_demand_came_to(base, slower):
    done = attnbench("compare", base, slower, "--json", "--fail-on", "slower:5%", "--fail-on", "memory")
    found = json.loads(done.stdout)
    assert done.exit_code == found["exit_code"] == 1
    assert len(found["cases"]) == 91
    assert {case["outcome"] for case in found["cases"]} == {"slower"}
    assert [(one["demand"]["quantity"], one["holds"]) for one in found["demands"]] == [
        ("slower", False),
        ("memory", True),
    ]
    assert all(one["says"].startswith("--fail-on ") for one in found["demands"])


def test_markdown_for_a_job_page_has_the_gate_before_the_table(base, slower):
    said = attnbench("compare", base, slower, "--format", "md", "--fail-on", "slower:5%").stdout
    assert said.startswith("## attnbench compare: after against before")
    assert said.index("FAILED in 91 of 91 cases") < said.index("### What changed, worst first")
    assert "61 more are in the page." in said
    assert "| sequence-length | loop | 13 |" in said


def test_a_page_opens_with_what_changed_worst_first(base, slower, tmp_path):
    done = attnbench("compare", base, slower, "--fail-on", "slower:5%", "-o", tmp_path / "page.html")
    assert done.exit_code == 1
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What changed: after against before" in page
    assert page.index('id="changes"') < page.index('id="runs"') < page.index('id="scaling"')
    first = page[page.index('<h1 id="headline">') :].partition('<div class="run">')[0]
    assert "91 slower" in first, "the answer stands under the question"
    assert "--fail-on slower:5%" in first
    assert "Which law holds where" not in first
    captions = ("What changed, worst first", "What changed less")
    ratios = [float(cell[:-1]) for caption in captions for cell in cells(page, caption, column=6)]
    assert ratios == sorted(ratios, reverse=True)
    assert len(ratios) == 91
    assert "New over base, case by case" in page


def cells(page, caption, *, column):
    table = page[page.index(f">{caption}") :].partition("</table>")[0]
    rows = [re.split("<td[^>]*>", row)[1:] for row in table.split("<tr>")[2:]]
    return [row[column].partition("</td>")[0] for row in rows]


def test_a_gate_is_a_junit_file_too(base, slower, tmp_path):
    file = tmp_path / "reports" / "gate.xml"
    assert attnbench("compare", base, slower, "--fail-on", "slower:5%", "--junit", file).exit_code == 1
    assert '<testsuite name="slower:5%" tests="91" failures="91" errors="0" skipped="0">' in file.read_text()


def test_implementations_of_one_run_against_one_of_them(base):
    done = attnbench("compare", base, "--by", "implementation", "--base", "sdpa-auto", "--fail-on", "slower:5%")
    assert done.exit_code == 1
    assert "Implementations of before, each against sdpa-auto" in done.output
    assert "78 of 78 cases compare" in done.output


def test_comparing_two_runs_of_a_thousand_cases_imports_nothing_heavy(tmp_path):
    sides = [
        str(runs.make_run(tmp_path / name, cases=1000, dtypes=("float32", "bfloat16"), seed=seed))
        for seed, name in enumerate(("a", "b"))
    ]
    code = (
        "import sys, attnbench\n"
        "try: attnbench.main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "compare", *sides, "--fail-on", "slower:5%"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "991 of 1,000 cases compare" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
