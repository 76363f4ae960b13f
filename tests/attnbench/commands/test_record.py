"""`attnbench record` writes what a program called, ends as it did, and never writes over a file."""

from __future__ import annotations

import json
import sys

from scenarios import catalog
from tests.support.commands import attnbench, in_process

PROGRAM = """
import sys, torch
print("out of the program")
q = torch.randn(1, 2, 8, 16)
for _ in range(3):
    torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
sys.exit(int(sys.argv[1]))
"""


def test_a_program_s_calls_are_a_scenario_that_is_planned(tmp_path):
    program, file = tmp_path / "program.py", tmp_path / "mine.toml"
    program.write_text(PROGRAM)
    done = attnbench("record", "--json", "-o", str(file), "--", sys.executable, str(program), "5")
    assert done.returncode == 5
    told = json.loads(done.stdout)
    assert (told["code"], [call["weight"] for call in told["calls"]], told["left_out"]) == (5, [3], [])
    assert "out of the program" in done.stderr
    point = {"batch": 1, "heads": 2, "n_q": 8, "n_k": 8, "d": 16, "causal": True}
    assert catalog.find(str(file)).points()[0] == [point]
    planned = in_process("plan", file, "--device", "cpu", "--impl", "sdpa-*", "--json")
    cases = json.loads(planned.stdout)["cases"]
    assert all(case["case"]["point"] == point for case in cases)
    again = in_process("record", "-o", file, "--", sys.executable, program, "0")
    assert again.exit_code == 2
    assert "exists: choose another name" in again.output


def test_a_program_without_attention_is_told_so_and_one_that_hides_from_the_recorder_too(tmp_path):
    file = tmp_path / "none.toml"
    none = in_process("record", "-o", file, "--", sys.executable, "-c", "pass")
    assert (none.exit_code, "it made none" in none.output) == (2, True)
    hidden = in_process("record", "-o", file, "--", sys.executable, "-I", "-c", "pass")
    assert "read PYTHONPATH" in hidden.output
    missing = in_process("record", "-o", file, "--", str(tmp_path / "no-such-program"))
    assert "can't run" in missing.output
    assert not file.exists()
