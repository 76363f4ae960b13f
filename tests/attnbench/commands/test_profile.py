"""One case is taken apart from the command line: from a scenario, from a run; a wrong or unclear one is refused."""

from __future__ import annotations

import json
import os

import pytest

from harness.results.documents import whole
from harness.runner import plan
from harness.runner.selection import Selection
from scenarios import catalog
from tests.support import runs
from tests.support.commands import in_process

WRONG = """
from attnbench import register


@register(problem="attention", name="wrong", devices=("cpu",), dtypes=("float32",))
def wrong(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return 0.9 * (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    # Names of folders need not be text.
    folder = tmp_path_factory.mktemp("profile") / os.fsdecode(b"out\xff")
    done = in_process("profile", "smoke", "-a", "n=16", "--impl", "batched", *CPU, "--counters", "-o", folder)
    assert done.exit_code == 0, done.output
    return folder, done.stdout


def test_a_case_leaves_its_trace_its_tables_and_a_document(profiled):
    folder, said = profiled
    names = {"profile.html", "trace.json.gz", "profile.json", "parts.csv", "memory.csv"}
    assert {path.name for path in folder.iterdir()} == names
    assert "aten::bmm" in (folder / "profile.html").read_text(encoding="utf-8")
    document = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    assert sum(part["share"] for part in document["profile"]["parts"]) == pytest.approx(1.0)
    assert "aten::bmm" in said
    assert "hardware counters are read on CUDA devices alone, not on cpu" in said
    assert document["counters"] == []
    assert "bound it" in said or "bounds it" in said or "No ceiling is near" in said
    assert f"{whole(str(folder))}/trace.json.gz (open it at https://ui.perfetto.dev)" in said
    for line in document["commands"]:
        assert line in said
        assert line.endswith("--bare")


@pytest.mark.usefixtures("worker_here")
def test_a_case_of_a_run_is_found_by_its_id_and_only_called_where_asked(tmp_path):
    scenario = plan.select(catalog.find("smoke"), Selection(), device="cpu")
    cases, _ = plan.expand([scenario], names={"attention": ["batched"]}, selection=Selection(), device="cpu")
    case = cases[0]
    runs.write_run(tmp_path / "run", [runs.ok_record("batched", n=64)])
    stored = tmp_path / "run" / "plan.json"
    document = {**json.loads(stored.read_text()), "device": "cpu", "scenarios": [scenario.model_dump(mode="json")]}
    stored.write_text(json.dumps(document))
    done = in_process("profile", tmp_path / "run" / case.id, *CPU, "--threads", 1, "--bare", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(case.label)
    assert "calls were made" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("worker_here")
def test_a_wrong_kernel_is_not_profiled(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    words = ["profile", "smoke", "-a", "n=16", "--impl", "wrong", "--impl-file", tmp_path / "wrong.py", *CPU]
    done = in_process(*words, "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "disagreed: " in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("worker_here")
def test_what_is_unclear_or_nowhere_is_told_in_a_line(tmp_path):
    done = in_process("profile", "smoke", "--impl", "batched", *CPU, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "one case is profiled, and " in done.stderr
    assert not (tmp_path / "out").exists()
    done = in_process("profile", tmp_path, *CPU)
    assert (done.exit_code, done.stderr) == (2, f"attnbench: {tmp_path} is no run directory\n")
