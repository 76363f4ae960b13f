"""Counters come from a process of its own, through nsight-python; where they can't be read, a line says why."""

from __future__ import annotations

import pytest

from harness.policy import Policy
from harness.runner.profiling import counters
from harness.runner.supervisor import WorkerSettings
from tests.support.runs import ok_case

# Stands for nsight-python, with the calls that its documentation shows: it runs the function and counts no hardware.
STAND_IN = """
import contextlib

import pandas as pd

made = []


@contextlib.contextmanager
def annotate(name):
    made.append(name)
    yield


class Results:
    def __init__(self, metrics):
        self.metrics = metrics

    def to_dataframe(self):
        rows = [{"Metric": name, "AvgValue": 42.0, "Unit": "%", "Kernel": made[-1]} for name in self.metrics]
        return pd.DataFrame([*rows, {"Metric": "absent", "AvgValue": float("nan"), "Unit": None, "Kernel": ""}])


class analyze:
    @staticmethod
    def kernel(*, runs, metrics, replay_mode, output_prefix):
        def decorate(function):
            def wrapped(*arguments):
                function(*arguments)
                return Results(metrics)

            return wrapped

        return decorate
"""
SETTINGS = WorkerSettings(device="cpu", policy=Policy(), threads=1)


def test_a_process_of_its_own_makes_the_calls_and_its_counters_come_back(tmp_path, monkeypatch):
    (tmp_path / "nsight.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, why = counters.ask(SETTINGS, ok_case("batched", n=16, d=8), seed=0)
    assert why == ""
    assert found[0].model_dump() == {
        "name": "gpu__time_duration.sum", "value": 42.0, "unit": "%", "kernel": "attnbench_call",
    }  # fmt: skip
    assert "absent" not in {one.name for one in found}


def test_the_last_line_of_a_process_that_fails_is_the_reason(tmp_path, monkeypatch):
    (tmp_path / "nsight.py").write_text("raise OSError('no right to read counters')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = counters.ask(SETTINGS, ok_case("batched", n=16, d=8), seed=0)
    assert found == ([], "hardware counters: OSError: no right to read counters")


@pytest.mark.parametrize(
    ("device", "is_installed", "has_ncu", "said"),
    [
        ("cpu", True, True, "hardware counters are read on CUDA devices alone, not on cpu"),
        ("cuda:0", False, True, 'hardware counters need nsight-python: pip install "attnbench[ncu]"'),
        ("cuda:0", True, False, "hardware counters need Nsight Compute: no ncu is on the PATH"),
        ("cuda:0", True, True, ""),
    ],
)
def test_what_is_missing_is_said_in_a_line(device, is_installed, has_ncu, said, tmp_path, monkeypatch):
    if is_installed:
        (tmp_path / "nsight.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setattr(counters.importlib.util, "find_spec", lambda _: None)
    if has_ncu:
        (tmp_path / "ncu").write_text("#!/bin/sh\n")
        (tmp_path / "ncu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert counters.missing(device) == said
