"""The line under each case measures that case again, and no other."""

from __future__ import annotations

import argparse
import json
import shlex

import pytest

from attnbench.options import Cases
from attnbench.reading import find_scenarios, make_selection
from harness.results.plan_file import Plan
from harness.results.run import Run, read_run
from harness.runner import plan
from harness.runner.selection import Selection
from reports.frame import frames
from reports.page.embedded import pack, profiling, reproduce
from scenarios import catalog
from tests.support import runs

NAMES = {
    "attention": ["batched", "sdpa-flash"],
    "multihead": ["d2l", "mha/batched", "phase/projections"],
    "pooling": ["average", "learned"],
    "varlen": ["loop", "padded"],
}


def parsed(line):
    words = shlex.split(line)
    assert words[:2] in (["attnbench", "run"], ["attnbench", "profile"])
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario")
    for name in ("impl", "axis", "dtype", "direction", "cache", "impl-file"):
        parser.add_argument(f"--{name}", action="append", **({"dest": "axis"} if name == "axis" else {}))
    parser.add_argument("-a", action="append", dest="axis")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int)
    return parser.parse_args(words[2:])


def planned_by(line):
    asked = parsed(line)
    cases = Cases(impl=asked.impl, axis=asked.axis, dtype=asked.dtype, direction=asked.direction, cache=asked.cache)
    selection = make_selection(cases)
    chosen = [plan.select(one, selection, device=asked.device) for one in find_scenarios([asked.scenario])]
    return plan.expand(chosen, names=NAMES, selection=selection, device=asked.device)[0]


def run_of(name, device):
    scenario = plan.select(catalog.find(name), Selection(), device=device)
    cases, _ = plan.expand([scenario], names=NAMES, selection=Selection(), device=device)
    planned = Plan(
        created="", command=["attnbench", "run"], device=device, seed=0, baseline="batched", threads=2, policy={},
        scenarios=[scenario.model_dump(mode="json")], cases=[],
    )  # fmt: skip
    return cases, Run(
        path=None, label="run", records=(), waiting=(), plan=planned, environment=None, summary=None, verdicts=(),
        judged=False, torn=0, rounds={},
    )  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("name", [scenario.name for scenario in catalog.CATALOG])
def test_the_line_plans_its_case_and_nothing_else(name, device):
    cases, run = run_of(name, device)
    for case in cases[:: max(1, len(cases) // 12)]:
        assert [found.id for found in planned_by(reproduce(case, run=run))] == [case.id]
        assert [found.id for found in planned_by(profiling(case, plan=run.plan))] == [case.id]


def test_the_line_has_what_the_user_tied():
    _, run = run_of("sequence-length", "cpu")
    tied = Selection(axes={"n": [256, 512], "n_q": ["n/2"]})
    scenario = plan.select(catalog.find("sequence-length"), tied, device="cpu")
    cases, _ = plan.expand([scenario], names=NAMES, selection=tied, device="cpu")
    command = ["attnbench", "run", "sequence-length", "-a", "n=256,512", "-a", "n_q=n/2"]
    changed = run.plan.model_copy(update={"scenarios": [scenario], "command": command})
    for case in cases:
        assert case.point["n_q"] == case.point["n"] // 2
        assert [found.id for found in planned_by(profiling(case, plan=changed))] == [case.id]


def test_the_line_names_the_kernel_file_the_scenario_file_and_the_threads(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",), failures=False))
    changed = run.plan.model_copy(
        update={"impl_files": ["/home/me/my kernel.py"], "command": ["attnbench", "run", "sweeps/batch.toml"]}
    )
    line = reproduce(run.records[0].case, run=Run(**{**vars(run), "plan": changed}))
    assert line.startswith("attnbench run sweeps/batch.toml --impl ")
    assert "--impl-file '/home/me/my kernel.py'" in line
    assert "--threads 2" in line


def test_a_name_cannot_add_a_command_to_the_line():
    case = runs.ok_case("x; rm -rf $HOME", n=64)
    assert shlex.split(reproduce(case))[4] == "x; rm -rf $HOME"


def test_the_page_has_the_line_of_every_case(tmp_path):
    import base64
    import gzip

    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",)))
    content = json.loads(gzip.decompress(base64.b64decode(pack([run], frames([run])))))
    assert [detail["again"] for detail in content["details"]] == [
        reproduce(record.case, run=run) for record in run.records
    ]
    assert [detail.get("profile") for detail in content["details"]] == [
        profiling(record.case, plan=run.plan) if record.status == "ok" else None for record in run.records
    ]
