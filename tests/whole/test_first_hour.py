"""The README's five commands, from a clone to one's own kernel beside PyTorch's, run as they stand there.

Its run has fewer sizes here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from impls import discovery
from scenarios import catalog
from tests.support.places import ROOT

PROGRAM = ".venv/bin/attnbench"


def block(page, heading):
    """The commands of the first block of shell lines below a heading."""
    text = page[page.index(f"## {heading}\n") :]
    return re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1].splitlines()


# The sizes that a run is kept to here; what is done with them is as with all.
SHORTER = ["-a", "n=64,128,256"]
COMMANDS = block((ROOT / "README.md").read_text(encoding="utf-8"), "Your kernel beside PyTorch's")


def test_the_first_command_installs_this_checkout_at_the_pinned_versions():
    assert len(COMMANDS) == 5
    assert COMMANDS[0] == "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ."
    assert all(command.startswith(f"{PROGRAM} ") for command in COMMANDS[1:])


@pytest.mark.slow
def test_the_other_four_run_in_order_and_end_with_the_kernel_beside_pytorch_s(tmp_path):
    said = {}
    for command in COMMANDS[1:]:
        words = [sys.executable, "-m", "attnbench", *shlex.split(command.removeprefix(PROGRAM))]
        words += SHORTER if words[3] == "run" else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=400
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        said[words[3]] = done.stdout
    assert (tmp_path / "my_kernel.py").is_file()
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()
    assert re.search(r"my-kernel .*agrees", said["check"])
    assert "my-kernel" in said["compare"]
    assert "sdpa-auto" in said["compare"]


def test_the_kernel_and_the_scenario_of_the_pages_are_read_as_they_stand(tmp_path):
    kernel = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    file = tmp_path / "kernel.py"
    file.write_text(kernel)
    assert discovery._declared_names(file) == [("attention", "mine")]
    scenario = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8"), re.DOTALL)[
        1
    ]
    written = tmp_path / "decode.toml"
    written.write_text(scenario)
    example = catalog.read(ROOT / "examples" / "decode.toml")
    assert catalog.read(written) == example.model_copy(update={"claims": catalog.read(written).claims})
