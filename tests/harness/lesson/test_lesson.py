"""The lesson finds what the tutorial teaches, and its page shows every line of it."""

from __future__ import annotations

import html
import re

import pytest

from harness.lesson import facts as lesson_facts
from harness.lesson import systems
from harness.policy import DEFAULT
from harness.records import Case, PlannedCase, Record, Time, case_id
from harness.results import journal
from harness.results.plan_file import Plan
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict, Verdicts
from reports.figures.speed import steps
from reports.lesson import page
from reports.lesson.lines import LINES
from scenarios import tutorial
from tests.evidence import lesson_rates
from tests.support.commands import in_process


def test_the_example_shows_the_shapes_on_the_way(facts, shown):
    shapes = [tuple(shape) for _, shape in facts.example.steps]
    folded = [(10, 4, 20), (10, 6, 20), (10, 4, 6), (10, 4, 6), (10, 4, 20)]
    assert shapes == [(2, 4, 100), folded[0], (2, 6, 100), *folded[1:], (2, 4, 100)]
    for step, shape in facts.example.steps:
        assert step in html.unescape(shown)
        assert f"<td>{shape!r}</td>".replace("[", "(").replace("]", ")") in shown


def make_case(implementation, point, *, scenario="tutorial", problem="multihead"):
    identity = {
        "problem": problem,
        "point": point,
        "dtype": "float32",
        "device": "cpu",
        "direction": "forward",
        "cache": "hot",
        "implementation": implementation,
    }
    return Case(id=case_id(**identity), scenario=scenario, **identity)


def make_record(case, seconds):
    time = Time(samples=[seconds] * 6, rounds=2, median=seconds, low=seconds, high=seconds, best=seconds)
    return Record(case=case, status="ok", time=time)


def make_run(directory, facts, verdicts=()):
    """Write a run whose linear steps take n and whose quadratic ones n^2 / 300, so that they meet at n = 200."""
    records = []
    for n in (64, 128, 256, 512):
        for name in (*steps.LINEAR_STEPS, *steps.QUADRATIC_STEPS):
            share = n / 2 if name in steps.LINEAR_STEPS else n**2 / 600
            records.append(make_record(make_case(name, {"n": n, "width": 128, "heads": 4, "batch": 1}), 1e-6 * share))
    for n in (64, 128):
        for name, seconds in (("batched", 4e-4), ("sdpa-flash", 1e-4)):
            point = {"n": n, "d": 32, "heads": 4, "batch": 1}
            case = make_case(name, point, scenario="tutorial-attention", problem="attention")
            records.append(make_record(case, seconds))
    plan = Plan(
        created="2026-01-01T00:00:00+00:00",
        command=["attnbench", "lesson"],
        device="cpu",
        seed=0,
        baseline="batched",
        policy=DEFAULT,
        scenarios=list(tutorial.LESSON),
        cases=[PlannedCase(case=record.case) for record in records],
    )
    journal.write_document(directory / journal.PLAN, plan.model_dump(mode="json", by_alias=True))
    with journal.Journal(directory) as log:
        for record in records:
            log.append_record(record)
    found = Verdicts(verdicts=list(verdicts))
    journal.write_document(directory / journal.VERDICTS, found.model_dump(mode="json", by_alias=True))
    lesson_facts.write(facts, directory)
    return directory


def make_verdict(line, verdict):
    return Verdict(
        claim=line.claim,
        implementation=line.implementations[0],
        quantity="all",
        verdict=verdict,
        axis=line.axis or "n",
        expected=line.expected,
        reason=f"found for {line.id}",
    )


@pytest.fixture(scope="module")
def shown(facts, tmp_path_factory):
    directory = make_run(
        tmp_path_factory.mktemp("lesson"),
        facts,
        [make_verdict(line, "refuted" if line.id == "A3" else "confirmed") for line in LINES],
    )
    return page.write(read_run(directory)).read_text(encoding="utf-8")


def test_every_line_of_the_analysis_is_on_the_page(shown):
    ids = {line.id.split(",")[0] for line in LINES}
    assert ids == {"A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5"}
    text = html.unescape(shown)
    for line in LINES:
        assert line.article in text
        assert line.arithmetic in text
        assert f"found for {line.id}" in text
    assert text.count('class="chip refuted"') == 1
    assert text.count('class="chip confirmed"') == len(LINES) - 1


