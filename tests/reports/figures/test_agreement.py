"""Errors are told as shares of their budget, by dtype and by what a case asks for."""

from __future__ import annotations

from harness.results.run import read_runs
from reports import style
from reports.figures import agreement
from reports.frame import frames
from tests.support import runs


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
