"""Plugins that are gone, leave or dawdle cost only themselves, and commands that need no implementation load none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from impls.discovery import ENTRY_POINT_GROUP
from tests.support import runs
from tests.support.places import ROOT

LEAVING = "import pathlib\npathlib.Path({mark!r}).touch()\nraise SystemExit('no licence')\n"
SLOW = """
import time
from impls.attention.batched import batched
from impls.registry import register

time.sleep(0.3)


@register(problem="attention", name="slow-plugin", devices=("cpu",))
def slow(q, k, v, **options):
    return batched(q, k, v, **options)
"""
# Commands that read and judge what there is.
WITHOUT = """
import sys
from attnbench import main
for line in sys.argv[1:]:
    sys.argv = ["attnbench", *line.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (line, ended.code)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A distribution of three entry points: a module that is gone, one that ends its process, one that takes long."""
    folder = tmp_path_factory.mktemp("site")
    information = folder / "dead_plugins-0.3.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: dead-plugins\nVersion: 0.3\n")
    (information / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\ngone = a_module_that_is_gone\nleaving = a_leaving_plugin\nslow = a_slow_plugin\n"
    )
    (folder / "a_leaving_plugin.py").write_text(LEAVING.format(mark=str(folder / "imported")))
    (folder / "a_slow_plugin.py").write_text(SLOW)
    return folder


def python(place, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, cwd=place, env=environment, timeout=280,
    )  # fmt: skip


def test_commands_that_need_no_implementation_load_no_plugin(place):
    runs.write_run(place / "run", [runs.ok_record(n=64)])
    (place / "table.csv").write_text("n,seconds\n" + "".join(f"{n},{n * n}\n" for n in (64, 128, 256, 512)))
    lines = ["--help", "verify --csv table.csv --exponent 2", "report run -o page.html", "report run --format md"]
    done = python(place, "-c", WITHOUT, *lines)
    assert done.returncode == 0, done.stderr
    assert not (place / "imported").exists()


def test_each_dead_plugin_is_unavailable_with_entry_point_distribution_and_reason(place):
    done = python(place, "-m", "attnbench", "list", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["implementations"]}
    assert (place / "imported").exists()
    assert found["gone"]["reason"] == "ModuleNotFoundError: No module named 'a_module_that_is_gone'"
    assert found["leaving"]["reason"] == "SystemExit: no licence"
    for name in ("gone", "leaving"):
        assert not found[name]["available"]
        assert found[name]["source"] == f"entry point {name} of dead-plugins 0.3"
    assert found["slow-plugin"]["available"]
    assert found["batched"]["available"]


def test_others_are_planned_beside_dead_plugins(place):
    done = python(place, "-m", "attnbench", "plan", "smoke", "--device", "cpu", "--impl", "batched", "-a", "n=16")
    assert done.returncode == 0, done.stderr
    assert "1 cases, 1 to run" in done.stdout
