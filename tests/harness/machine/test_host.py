"""What the machine is comes from the system's files; what they don't say has a reason, and nothing needs torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.machine import host, nvml
from tests.harness.machine.test_processor import write


def known(root):
    facts = host.Facts()
    host.host_stable(facts, root=root)
    return facts


def test_a_bare_machine_has_a_reason_for_each_absence_and_its_cores_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "cpu_model", lambda *, root: None if root == tmp_path else "a processor")
    facts = known(tmp_path)
    assert set(facts.reasons) == {
        *("cpu", "cpu_flags", "cpu_quota_cores", "cpu_caches", "numa_nodes", "smt", "transparent_huge_pages"),
    }
    assert all(facts.reasons.values())
    assert not set(facts.values) & set(facts.reasons)
    assert facts.values["cpu_cores"] >= facts.values["cpu_cores_allowed"] >= 1
    assert facts.values["kernel"]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("flags : fpu avx2 avx made_up avx512f\n", ["avx", "avx2", "avx512f"]),
        ("Features : fp asimd sve bf16\n", ["asimd", "bf16", "sve"]),
        ("flags : fpu made_up\n", []),
    ],
)
def test_instruction_sets_that_choose_kernels_are_listed_in_one_order_on_any_architecture(tmp_path, text, flags):
    write(tmp_path, "proc/cpuinfo", text)
    assert known(tmp_path).values["cpu_flags"] == flags


@pytest.mark.parametrize(("text", "value"), [("1\n", True), ("0\n", False)])
def test_shared_cores_nodes_and_huge_pages_are_read(tmp_path, text, value):
    write(tmp_path, "sys/devices/system/cpu/smt/active", text)
    for node in ("node0", "node1", "node12"):
        write(tmp_path, f"sys/devices/system/node/{node}/cpulist", "0\n")
    write(tmp_path, "sys/devices/system/node/possible", "0-12\n")
    write(tmp_path, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    facts = known(tmp_path)
    assert facts.values["smt"] is value
    assert facts.values["numa_nodes"] == 3
    assert facts.values["transparent_huge_pages"] == "madvise"


def test_a_setting_of_which_none_is_chosen_is_absent(tmp_path):
    write(tmp_path, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise never\n")
    assert known(tmp_path).reasons["transparent_huge_pages"] == "the system does not say"


def test_a_value_that_is_false_or_zero_is_no_absence():
    facts = host.Facts()
    for name, value in (("a", False), ("b", 0), ("c", []), ("d", None)):
        facts.put(name, value, absent="nobody tells")
    assert facts.values == {"a": False, "b": 0, "c": []}
    assert facts.reasons == {"d": "nobody tells"}


def test_readings_of_nvml_join_the_facts_with_their_reasons():
    facts = host.Facts()
    facts.put("cpu", None, absent="no name")
    facts.take(nvml.Readings(values={"gpu": "a GPU", "reasons": ["idle"]}, reasons={"gpu_ecc": "NVML: Not Supported"}))
    assert facts.values == {"gpu": "a GPU", "reasons": ["idle"]}
    assert facts.reasons == {"cpu": "no name", "gpu_ecc": "NVML: Not Supported"}


def test_the_machine_is_known_without_torch():
    code = "import sys, harness.machine.host as h; h.host_stable(h.Facts()); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
