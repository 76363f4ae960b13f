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