def test_a_line_without_a_verdict_says_that_it_was_not_measured(facts, tmp_path):
    written = page.write(read_run(make_run(tmp_path, facts))).read_text(encoding="utf-8")
    assert written.count("not measured in this run") == len(LINES)


def test_both_halves_of_a_claim_get_their_own_verdict():
    halves = [line for line in LINES if line.claim == "B3"]
    verdicts = [
        make_verdict(line, verdict) for line, verdict in zip(halves, ("confirmed", "inconclusive"), strict=True)
    ]
    judged = {entry.line.id: entry.verdicts for entry in page.group_by_claim(verdicts)}
    assert [judged[line.id][0][1] for line in halves] == ["confirmed", "inconclusive"]


def test_the_page_has_its_pictures_and_asks_for_nothing(shown):
    for figure in ("fits", "weights", "kernels", "losses", "landscape", "learned-fits", "spread"):
        assert f'id="{figure}"' in shown
    assert "<script" not in shown
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', shown)
    assert "default-src 'none'" in html.unescape(shown)


def test_the_crossover_is_where_the_measured_steps_meet(facts, tmp_path):
    from reports.frame import frames

    found = page.crossover(frames([read_run(make_run(tmp_path, facts))]))
    assert found.operations == 256
    assert found.time == pytest.approx(200, rel=0.02)


def test_a_report_has_a_chapter_of_pooling_where_its_pictures_are_known(facts, tmp_path):
    from reports.page import render

    run = make_run(tmp_path, facts)
    with_pictures = render.render([run], tmp_path / "with.html").read_text(encoding="utf-8")
    assert "Attention pooling" in with_pictures
    for figure in ("fits", "weights", "kernels", "losses", "landscape", "learned-fits", "spread"):
        assert f'id="{figure}"' in with_pictures
    (run / lesson_facts.LESSON).unlink()
    without = render.render([run], tmp_path / "without.html").read_text(encoding="utf-8")
    assert 'id="weights"' not in without


def test_a_report_says_where_attention_overtakes_the_projections(facts, tmp_path):
    from reports.page import render

    written = render.render([make_run(tmp_path, facts)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "overtake the projections at about n = 200" in written
    assert "at n = 2 D = 256" in written
    assert "Multi-head attention" in written


@pytest.mark.slow
@pytest.mark.usefixtures("worker_here")
def test_a_run_of_pooling_shows_what_it_predicts(tmp_path, monkeypatch):
    # Its own lock, so that another run on this machine doesn't keep the test from its device.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(systems, "SEEDS", 2)
    words = ["pooling", "--impl", "nadaraya-watson", "--device", "cpu", "-a", "n_q=64", "-a", "n_k=64,96", "--fast"]
    done = in_process("run", *words, "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert 'id="weights"' in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_what_the_fused_call_gains_is_a_ratio_of_medians(facts, tmp_path):
    from reports.frame import frames

    rows = page.gains(frames([read_run(make_run(tmp_path, facts))]))
    assert [row[0] for row in rows] == ["64", "128"]
    assert all(row[3].startswith("4.00") for row in rows)


def verdicts_of(**changed):
    """Return a run's verdicts, each as the arithmetic expects, but for the changed claims."""
    expected = {"A3": "refuted", "A5": "refuted", **changed}
    return [
        make_verdict(line, expected.get(line.claim, "confirmed")).model_copy(update={"implementation": name})
        for line in LINES
        for name in line.implementations
    ]


@pytest.mark.parametrize(
    ("fifth", "held"),
    [({}, True), ({"A2": "inconclusive"}, True), ({"A2": "refuted"}, False), ({"A5": "confirmed"}, False)],
)
def test_lessons_hold_where_all_but_one_agree_and_none_says_the_opposite(fifth, held):
    found = lesson_rates.rows([*[verdicts_of()] * 4, verdicts_of(**fifth)])
    assert all(row.held for row in found) == held
    assert {row.line for row in found} == {line.id for line in LINES}


def test_lessons_do_not_hold_where_two_are_undecided():
    found = lesson_rates.rows([*[verdicts_of()] * 3, *[verdicts_of(B2="inconclusive")] * 2])
    assert {row.line for row in found if not row.held} == {"B2"}
    lines = lesson_rates.table(found)
    assert any(line.startswith("| B2 | online | confirmed") and line.endswith("| confirmed | no |") for line in lines)
