"""The comparison with other tools: every tool runs or says why not, and the table says what the numbers say."""

from __future__ import annotations

import pytest
import torch

from harness.instruments.rounds import Samples
from harness.policy import DEFAULT, Policy, TimingPolicy
from tests.evidence.peers import cases, compare_tools, d2l_ratio, tools
from tests.support.sections import replaced

QUICK = Policy(
    timing=TimingPolicy(
        rounds_at_least=3,
        rounds_at_most=3,
        looks=(3,),
        block_seconds_cpu=1e-4,
        warm_up_calls=2,
        warm_up_seconds=0.0,
    )
)


def timed(centre, width=0.1, wall=1.0):
    return tools.Timed(centre, centre * (1 - width), centre * (1 + width), wall)


@pytest.fixture(scope="module")
def case():
    return cases.build("batched", {"n": 16, "d": 8}, dtype="float32", device="cpu")


@pytest.mark.parametrize("name", ["torch blocked_autorange", "pytest-benchmark"])
def test_a_peer_gives_a_centre_its_interval_and_its_cost(case, name):
    tool = next(tool for tool in tools.PEERS if tool.name == name)
    assert not tool.absent("cpu")
    with torch.no_grad():
        found = tool.time(case)
    assert found.centre > 0
    # On a busy machine a tool may take fewer than six samples, which have no interval.
    assert found.low is None or found.low <= found.centre <= found.high
    assert found.wall > 0


def test_ours_times_all_cases_in_shared_rounds():
    grid = cases.every("cpu", is_quick=True)
    with torch.no_grad():
        found = tools.attnbench(grid, policy=QUICK, seed=0)
    assert set(found) == {case.name for case in grid}
    assert all(one.low <= one.centre <= one.high for one in found.values())


def test_what_cannot_run_here_says_why():
    reasons = {tool.name: tool.absent("cpu") for tool in tools.PEERS}
    assert reasons["triton do_bench"] == reasons["nvbench"] == "runs on cuda only"
    missing = tools.Tool("x", tools.do_bench, "nowhere_to_be_found.at_all")
    assert "not installed" in missing.absent("cpu")


def test_the_result_of_nvbench_is_read():
    summary = {"tag": "nv/cold/time/gpu/mean", "data": [{"name": "value", "type": "float64", "value": "0.00125"}]}
    document = {"benchmarks": [{"states": [{"summaries": [{"tag": "nv/other", "data": []}, summary]}]}]}
    assert tools.read_nvbench(document, wall=3.0) == tools.Timed(0.00125, None, None, 3.0)


def test_a_tool_that_reads_ten_percent_low_is_seen():
    ours = {"a": [timed(1.0), timed(1.02)], "b": [timed(2.0), timed(2.0)]}
    low = {"a": [timed(0.9), timed(0.918)], "b": [timed(1.8), timed(1.8)]}
    found = {row.tool: row for row in compare_tools.rows({tools.OURS: ours, "low": low})}
    assert found["low"].ratio == pytest.approx(1 / 0.9)
    assert found[tools.OURS].ratio == 1


def test_an_interval_counts_only_if_it_holds_the_centre_of_the_session():
    ours = {"a": [timed(1.0, width=0.05)] * 3}
    narrow = {"a": [timed(1.2, width=0.01)] * 3}
    nothing = {"a": [tools.Timed(1.0, None, None, 1.0)] * 3}
    found = {row.tool: row for row in compare_tools.rows({tools.OURS: ours, "narrow": narrow, "none": nothing})}
    assert (found[tools.OURS].held, found["narrow"].held, found["none"].held) == (1.0, 0.0, None)


def test_the_page_names_every_tool_and_every_absence():
    results = {tools.OURS: {"a": [timed(1.0), timed(1.1)]}, "other": {"a": [timed(1.0), timed(1.0)]}}
    text = compare_tools.page(results, absent={"nvbench": "runs on cuda only"}, device="cpu", repeats=2)
    assert "| attnbench | 1 |" in text
    assert "| other | 1.0500 | 0.00% | 100% | 10.00% | 1.00 s | 0.00 s |" in text
    assert "nvbench did not run: runs on cuda only" in text
    assert "| a | 1050 ms | 1000 ms |" in text


def interleaved(theirs, ours, *, rounds=7):
    """Return samples of both modules that scatter by a per mille around the given seconds per call."""
    scatter = [1 + 0.001 * (-1) ** index for index in range(rounds)]
    both = ((d2l_ratio.THEIRS, theirs, 1), (d2l_ratio.OURS, ours, -1))
    return {name: Samples(rounds=[[seconds * s**sign] * 3 for s in scatter]) for name, seconds, sign in both}


def test_a_module_that_is_slower_than_the_package_is_named():
    found = {"fine": interleaved(1e-3, 0.9e-3), "slow": interleaved(1e-3, 1.2e-3)}
    lines, judged, pooled = d2l_ratio.table(found, policy=DEFAULT.comparison)
    assert judged["fine"].outcome == "faster"
    assert judged["slow"].outcome == "slower"
    assert judged["slow"].low < 1.2 < judged["slow"].high
    assert pooled.ratio == pytest.approx((0.9 * 1.2) ** 0.5, rel=0.01)
    assert any(line.startswith("| slow | ") and line.endswith(" | slower |") for line in lines)


def test_the_ratio_is_taken_over_every_multihead_point_and_both_kinds_of_mask():
    asked = d2l_ratio.every(is_quick=False)
    assert {"forward", "forward+backward"} == {one.direction for one in asked}
    assert {one.point.get("valid_lens") for one in asked} == {None, "batch", "rows"}
    assert {4096} <= {one.point.get("n") for one in asked}
    assert len({one.name for one in asked}) == len(asked)


def test_a_section_of_a_page_is_replaced_and_the_rest_is_left():
    page = "# Title\n\n<!-- begin x -->\nold\n<!-- end x -->\n\nrest\n"
    assert replaced(page, "x", "new") == page.replace("old", "new")
    assert replaced(replaced(page, "x", "new"), "x", "old") == page
    with pytest.raises(ValueError, match="no section 'y'"):
        replaced(page, "y", "new")
