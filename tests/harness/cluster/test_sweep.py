"""A sweep measures each chunk once, on a free device of its class, whatever becomes of workers."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from harness.cluster.chunk.packing import pack
from harness.cluster.orders import Limits, Order, Stage
from harness.cluster.seen import Landed, MistakeError, NoDeviceError
from harness.cluster.store import Store
from harness.results import journal
from harness.results.run import read_run
from tests.support import stand_in_child
from tests.support.scripted import plan_of
from tests.support.scripted_engine import CODE, Played, ScriptedEngine, announced, orders
from tests.support.steps import planned


def test_each_chunk_is_measured_once_dearest_first_with_one_in_flight_for_each_device():
    ordered = [*orders("1", seconds=5.0), *orders("2", seconds=50.0), *orders("3", "4", "5")]
    played = Played(ordered, ScriptedEngine(x=announced("a"), y=announced("b")))
    played.look()
    assert [line[1] for line in played.told.lines if line[0] == "begun"] == ["cpu-2", "cpu-3"]
    played.to_the_end()
    assert sorted(played.accepted) == [f"cpu-{number}" for number in range(1, 6)]
    assert played.engine.most == {"x": 1, "y": 1}


def test_a_chunk_goes_to_its_class_alone():
    engine = ScriptedEngine(x=announced("a", on="h100"), y=announced("b"))
    played = Played([*orders("1", "2"), *orders("1", on="h100")], engine)
    played.to_the_end()
    sent = {(line[1], line[3].split()[0]) for line in played.told.lines if line[0] == "begun"}
    assert sent == {("cpu-1", "b"), ("cpu-2", "b"), ("h100-1", "a")}


def test_what_a_lost_worker_had_goes_to_another_at_once():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1"), engine)
    played.look()
    del engine.there["x"]
    played.look()
    assert engine.flight == {"cpu-1-2": engine.flight["cpu-1-2"]}
    assert engine.flight["cpu-1-2"][1] == "y"
    assert engine.given_up == ["cpu-1-1"]
    played.to_the_end()
    assert played.accepted == ["cpu-1"]


def test_a_silent_worker_is_given_up_and_its_late_result_is_nobodys():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1"), engine)
    played.look()
    engine.there["x"], engine.silent = engine.workers()["x"], {"x"}
    played.look(3)
    assert [at for _, at in engine.flight.values()] == ["y"]
    engine.silent.clear()
    engine.back.append(("cpu-1-1", Landed(None)))
    played.to_the_end()
    assert played.accepted == ["cpu-1"]
    assert [line[0] for line in played.told.lines].count("lost") == 1


def test_a_worker_that_joins_late_gets_work():
    engine = ScriptedEngine(x=announced("a"))
    played = Played(orders("1", "2"), engine)
    played.look()
    engine.there["y"] = ScriptedEngine(y=announced("b")).there["y"]
    played.look()
    assert sorted(at for _, at in engine.flight.values()) == ["x", "y"]


def test_a_class_that_nobody_offers_ends_the_sweep_in_a_line_with_the_classes_there_are():
    played = Played([*orders("1", on="h100"), *orders("1")], ScriptedEngine(x=announced("a"), y=announced("b")))
    with pytest.raises(NoDeviceError, match="no worker offers 'h100'; there is 2 cpu"):
        played.look(8)


def test_a_class_that_was_lost_is_waited_for_while_another_measures():
    engine = ScriptedEngine(x=announced("a", on="h100"), y=announced("b"))
    played = Played([*orders("1", on="h100"), *orders("1")], engine)
    played.look()
    del engine.there["x"]
    played.look(8)
    assert [at for _, at in engine.flight.values()] == ["y"]
    engine.end_all()
    with pytest.raises(NoDeviceError, match="no worker offers 'h100'; there is 1 cpu"):
        played.look(2)
    assert played.accepted == ["cpu-1"]


def test_other_code_is_refused_by_name_and_gets_nothing():
    other = announced("b", code={**CODE, "code": "c1", "torch": "2.12.0"})
    engine = ScriptedEngine(x=announced("a"), y=other)
    played = Played(orders("1", "2"), engine)
    played.to_the_end()
    assert (
        "refused",
        "b cpu cores 0",
        "its code is c1, ours c0, its torch is 2.12.0, ours 2.13.0",
    ) in played.told.lines
    assert "y" not in engine.most
    alone = Played(orders("1"), ScriptedEngine(y=other))
    with pytest.raises(NoDeviceError, match=r"there is no worker at all; b cpu cores 0 is refused: its code is c1"):
        alone.look(8)


def test_other_kernels_are_refused_after_the_fact_and_the_chunk_goes_elsewhere():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1"), engine)
    played.look()
    engine.end("cpu-1-1", "refused", "the source of attention mine differs")
    played.look()
    assert [at for _, at in engine.flight.values()] == ["y"]
    assert ("refused", "a cpu cores 0", "the source of attention mine differs") in played.told.lines


def test_a_worker_that_is_none_of_ours_gets_nothing():
    engine = ScriptedEngine(x=announced("a"), y=None)
    played = Played(orders("1", "2", "3"), engine)
    played.to_the_end()
    assert set(engine.most) == {"x"}


def test_three_losses_close_a_chunk_with_the_places_that_lost_it():
    engine = ScriptedEngine(**{name: announced(name) for name in "xyz"})
    played = Played(orders("1"), engine)
    for name in "xyz":
        played.look()
        del engine.there[name]
    played.look()
    assert played.sweep.is_over
    ((name, losses, status),) = played.abandoned
    assert (name, status) == ("cpu-1", "crashed")
    assert [loss.split()[0] for loss in losses] == ["x", "y", "z"]


def test_one_worker_that_always_fails_gets_no_more_and_the_others_do_the_rest():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1", "2", "3", "4", "5"), engine)
    for _ in range(40):
        played.look()
        for key, (_, at) in list(engine.flight.items()):
            engine.end(key, "failed" if at == "x" else "part", "no space left")
        if played.sweep.is_over:
            break
    assert sorted(played.accepted) == [f"cpu-{number}" for number in range(1, 6)]
    assert played.sweep.roster.refused == {"x": "3 attempts in a row came to nothing there: no space left"}


def test_a_held_device_rests_and_the_chunk_waits_or_moves_without_a_loss():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1"), engine)
    for _ in range(8):
        played.look()
        for key in list(engine.flight):
            engine.end(key, "held", "device cpu is held by another run (process 7); wait for it")
    played.to_the_end()
    assert played.accepted == ["cpu-1"]
    assert played.abandoned == []
    told = [line[2] for line in played.told.lines if line[0] == "lost"]
    assert sorted(told) == ["a cpu cores 0", "b cpu cores 0"]


HELD = "device cpu is held by another run (process 7); wait for it"


def held_for(played, seconds):
    """Play so many seconds in which another run has each device; return when attempts were sent out, by key."""
    sent: dict[str, float] = {}
    for _ in range(seconds):
        played.look()
        sent |= dict.fromkeys(played.engine.flight, played.engine.now)
        for key in list(played.engine.flight):
            played.engine.end(key, "held", HELD)
        if played.sweep.is_over:
            break
    return sent


def test_a_held_device_is_asked_for_ever_more_rarely_and_told_of_once_a_minute():
    played = Played(orders("1"), ScriptedEngine(x=announced("a")))
    moments = list(held_for(played, 150).values())
    waits = [after - before for before, after in itertools.pairwise(moments)]
    # The rest, and the look that finds it over.
    assert waits[:5] == [3.0, 5.0, 9.0, 16.0, 16.0]
    assert max(waits) == 16.0
    assert [line[0] for line in played.told.lines] == ["joined", "begun", "lost", "lost", "lost"]
    assert (played.told.last.held, played.told.last.seconds_left) == ({"x": HELD}, None)
    played.to_the_end()
    assert played.accepted == ["cpu-1"]
    assert [line[0] for line in played.told.lines[5:]] == ["begun"]
    assert played.told.last.held == {}


def test_what_waits_for_a_held_device_begins_once_its_child_is_there():
    engine = ScriptedEngine(x=announced("a"))
    played = Played(orders("1"), engine)
    held_for(played, 1)
    played.look(4)
    (key,) = engine.flight
    assert played.told.lines[-1][0] == "lost"
    seen = engine.there["x"]
    engine.there["x"] = replace(seen, stages={key: Stage()})
    played.look()
    assert played.told.lines[-1] == ("begun", "cpu-1", 2, "a cpu cores 0")


def test_devices_that_are_held_for_longer_than_the_sweep_may_take_end_it_with_the_reason():
    ordered = [order.model_copy(update={"limits": Limits(budget=60.0)}) for order in orders("1", "2")]
    played = Played(ordered, ScriptedEngine(x=announced("a"), y=announced("b")))
    held_for(played, 200)
    assert played.sweep.is_over
    assert 60.0 <= played.engine.now <= 80.0
    where = [f"{place} cpu cores 0 ({HELD})" for place in "ab"]
    assert sorted(played.abandoned) == [("cpu-1", where, "over_budget"), ("cpu-2", where, "over_budget")]


def test_a_held_device_is_no_end_where_another_measures():
    ordered = [order.model_copy(update={"limits": Limits(budget=5.0)}) for order in orders("1", "2")]
    played = Played(ordered, ScriptedEngine(x=announced("a"), y=announced("b")))
    for _ in range(40):
        played.look()
        for key, (_, at) in list(played.engine.flight.items()):
            if at == "x":
                played.engine.end(key, "held", HELD)
    played.to_the_end()
    assert (sorted(played.accepted), played.abandoned) == (["cpu-1", "cpu-2"], [])


def test_a_part_that_is_not_whole_counts_as_lost():
    torn = []

    def accept(order, _worker, _content):
        if not torn:
            torn.append(order.name)
            raise ValueError("2 of its 3 cases are open")

    played = Played(orders("1"), ScriptedEngine(x=announced("a")), accept=accept)
    played.to_the_end()
    assert ("lost", "cpu-1", "a cpu cores 0", "2 of its 3 cases are open") in played.told.lines


def test_what_is_finished_and_never_comes_back_is_given_up():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1"), engine)
    played.look()
    engine.over = {"cpu-1-1"}
    played.look(8)
    assert [at for _, at in engine.flight.values()] == ["y"]
    assert "can't be fetched" in played.sweep.roster.refused["x"]


def test_one_per_host_keeps_neighbours_idle():
    workers = {"p": announced("a", cores=(0,)), "q": announced("a", cores=(1,)), "r": announced("b")}
    played = Played(orders("1", "2", "3"), ScriptedEngine(**workers), one_per_host=True)
    played.look()
    assert sorted(at for _, at in played.engine.flight.values()) == ["p", "r"]
    played.to_the_end()
    assert len(played.accepted) == 3


def test_a_mistake_of_the_user_ends_the_sweep():
    engine = ScriptedEngine(x=announced("a"))
    played = Played(orders("plan"), engine)
    played.look()
    engine.end("cpu-plan-1", "mistake", "no implementation 'flsh'")
    with pytest.raises(MistakeError, match="flsh"):
        played.look()


def test_what_another_coordinator_has_a_worker_do_is_waited_for():
    engine = ScriptedEngine(x=announced("a"))
    seen = engine.there["x"]
    engine.there["x"] = type(seen)(seen.announced, seen.heard, busy=("other-1",))
    played = Played(orders("1"), engine)
    played.look(3)
    assert engine.flight == {}


def test_the_time_left_follows_the_pace_and_the_devices():
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(orders("1", "2", "3", "4", seconds=4.0), engine)
    played.look()
    assert played.told.last.seconds_left == pytest.approx(16.0 / 2)
    played.look(8)
    engine.end_all()
    played.look()
    # 9 s where 4 were predicted: two chunks are left, one for each device.
    assert played.told.last.seconds_left == pytest.approx(9.0)
    assert (played.told.last.done, played.told.last.of) == (2, 4)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_to_workers_nothing_is_lost_or_doubled(seed):
    chance = random.Random(seed)
    engine = ScriptedEngine(**{f"w{number}": announced(f"h{number}") for number in range(3)})
    done: list[str] = []
    played = Played(orders(*"123456789"), engine, accept=lambda order, *_: done.append(order.name))
    for step in range(400):
        played.look()
        if played.sweep.is_over:
            break
        event = chance.random()
        if event < 0.15 and len(engine.there) > 1:
            gone = chance.choice(sorted(engine.there))
            del engine.there[gone]
            engine.there[f"n{step}"] = ScriptedEngine(n=announced(f"h{step}")).there["n"]
        for key in list(engine.flight):
            if chance.random() < 0.4:
                engine.end(key, chance.choice(["part", "part", "part", "held", "failed"]), "planted")
    assert played.sweep.is_over
    closed = done + [name for name, *_ in played.abandoned]
    assert sorted(closed) == [f"cpu-{number}" for number in range(1, 10)]


def test_ten_kills_at_journal_writes_lose_and_double_nothing(tmp_path):
    cases = [planned(n=size) for size in range(1, 16)]
    ordered = [
        Order(chunk=str(at), on="cpu", fingerprint=CODE, plan=plan_of(*cases[3 * at : 3 * at + 3])) for at in range(5)
    ]
    store = Store(tmp_path / "out")
    store.make()
    store.begin(ordered, command=["test"], one_per_host=False)
    engine = ScriptedEngine(x=announced("a"), y=announced("b"))
    played = Played(ordered, engine, accept=store.accept)
    kills = 0
    while not played.sweep.is_over:
        assert engine.now < 100.0
        played.look()
        for key, (order, at) in list(engine.flight.items()):
            folder = tmp_path / key
            folder.mkdir()
            stand_in_child.close_cases(order, folder)
            if order.attempt <= 2:
                written = folder / "run" / journal.JOURNAL
                lines = written.read_bytes().splitlines(keepends=True)
                closed, torn = kills % 3, kills % len(lines[0])
                written.write_bytes(b"".join(lines[:closed]) + lines[closed][:torn])
                kills += 1
                del engine.there[at]
                engine.there[f"w{kills}"] = ScriptedEngine(w=announced(f"h{kills}")).there["w"]
                # Of every other one nothing comes back, which is what the engine makes of a kill.
                if kills % 2:
                    continue
            engine.end(key, content=pack(folder / "run"))
    assert (kills, played.abandoned) == (10, [])
    assert store.missing() == []
    closed = [record.case.id for part in store.parts() for record in read_run(part).records]
    assert sorted(closed) == sorted(one.case.id for one in cases)
