"""A sweep holds the cases along one axis, whoever asked for them."""

from __future__ import annotations

import json

import pytest

from harness.results.plan_file import Plan
from harness.results.run import read_run, read_runs
from reports.figures.sweep import declaration, sweeps
from reports.frame import frames
from reports.page.render import render
from scenarios import catalog
from tests.support import runs
from tests.support.drawn import BASE, run_of, sweep_of, swept, table_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(
        tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length", "head-dim"), judged=False
    )


def test_a_case_that_two_scenarios_share_is_drawn_in_both(run):
    several = read_runs([run])
    drawn = {
        found.scenario: sorted(set(found.table[found.axis])) for found in sweeps(several, frames(several)) if found.axis
    }
    assert drawn["sequence-length"] == runs.SWEEPS["sequence-length"]["axes"]["n"]
    assert drawn["head-dim"] == runs.SWEEPS["head-dim"]["axes"]["d"]


def test_without_a_plan_the_one_size_that_varies_is_the_axis():
    assert sweep_of(swept("batched")).axis == "n"
    several = [*swept("batched", sizes=(64, 128)), *swept("batched", sizes=(64, 128), d=32)]
    assert sweep_of(several).axis is None
    assert sweep_of(swept("batched", sizes=(64,))).axis is None


def test_conditions_say_what_does_not_vary():
    sweep = sweep_of(swept("batched", causal=True))
    assert sweep.fixed == "d 64, heads 2, batch 1, causal True"
    assert sweep.conditions == "float32, forward, d 64, heads 2, batch 1, causal True"
    cold = [r.model_copy(update={"case": r.case.model_copy(update={"cache": "cold"})}) for r in swept("batched")]
    assert "forward, cold caches, d 64" in sweep_of(cold).conditions


def test_dtypes_directions_and_caches_have_sweeps_of_their_own():
    records = swept("batched", sizes=(64, 128))
    changed = [
        r.model_copy(update={"case": r.case.model_copy(update={"id": f"{value} {r.case.id}", field: value})})
        for field, value in (("dtype", "bfloat16"), ("direction", "backward"), ("cache", "cold")) for r in records
    ]  # fmt: skip
    run = run_of([*records, *changed])
    found = sweeps([run], table_of(run))
    assert [(s.dtype, s.direction, s.cache) for s in found] == [
        ("float32", "forward", "hot"), ("bfloat16", "forward", "hot"), ("float32", "backward", "hot"),
        ("float32", "forward", "cold"),
    ]  # fmt: skip
    assert len({s.key for s in found}) == 4


def test_several_runs_share_a_scale_and_say_whose_they_are():
    one, other = run_of(swept("batched", sizes=(64, 128)), label="a"), run_of(swept("loop", sizes=(64, 256)), label="b")
    found = sweeps([one, other], table_of(one, other))
    assert [s.run for s in found] == ["a", "b"]
    assert set(found[0].table["n"]) == {64.0, 128.0}
    assert set(found[0].shared["n"]) == {64.0, 128.0, 256.0}
    assert found[1].conditions.startswith("b, float32")


def test_failures_are_in_no_sweep():
    failed = runs.failed_record("batched", "oom", "too much", **{**BASE, "n": 8192})
    assert 8192.0 not in set(sweep_of([*swept("batched"), failed]).table["n"])


def test_rows_are_in_order_of_implementation_and_size():
    rows = sweep_of(swept("loop", "batched", sizes=(256, 64))).sorted_by_axis()
    assert list(zip(rows["implementation"], rows["n"], strict=True)) == [
        ("batched", 64.0), ("batched", 256.0), ("loop", 64.0), ("loop", 256.0),
    ]  # fmt: skip


def test_a_scenario_that_a_plan_lacks_is_not_declared(run):
    read = read_runs([run])[0]
    assert declaration(read, "head-dim").axes[0].name == "d"
    assert declaration(read, "elsewhere") is None
    assert declaration(run_of([]), "head-dim") is None


def test_an_implementation_with_a_base_of_its_own_is_drawn_along_a_line_of_its_own(tmp_path):
    lengths = (64, 128, 256, 512)
    records = [runs.ok_record(name, n=n, d=64, heads=2, batch=1) for n in lengths for name in ("batched", "sdpa-auto")]
    records += [runs.ok_record("loop", n=n, d=64, heads=1, batch=1) for n in lengths]
    runs.write_run(tmp_path / "run", records, sweeps=("sequence-length",), judged=False)
    path = tmp_path / "run" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["scenarios"][0]["own_base"] = {"loop": {"heads": 1}}
    path.write_text(json.dumps(plan), encoding="utf-8")
    run = read_run(tmp_path / "run")
    found = sweeps([run], frames([run]))
    assert [set(sweep.table["implementation"]) for sweep in found] == [{"batched", "sdpa-auto"}, {"loop"}]
    assert ["heads 2" in sweep.fixed for sweep in found] == [True, False]
    assert "heads 1" in found[1].fixed
    assert len({sweep.key for sweep in found}) == 2
    page = render([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f'id="time-{sweep.key}' in page for sweep in found)


def test_rectangles_of_one_form_are_drawn_along_n():
    records = [r for n in (64, 128, 256) for r in swept("batched", sizes=(n,), n_q=n // 2)]
    scenario = catalog.find("sequence-length").with_axes({"n": [64, 128, 256], "n_q": ["n/2"]})
    planned = Plan(
        created="", command=[], device="cpu", seed=0, baseline="batched", policy={}, scenarios=[scenario], cases=[]
    )
    found = sweep_of(records, plan=planned)
    assert (found.axis, sorted(found.table["n_q"])) == ("n", [32.0, 64.0, 128.0])
