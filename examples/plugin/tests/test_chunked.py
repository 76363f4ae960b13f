"""The kernel agrees with attnbench's oracle, and a wrong one would not pass."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def check(*words: str) -> tuple[int, list[dict[str, object]]]:
    """Return the exit code and the outcomes of the probes that were asked."""
    command = [sys.executable, "-m", "attnbench", "check", "--quick", "--device", "cpu", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, [one for one in json.loads(done.stdout)["outcomes"] if one["status"] != "unsupported"]


def test_the_kernel_agrees_with_the_oracle() -> None:
    code, outcomes = check("--impl", "chunked", "--dtype", "float32", "--dtype", "bfloat16")
    assert code == 0
    assert {one["status"] for one in outcomes} == {"ok"}


def test_a_kernel_without_its_scale_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from attnbench import register\nfrom chunked_attention import attend\n"
        "@register(problem='attention', name='wrong')\n"
        "def wrong(q, k, v, *, causal=False, scale=None, valid_lens=None): return attend(q, k, v, scale=1.0)\n"
    )
    code, outcomes = check("--impl-file", str(wrong), "--impl", "wrong", "--dtype", "float32")
    assert code != 0
    assert "disagreed" in {one["status"] for one in outcomes}
