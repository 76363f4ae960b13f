"""A sweep on disk has each part whole or not at all, and lost chunks as records."""

from __future__ import annotations

import pytest

from harness.cluster.chunk.packing import pack
from harness.cluster.orders import Order
from harness.cluster.store import Store, TornPartError
from harness.results import journal
from harness.results.documents import JournalError
from harness.results.run import read_run
from harness.runner.plan import code_fingerprint
from tests.support import stand_in_child
from tests.support.scripted import plan_of
from tests.support.scripted_engine import announced
from tests.support.steps import planned

FIRST, SECOND = planned(n=16), planned(n=32)


def order(name, *cases):
    return Order(chunk=name, on="cpu", fingerprint={}, plan=plan_of(*cases, impl_files=["/mine.py"]))


def packed(tmp_path, made, *, name="made"):
    folder = tmp_path / name
    folder.mkdir()
    stand_in_child.close_cases(made, folder)
    return folder / "run"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "out")
    made.make()
    made.begin([order("1", FIRST), order("2", SECOND)], command=["run"], one_per_host=False)
    return made


def test_orders_without_a_part_are_missing_and_the_first_part_stays(store, tmp_path):
    assert [one.name for one in store.missing()] == ["cpu-1", "cpu-2"]
    run = packed(tmp_path, order("1", FIRST))
    store.accept(order("1", FIRST), announced("a"), pack(run))
    late = packed(tmp_path, order("1", FIRST).model_copy(update={"attempt": 2}), name="late")
    store.accept(order("1", FIRST), announced("b"), pack(late))
    assert [one.name for one in store.missing()] == ["cpu-2"]
    (record,) = read_run(store.part("cpu-1")).records
    assert record.reason == "attempt 1"
    assert (store.directory / "fleet.jsonl").read_text().count("\n") == 1
    assert journal.read_plan(store.part("cpu-1")).impl_files == ["/mine.py"]


def test_a_part_that_is_not_whole_is_refused_and_leaves_nothing(store, tmp_path):
    run = packed(tmp_path, order("1", FIRST))
    (run / journal.JOURNAL).write_text("")
    with pytest.raises(TornPartError, match="1 of its 1 cases are open"):
        store.accept(order("1", FIRST), announced(), pack(run))
    with pytest.raises(TornPartError, match="not the one that was ordered"):
        store.accept(order("2", SECOND), announced(), pack(run))
    with pytest.raises(ValueError, match="unpacked"):
        store.accept(order("1", FIRST), announced(), b"torn")
    assert store.parts() == []
    assert list((store.directory / "parts").iterdir()) == []


def test_a_lost_chunk_ends_as_records_that_name_the_hosts_in_the_merge_too(store, tmp_path):
    store.accept(order("1", FIRST), announced("a"), pack(packed(tmp_path, order("1", FIRST))))
    store.abandon(order("2", SECOND), ["a cpu (gone)", "b cpu (gone)", "c cpu (silent)"], "crashed")
    assert store.missing() == []
    (record,) = read_run(store.part("cpu-2")).records
    assert record.status == "crashed"
    assert record.reason == "3 attempts were lost: a cpu (gone); b cpu (gone); c cpu (silent)"
    store.merge()
    assert {one.case.id for one in read_run(store.directory).records} == {FIRST.case.id, SECOND.case.id}


def test_what_no_device_was_free_for_says_who_held_them(store):
    store.abandon(order("2", SECOND), ["a cpu (device cpu is held by another run (process 7))"], "over_budget")
    (record,) = read_run(store.part("cpu-2")).records
    assert record.status == "over_budget"
    held = "other runs held every device until the time budget was over"
    assert record.reason == f"{held}: a cpu (device cpu is held by another run (process 7))"


def test_a_sweep_goes_on_with_the_code_that_began_it(tmp_path):
    store = Store(tmp_path / "out")
    store.make()
    with pytest.raises(JournalError, match="holds no sweep over several devices to resume"):
        store.reopen()
    ours = code_fingerprint()
    made = [order(name, one).model_copy(update={"fingerprint": ours}) for name, one in (("1", FIRST), ("2", SECOND))]
    store.begin(made, command=["run"], one_per_host=False)
    store.reopen()
    other = {**ours, "torch": "1.0"}
    store.begin([made[0], made[1].model_copy(update={"fingerprint": other})], command=["run"], one_per_host=False)
    with pytest.raises(JournalError, match=r"by other code: its torch is 1\.0, ours 2"):
        store.reopen()
    store.accept(made[1], announced(), pack(packed(tmp_path, made[1])))
    store.reopen()


def test_a_directory_holds_one_sweep(store):
    with pytest.raises(JournalError, match="holds a sweep already"):
        Store(store.directory).make()
