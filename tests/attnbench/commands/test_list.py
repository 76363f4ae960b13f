"""`attnbench list` finds what there is without any list, and says why something is unavailable."""

from __future__ import annotations

import json
import shutil

import pytest

from attnbench.commands.list import _state
from harness.protocol.messages import DescribedImplementation
from impls.registry import RARE
from scenarios import catalog
from tests.support.commands import attnbench, in_process
from tests.support.places import PLANTED, ROOT


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """What a copy of our sources lists as JSON beside a file that kills its process, with a new file for attention."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("attnbench", "harness", "impls", "scenarios", "reports"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    kernel = tree / "impls" / "attention" / "planted_by_a_test.py"
    kernel.write_text((PLANTED / "failures.py").read_text().replace("planted-", "folder-"))
    asked = ("list", "--impl-file", str(PLANTED / "kills_on_import.py"), "--json", "--device", "cpu")
    done = attnbench(*asked, cwd=tree)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_plugin_that_kills_the_process_on_import_is_unavailable(listed):
    entries = {entry["name"]: entry for entry in listed["implementations"]}
    assert not entries["kills-on-import"]["available"]
    assert "SIGSEGV" in entries["kills-on-import"]["reason"]
    assert entries["batched"]["available"]


def test_a_new_file_in_the_folder_is_found_with_no_list_edited(listed):
    assert "folder-right" in [entry["name"] for entry in listed["implementations"]]


def test_json_has_every_scenario_and_device(listed):
    assert [scenario["name"] for scenario in listed["scenarios"]] == [scenario.name for scenario in catalog.CATALOG]
    assert listed["device"] == "cpu"
    assert "cpu" in listed["devices"]
    assert {one["name"] for one in listed["found_devices"]} >= set(listed["devices"])


def test_what_a_package_failed_to_bring_is_named_by_entry_point_and_distribution():
    gone = DescribedImplementation(
        problem="attention", name="gone", available=False, reason="no module", source="entry point gone of mine 0.3"
    )
    assert _state(gone) == "unavailable: no module (entry point gone of mine 0.3)"
    assert _state(gone.model_copy(update={"source": "/folder/gone.py"})) == "unavailable: no module"


@pytest.mark.usefixtures("worker_here")
def test_text_has_a_line_for_each_with_a_star_at_the_default_set():
    done = in_process("list", "--device", "cpu")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Implementations on cpu (")
    (batched,) = [line for line in lines if line.split()[:2] == ["attention", "batched"]]
    assert set(batched.split()[2:]) == {"causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward", *RARE}
    (cudnn,) = [line for line in lines if line.split()[:2] == ["attention", "sdpa-cudnn"]]
    assert "unavailable: " in cudnn
    (compiled,) = [line for line in lines if line.split()[:2] == ["attention", "compiled"]]
    assert compiled.endswith(" (by name only)")
    assert "-a online.block=32,64,256,512" in done.stdout
    assert "online:block" not in done.stdout
    starred = [line.split()[1] for line in lines if line.startswith("  * ")]
    assert sorted(starred) == sorted(catalog.DEFAULT)
    assert any(line.startswith("  cpu") for line in lines[lines.index("Devices:") :])
