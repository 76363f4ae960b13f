"""The check on sweeps whose workers are killed can fail: what is lost, doubled, crashed or left is named."""

from __future__ import annotations

import os
import shutil

import pytest

from harness.cluster.orders import Order
from harness.cluster.store import Store
from harness.results import journal
from tests.evidence.cluster_kills import mistakes_of
from tests.support import stand_in_child
from tests.support.scripted import plan_of
from tests.support.steps import planned

CASES = [planned(n=size) for size in (1, 2, 3, 4)]


@pytest.fixture
def swept(tmp_path):
    """A sweep of two chunks of two cases that has its parts."""
    store = Store(tmp_path / "out")
    store.make()
    orders = [
        Order(chunk=str(at), on="cpu", fingerprint={}, plan=plan_of(*CASES[2 * at : 2 * at + 2])) for at in range(2)
    ]
    store.begin(orders, command=["test"], one_per_host=False)
    for order in orders:
        stand_in_child.close_cases(order, tmp_path)
        (tmp_path / "run").rename(store.part(order.name))
    return store, orders


def test_a_whole_sweep_has_no_mistake(swept):
    store, orders = swept
    assert mistakes_of(store, orders, left=[]) == []


def test_a_part_or_a_case_that_is_lost_is_named(swept):
    store, orders = swept
    path = store.part("cpu-0") / journal.JOURNAL
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))
    assert mistakes_of(store, orders, left=[]) == [f"case {CASES[1].case.id} has 0 records, 1 were ordered"]
    shutil.rmtree(store.part("cpu-1"))
    assert "cpu-1 has no part" in mistakes_of(store, orders, left=[])


def test_a_case_that_is_doubled_or_crashed_or_a_process_that_is_left_is_named(swept):
    store, orders = swept
    shutil.rmtree(store.part("cpu-1"))
    shutil.copytree(store.part("cpu-0"), store.part("cpu-1"))
    said = mistakes_of(store, orders, left=[os.getpid()])
    assert f"case {CASES[0].case.id} has 2 records, 1 were ordered" in said
    assert said[-1] == f"process {os.getpid()} is left"
    shutil.rmtree(store.part("cpu-1"))
    store.abandon(orders[1], ["a cpu (gone)"], "crashed")
    assert [line.rpartition(": ")[2] for line in mistakes_of(store, orders, left=[])] == ["a cpu (gone)"] * 2
