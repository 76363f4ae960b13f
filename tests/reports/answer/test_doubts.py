"""What a reader should know before trusting a number is said, once, and nothing that is not so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.policy import DEFAULT
from harness.records import Ceiling
from harness.results.run import read_run
from harness.results.summary_file import Summary
from reports.answer.doubts import precision_sentence, warnings
from reports.exports.markdown import markdown
from reports.frame import frame, frames
from reports.page.render import render
from tests.support import drawn, runs


def with_summary(folder, **changes):
    path = folder / "run"
    runs.write_run(path, drawn.swept("batched", "loop", sizes=(64, 128)), judged=False)
    run = read_run(path)
    summary = run.summary.model_copy(update=changes)
    (path / "summary.json").write_text(summary.model_dump_json(by_alias=True), encoding="utf-8")
    return read_run(path)


def test_wide_intervals_are_one_quiet_sentence_with_advice(tmp_path):
    records = []
    for record in drawn.swept("batched", "loop", "online", sizes=range(64, 64 + 9)):
        half = {"loop": 1.2, "batched": 1.1}.get(record.case.implementation, 1.01)
        time = record.time.model_copy(
            update={"flags": ["wide"], "low": record.time.median / half, "high": record.time.median * half,
                    "stop_reason": "time budget"}
        )  # fmt: skip
        records.append(record.model_copy(update={"time": time}))
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    table = frames([run])
    said = precision_sentence(run, table)
    assert said.startswith(
        "Half of the times are known to ±9.5 % or better; ±5.0 % was asked for, and 18 of 27 miss it"
    )
    assert "(widest: loop ±18 % and batched ±9.5 %)" in said
    assert "doubling --time-budget" in said
    assert not any("precis" in doubt for doubt in warnings(run, table))
    assert said.split(";")[0] in markdown([read_run(run.path)]).replace("\\", "")
    page = render([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    limits = page[page.index('class="doubts"') :]
    assert said.split(";")[0] in limits[: limits.index("</details>")]


def test_the_widest_intervals_named_are_those_that_miss_what_was_asked(tmp_path):
    runs.write_run(tmp_path / "run", drawn.swept("batched", "loop", sizes=(64, 128, 256, 512)), judged=False)
    run = read_run(tmp_path / "run")
    table = frames([run]).assign(low_s=1.0, high_s=1.01)
    table.loc[table["n"] == 512, "high_s"] = 1.5
    assert "2 of 8 miss it (widest: batched ±20 % and loop ±20 %)" in precision_sentence(run, table)


def test_a_precise_run_has_no_such_sentence(tmp_path):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    median = record.time.median
    sure = record.time.model_copy(update={"flags": ["wide"], "low": median / 1.01, "high": median * 1.01})
    runs.write_run(tmp_path / "run", [record.model_copy(update={"time": sure})], judged=False)
    run = read_run(tmp_path / "run")
    assert precision_sentence(run, frames([run])) == ""


def ceiling(name, value, unit="FLOP/s"):
    return Ceiling(name=name, value=value, unit=unit, how="again")


def test_ceilings_that_moved_are_a_doubt_and_both_stand_in_the_roofline(tmp_path):
    after = [ceiling("matmul float32", 8.1e10), ceiling("copy", 1.79e10, "B/s")]
    run = with_summary(tmp_path, ceilings_after=after, warnings=[])
    doubts = warnings(run, frames([run]))
    assert doubts[0] == "The machine's ceilings moved over the run: matmul float32 by −10 %."
    page = render([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "matmul float32 90.0 GFLOP/s and then 81.0 GFLOP/s (−10 %)" in page
    assert '<th scope="col">at the end</th>' in page


def test_ceilings_that_the_run_itself_doubts_are_not_doubted_twice(tmp_path):
    told = "ceilings differ by 12 % between start and end"
    run = with_summary(tmp_path, ceilings_after=[ceiling("matmul float32", 8.1e10)], warnings=[told])
    assert [doubt for doubt in warnings(run, frames([run])) if "ceiling" in doubt] == [told]


def run_of(path, verdicts, **point):
    record = runs.ok_record("batched", **{"n": 64, "d": 64, "heads": 2, "batch": 1, **point})
    runs.write_run(path / "run", [record], verdicts=verdicts)
    return read_run(path / "run")


@pytest.mark.parametrize(("half", "words"), [(1.06, "±5.8 %"), (1.09, "±8.6 %"), (2.0, "within a factor of 2.00")])
def test_how_well_times_are_known_is_a_share_or_a_factor(tmp_path, half, words):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    median = record.time.median
    time = record.time.model_copy(
        update={"flags": [], "low": median / half, "high": median * half, "stop_reason": "rounds"}
    )
    runs.write_run(tmp_path / "run", [record.model_copy(update={"time": time})], judged=False)
    run = read_run(tmp_path / "run")
    said = precision_sentence(run, frame(run))
    assert said.startswith(
        f"Half of the times are known to {words} or better; ±5.0 % was asked for, and 1 of 1 miss it."
    )
    assert "rounds would narrow them; --rigorous takes more" in said


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (8.1e10, ["The machine's ceilings moved over the run: matmul float32 by −10 %."]),
        (1.8e11, ["The machine's ceilings moved over the run: matmul float32 by +100 %."]),
        (8.9e10, []),
    ],
)
def test_a_ceiling_that_moved_is_a_doubt_with_its_change(tmp_path, after, words):
    run = run_of(tmp_path, [])
    moved = Ceiling(name="matmul float32", value=after, unit="FLOP/s", how="again")
    summary = run.summary.model_copy(update={"ceilings_after": [moved], "warnings": []})
    (run.path / "summary.json").write_text(summary.model_dump_json(by_alias=True), encoding="utf-8")
    run = read_run(run.path)
    assert [text for text in warnings(run, frame(run)) if "ceiling" in text] == words


def known(tmp_path, *halves, stop_reason="rounds", rounds=7):
    """Write a run of cases whose intervals reach so many times the median each way; None for no interval."""
    records = []
    for record, half in zip(drawn.swept("batched", sizes=range(64, 64 + len(halves))), halves, strict=True):
        median = record.time.median
        span = {"low": None, "high": None} if half is None else {"low": median / half, "high": median * half}
        records.append(drawn.timed(record, median, stop_reason=stop_reason, rounds=rounds, flags=[], **span))
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    return run, precision_sentence(run, frame(run))


def test_what_misses_is_counted_by_the_interval_that_is_shown(tmp_path):
    _, said = known(tmp_path, 1.01, 1.049, 1.06)
    assert said.startswith("Half of the times are known to ±4.8 % or better; ±5.0 % was asked for, and 1 of 3 miss it.")


def test_a_time_without_an_interval_misses_and_is_of_no_width(tmp_path):
    _, said = known(tmp_path / "a", 1.01, None)
    assert said.startswith("Half of the times are known to ±1.0 % or better; ±5.0 % was asked for, and 1 of 2 miss it.")
    _, none = known(tmp_path / "b", None, None)
    assert none.startswith("2 of 2 times are known less precisely than asked for.")


def test_without_a_plan_nothing_was_asked_for(tmp_path):
    run, said = known(tmp_path, 2.0)
    assert said
    assert precision_sentence(replace(run, plan=None), frame(run)) == ""


@pytest.mark.parametrize(
    ("stop_reason", "advice"),
    [
        ("interrupted", "They rest on 3 rounds: --resume takes the missing ones."),
        ("time budget", "More than 3 rounds would narrow them; doubling --time-budget, by about a third."),
        ("rounds", "More than 3 rounds would narrow them; --rigorous takes more, in several processes."),
    ],
)
def test_advice_is_about_what_ended_the_sampling(tmp_path, stop_reason, advice):
    assert known(tmp_path, 1.5, stop_reason=stop_reason, rounds=3)[1].endswith(advice)


def doubts_of(records, **fields):
    run = drawn.run_of(records, **fields)
    return warnings(run, frame(run))


NO_SUMMARY = "The run has no summary: it was interrupted or is still under way."


def test_damaged_lines_are_counted_and_the_first_are_told():
    damages = tuple(f"line {number}: torn" for number in range(5))
    one = doubts_of(drawn.swept("batched"), torn=1, damages=damages[:1])
    assert one == ["1 line of the journal is torn or damaged, and left out: line 0: torn.", NO_SUMMARY]
    many = doubts_of(drawn.swept("batched"), torn=5, damages=damages)[0]
    assert many == (
        "5 lines of the journal are torn or damaged, and left out: line 0: torn; line 1: torn; line 2: torn; …."
    )


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("drift", "changed speed over the run (drift)."),
        ("bimodal", "showed two modes, so that one number does not describe them (bimodal)."),
        ("contaminated", "shared the machine with other work (contaminated)."),
        ("throttled", "ran while the device lowered its clocks (throttled)."),
        ("lingering", "left threads at work that disturb what is timed next (lingering)."),
    ],
)
def test_a_flag_is_told_with_how_many_cases_have_it(flag, words):
    records = drawn.swept("batched", sizes=(64, 128, 256))
    flagged = [drawn.timed(record, 1e-3, flags=["wide", flag] if k < 2 else []) for k, record in enumerate(records)]
    assert f"Of 3 timed cases 2 {words}" in doubts_of(flagged)


def test_several_flags_are_one_doubt():
    records = drawn.swept("batched", sizes=(64, 128, 256))
    flags = (["drift", "bimodal"], ["drift"], ["contaminated"])
    said = doubts_of([drawn.timed(record, 1e-3, flags=of) for record, of in zip(records, flags, strict=True)])
    assert (
        "Of 3 timed cases 2 changed speed over the run (drift), 1 showed two modes, so that one number does not "
        "describe them (bimodal) and 1 shared the machine with other work (contaminated)."
    ) in said


def test_a_wide_interval_is_no_doubt():
    assert doubts_of([drawn.timed(record, 1e-3, flags=["wide"]) for record in drawn.swept("batched")]) == [NO_SUMMARY]


def test_a_run_that_timed_nothing_says_so():
    assert doubts_of([runs.failed_record("loop", "oom", "too much", n=64)])[-1] == "No case was timed."


def test_ceilings_move_against_those_of_the_run_and_its_policy():
    summary = Summary(
        started="", ended="", wall_seconds=1.0, call_seconds=1.0, call_share=1.0, statuses={}, rounds=1, complete=True,
        ceilings_after=[ceiling("copy", 1.8e10 * (1 + DEFAULT.run.ceiling_drift + 0.01), "B/s"), ceiling("new", 1.0)],
    )  # fmt: skip
    fields = {"summary": summary, "environment": runs.environment("cpu", "a processor")}
    (told,) = doubts_of(drawn.swept("batched"), **fields)
    assert told.startswith("The machine's ceilings moved over the run: copy by +")
    calm = summary.model_copy(update={"ceilings_after": [ceiling("copy", 1.8e10 * 1.01, "B/s")]})
    assert doubts_of(drawn.swept("batched"), **{**fields, "summary": calm}) == []


def test_other_runs_on_the_host_are_a_doubt_and_none_is_none():
    records = [record.model_copy(update={"neighbours": 0}) for record in drawn.swept("batched", sizes=(64, 128, 256))]
    run = drawn.run_of(records)
    assert not any("same host" in line for line in warnings(run, frame(run)))
    beside = drawn.run_of([records[0], *(one.model_copy(update={"neighbours": 3}) for one in records[1:])])
    assert "During 2 timed cases up to 3 other runs measured on the same host." in warnings(beside, frame(beside))
