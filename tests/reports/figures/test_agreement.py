"""Errors are told as shares of their budget, by dtype and by what a case asks for."""

from __future__ import annotations

import pytest

from harness.records import Agreement, Check
from harness.results.run import read_runs
from reports import style
from reports.figures import agreement
from reports.figures.agreement import POINTS_AT_MOST, budget_shares, by_feature, draw_shares
from reports.frame import frames
from tests.support import runs
from tests.support.drawn import BASE, colors_of, run_of, table_of


def test_agreement_is_told_by_dtype_and_feature(tmp_path):
    records = [
        runs.ok_record("batched", n=128, d=64, heads=4, batch=1),
        runs.ok_record("batched", n=128, d=64, heads=4, batch=1, causal=True),
        runs.ok_record("batched", n=128, d=64, heads=4, kv_heads=2, batch=1),
    ]
    runs.write_run(tmp_path / "run", records, judged=False)
    table = frames(read_runs([tmp_path / "run"]))
    assert agreement.features(table) == ["plain forward", "causal", "grouped heads"]
    figure = agreement.by_feature(table)
    for words in ("float32, plain forward", "float32, causal", "float32, grouped heads"):
        assert f">{words}<" in figure.svg
    assert {row[2] for row in agreement.budget_shares(table, style.looks(table["implementation"])).rows} == {
        "plain forward",
        "causal",
        "grouped heads",
    }


def checked(implementation, ratio, **point):
    check = Check(name="max", error=ratio, budget=1.0, ratio=ratio, passed=ratio <= 1)
    agreement_ = Agreement(passed=ratio <= 1, checks=[check])
    return runs.ok_record(implementation, **{**BASE, "n": 64, **point}).model_copy(update={"agreement": agreement_})


def test_the_largest_share_is_named_and_those_over_budget_counted():
    records = [checked("batched", 0.2), checked("loop", 1.5), checked("loop", 0.4, n=128)]
    figure = budget_shares(table_of(run_of(records)), colors_of("batched", "loop"))
    assert figure.finding == "3 cases checked, 1 over budget; the largest share is 1.50, of loop in float32."
    assert figure.rows == (
        ("batched", "float32", "plain forward", "1", "0.200", "0.200"),
        ("loop", "float32", "plain forward", "2", "0.950", "1.50"),
    )


def test_what_was_not_checked_has_no_figure():
    bare = [checked("batched", 0.2).model_copy(update={"agreement": None}), checked("loop", 0.0)]
    assert budget_shares(table_of(run_of(bare)), colors_of("batched", "loop")) is None
    assert by_feature(table_of(run_of(bare))) is None


def test_one_kind_needs_no_map():
    assert by_feature(table_of(run_of([checked("batched", 0.2), checked("loop", 0.3)]))) is None


@pytest.mark.parametrize(
    ("point", "feature"),
    [
        ({"causal": False}, "plain forward"),
        ({"kv_heads": 2}, "plain forward"),
        ({"kv_heads": 1}, "grouped heads"),
        ({"n_q": 8, "n_k": 8}, "plain forward"),
        ({"n_q": 8, "n_k": 16}, "n_q ≠ n_k"),
        ({"d_v": 32, "causal": True}, "causal, d_v ≠ d"),
        ({"valid_lens": [3, 5]}, "valid_lens"),
    ],
)
def test_what_a_case_asks_for_is_told_from_a_plain_call(point, feature):
    assert agreement.features(table_of(run_of([checked("batched", 0.2, **point)]))) == [feature]


def test_the_warmest_kind_stands_first():
    records = [checked("batched", 0.2), checked("loop", 0.1), checked("loop", 0.9, causal=True)]
    figure = by_feature(table_of(run_of(records)))
    assert figure.finding == "The largest share is 0.900, of loop in float32, causal."
    assert figure.svg.index(">float32, causal<") < figure.svg.index(">float32, plain forward<")


def test_a_strip_of_many_points_is_thinned_and_keeps_the_largest():
    records = [checked("batched", (k + 1) / 1000, n=k + 1) for k in range(POINTS_AT_MOST + 50)]
    drawing = draw_shares(table_of(run_of(records)), colors_of("batched"))
    drawn = drawing.axes[0].collections[0].get_offsets()
    assert len(drawn) == POINTS_AT_MOST
    assert max(x for x, _ in drawn) == pytest.approx(0.3)
