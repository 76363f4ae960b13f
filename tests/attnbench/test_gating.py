"""What `attention_gate` gives its worker, and how much of a failure it says."""

from __future__ import annotations

import importlib
import sys

import pytest

from attnbench.gating import NAMED_AT_MOST, Asked, import_folders, mistakes
from harness.records import ProbeOutcome
from harness.runner.check import Report
from impls.registry import REGISTRY

REGISTERS = """
from attnbench import register


@register(problem="attention", name="of-a-package")
def attend(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return q
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that registers an implementation where it is imported."""
    (tmp_path / "a_package_of_kernels.py").write_text(REGISTERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(REGISTRY, "entries", dict(REGISTRY.entries))
    importlib.import_module("a_package_of_kernels")
    yield tmp_path
    sys.modules.pop("a_package_of_kernels")


def test_the_file_of_an_implementation_that_a_test_imported_is_loaded_by_the_worker_too(package):
    assert Asked(name="of-a-package").files == [str(package / "a_package_of_kernels.py")]
    assert Asked(name="batched").files == []


def test_a_package_that_offers_its_kernels_to_every_process_is_not_loaded_twice(package):
    information = package / "a_package_of_kernels-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package-of-kernels\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[attnbench.implementations]\nmine = a_package_of_kernels\n")
    importlib.invalidate_caches()
    assert Asked(name="of-a-package").files == []


def test_folders_are_those_that_the_test_adds(tmp_path, monkeypatch):
    known = import_folders()
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", str(tmp_path / "none"), *sys.path, str(tmp_path)])
    assert import_folders() == [str(tmp_path), *known]
    assert not any("site-packages" in folder for folder in known)


def outcome(number, *, dtype="float32", status="disagreed"):
    return ProbeOutcome(
        implementation="mine", probe=f"probe {number}", dtype=dtype, device="cpu", direction="forward", seed=3,
        status=status, reason="it is off",
    )  # fmt: skip


def test_each_dtype_has_one_failure_in_full_and_few_by_name():
    found = [outcome(number) for number in range(NAMED_AT_MOST + 3)] + [
        outcome(0, dtype="float16"),
        outcome(1, status="ok"),
    ]
    text = mistakes(Report(problem="attention", device="cpu", outcomes=found, unavailable=[]), Asked(name="mine"))
    assert text.splitlines() == [
        f"mine does not pass the gate: {NAMED_AT_MOST + 4} of {NAMED_AT_MOST + 5} probes failed",
        "disagreed: mine float32, probe 0, forward: it is off",
        "  again: attnbench check --impl mine --dtype float32 --device cpu --seed 3 -k 'probe 0, forward'",
        *(f"  also disagreed: probe {number}, forward" for number in range(1, NAMED_AT_MOST + 1)),
        "  and 2 more",
        "disagreed: mine float16, probe 0, forward: it is off",
        "  again: attnbench check --impl mine --dtype float16 --device cpu --seed 3 -k 'probe 0, forward'",
    ]


def test_what_agrees_has_no_mistakes():
    fine = Report(problem="attention", device="cpu", outcomes=[outcome(0, status="ok")], unavailable=[])
    assert not mistakes(fine, Asked(name="mine", dtypes=("float32",)))
