"""A run that is gone on with is the one that was planned: what asks for another is refused, all of it in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnbench.options import Cases, Devices, Effort, Place
from attnbench.reading import make_run_request, make_time_limits
from attnbench.resuming import check_resumed, check_swept
from harness.cluster.orders import Order
from harness.cluster.store import Store
from harness.records import PlannedCase
from harness.results.plan_file import Part
from harness.runner import execute
from harness.runner.selection import SelectionError
from scenarios import catalog
from tests.support.runs import ok_case
from tests.support.scripted import plan_of

SIZES = [64, 128]


@pytest.fixture
def kernel(tmp_path):
    (tmp_path / "k.py").write_text("")
    return tmp_path / "k.py"


@pytest.fixture
def plan(kernel):
    """What `run sequence-length -a n=64,128 --impl batched --impl loop --impl-file k.py --rigorous` is planned as."""
    swept = catalog.find("sequence-length").with_axes({"n": SIZES})
    cases = [PlannedCase(case=ok_case(name, n=n)) for name in ("batched", "loop") for n in SIZES]
    return plan_of(*cases, scenarios=[swept], impl_files=[str(kernel)], preset="rigorous", threads=2)


def check(plan, *, cases=None, place=None, effort=None):
    cases, place, effort = cases or Cases(), place or Place(), effort or Effort()
    request = make_run_request(cases, place, effort, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "stored_plan", lambda _: plan)
        check_resumed(Path("runs/x"), request, cases=cases, place=place, effort=effort)


def test_options_may_be_left_out_or_repeated_in_any_order(plan, kernel, monkeypatch):
    check(plan)
    monkeypatch.chdir(kernel.parent)
    for impl in (["loop", "batched"], ["b*", "loop"], ["batched"]):
        cases = Cases(["sequence-length"], impl=impl, impl_file=["k.py"], axis=["n=64,128"], dtype=["float32"])
        check(plan, cases=cases, place=Place("cpu", 2), effort=Effort(rigorous=True, baseline="batched", seed=7))


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        ({"cases": Cases(["heads"])}, "scenario heads"),
        ({"cases": Cases(impl=["batched", "sdpa-*"])}, "--impl sdpa-*"),
        ({"cases": Cases(axis=["n=64,128,256"])}, "-a n=64,128,256"),
        ({"cases": Cases(axis=["causal=true"])}, "-a causal=True"),
        ({"cases": Cases(dtype=["float16"])}, "--dtype float16"),
        ({"cases": Cases(direction=["backward"])}, "--direction backward"),
        ({"cases": Cases(cache=["cold"])}, "--cache cold"),
        ({"cases": Cases(keyword="n=64")}, "-k 'n=64'"),
        ({"cases": Cases(shard="1/2")}, "--shard 1/2"),
        ({"place": Place("cpu", 1)}, "--threads 1"),
        ({"effort": Effort(fast=True)}, "--fast"),
        ({"effort": Effort(precision="7%")}, "--precision 7%"),
        ({"effort": Effort(allocator="system")}, "--allocator system"),
        ({"effort": Effort(baseline="loop")}, "--baseline loop"),
        ({"effort": Effort(seed=8)}, "--seed 8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_option_that_asks_for_another_run_is_refused_by_name(plan, asked, lacking):
    with pytest.raises(SelectionError) as refused:
        check(plan, **asked)
    rest = "--resume goes on with its plan: leave that out, or choose another -o"
    assert str(refused.value) == f"runs/x was planned without {lacking}; {rest}"


def test_another_file_and_another_device_are_refused_in_one_line(plan, tmp_path):
    other = tmp_path / "other.py"
    other.write_text("")
    elsewhere = plan.model_copy(update={"device": "cuda:0"})
    with pytest.raises(SelectionError, match=f"without --impl-file {other}, --device cpu; "):
        check(elsewhere, cases=Cases(impl_file=[str(other)]), place=Place("cpu"))


def test_a_part_goes_on_as_the_same_part(plan):
    part = plan.model_copy(update={"part": Part(name="1/2", whole={})})
    check(part, cases=Cases(shard="1/2"))
    check(part)
    with pytest.raises(SelectionError, match="--shard 2/2"):
        check(part, cases=Cases(shard="2/2"))


@pytest.fixture
def sweep(plan, tmp_path):
    """What the same run with `--workers 2 --timeout 60` begins: a case an order, of two classes."""
    orders = [
        Order(chunk=str(at), on="h100" if at else "cpu", fingerprint={}, plan=plan.model_copy(update={"cases": [case]}))
        for at, case in enumerate(plan.cases)
    ]
    store = Store(tmp_path / "swept")
    store.make()
    store.begin(orders, command=[], one_per_host=False, limits=make_time_limits(Effort(timeout="60")))
    return store


def check_sweep(store, *, cases=None, place=None, effort=None, devices=None):
    cases, place, effort, devices = cases or Cases(), place or Place(), effort or Effort(), devices or Devices("2")
    request = make_run_request(cases, place, effort, device="cpu")
    limits = make_time_limits(effort)
    check_swept(store, request, limits, cases=cases, place=place, effort=effort, devices=devices)


def test_a_sweep_goes_on_with_options_left_out_repeated_or_on_other_workers(sweep, kernel):
    check_sweep(sweep)
    cases = Cases(["sequence-length"], impl=["loop", "batched"], impl_file=[str(kernel)], axis=["n=64,128"])
    effort = Effort(rigorous=True, baseline="batched", seed=7, timeout="1m")
    check_sweep(sweep, cases=cases, place=Place("cuda:1", 2), effort=effort, devices=Devices("local", on="h100"))


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        ({"cases": Cases(["heads"], impl=["sdpa-*"])}, "scenario heads, --impl sdpa-*"),
        ({"cases": Cases(keyword="n=64"), "place": Place(None, 1)}, "-k 'n=64', --threads 1"),
        ({"effort": Effort(fast=True, seed=8)}, "--fast, --seed 8"),
        ({"effort": Effort(timeout="5", time_budget="10m")}, "--time-budget 10m, --timeout 5"),
        ({"effort": Effort(sustain=True, fresh_memory=True)}, "--sustain, --fresh-memory"),
        ({"effort": Effort(ceilings="fresh")}, "--ceilings fresh"),
        ({"devices": Devices("2", on="cpu,a100")}, "--on a100"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sweep_refuses_each_option_that_asks_for_another_in_the_same_words(sweep, asked, lacking):
    with pytest.raises(SelectionError) as refused:
        check_sweep(sweep, **asked)
    rest = "--resume goes on with its plan: leave that out, or choose another -o"
    assert str(refused.value) == f"{sweep.directory} was planned without {lacking}; {rest}"


def test_a_sweep_that_did_not_keep_its_limits_goes_on_under_any(sweep):
    fleet = sweep.directory / "fleet.json"
    document = json.loads(fleet.read_text())
    document.pop("limits")
    fleet.write_text(json.dumps(document))
    check_sweep(sweep, effort=Effort(timeout="5"))
