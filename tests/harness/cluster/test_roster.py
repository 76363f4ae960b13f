"""The roster says of each worker whether it may measure, and why not."""

from __future__ import annotations

from harness.cluster.roster import Roster, differences
from harness.cluster.seen import Seen
from tests.support.scripted_engine import CODE, Told, announced


def test_a_worker_may_measure_while_it_is_heard_of_and_ready():
    roster = Roster(fingerprint=CODE, quiet=3.0, listener=Told())
    seen = {"x": Seen(announced("a"), heard=1.0)}
    assert set(roster.live(seen, 10.0)) == {"x"}
    assert set(roster.live(seen, 12.9)) == {"x"}
    assert not roster.live(seen, 13.0)
    assert set(roster.live({"x": Seen(announced("a"), heard=2.0)}, 14.0)) == {"x"}
    assert not roster.live({"x": Seen(announced("a"), heard=3.0, is_ready=False)}, 15.0)


def test_success_forgives_failures():
    roster = Roster(fingerprint=CODE, quiet=3.0, listener=Told())
    roster.live({"x": Seen(announced("a"), heard=1.0)}, 0.0)
    for _ in range(2):
        roster.failed("x", "planted")
    roster.succeeded("x")
    roster.failed("x", "planted")
    assert roster.refused == {}


def test_differences_name_what_differs_on_either_side():
    assert differences({"a": 1}, {"a": 1}) == ""
    assert differences({"a": 1}, {"b": 2}) == "its a is None, ours 1, its b is 2, ours None"


def test_a_class_waits_where_other_runs_hold_all_its_devices():
    roster = Roster(fingerprint=CODE, quiet=3.0, listener=Told())
    live = roster.live({name: Seen(announced(name), heard=1.0) for name in "xy"}, 0.0)
    assert roster.all_held(live, on="cpu") == []
    assert roster.hold("x", "7 has it", now=0.0, rest=1.0)
    assert not roster.hold("x", "8 has it", now=2.0, rest=1.0)
    assert (roster.is_resting("x", 3.9), roster.is_resting("x", 4.0)) == (True, False)
    assert roster.all_held(live, on="cpu") == []
    roster.hold("y", "9 has it", now=2.0, rest=1.0)
    assert roster.all_held(live, on="cpu") == ["x cpu cores 0 (8 has it)", "y cpu cores 0 (9 has it)"]
    assert roster.all_held(live, on="h100") == []
    roster.failed("y", "planted")
    assert roster.held("y") == ""
