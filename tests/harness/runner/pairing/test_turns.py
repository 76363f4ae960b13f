"""Two sides take turns: A B, then B A; the same inputs and as many calls; a case that one side lacks is not dropped."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT, TimingPolicy
from harness.protocol.messages import Visit
from harness.records import Record
from harness.runner.pairing.turns import Pair, Schedule, schedule, take_turns
from tests.support.steps import FIRST, LOST, SECOND, ready, visited

TIMING = TimingPolicy(rounds_aimed=12, rounds_needed=5, processes=3)
POLICY = DEFAULT.model_copy(update={"timing": TIMING})


def sides(*, base=(FIRST, SECOND), new=(FIRST, SECOND), answers=visited, order=None, budget=60.0):
    """Return a pair whose workers note who was asked, in `order`."""

    def answering(side):
        def answer(request):
            if order is not None:
                order.append((side, request))
            return answers(request)

        return {Visit: answer}

    states = [ready(*cases, answers=answering(side), policy=POLICY) for side, cases in (("base", base), ("new", new))]
    for state in states:
        state.time.sides = 2
        state.time.budget = budget
    return Pair(*states)


def test_sides_take_turns_with_the_same_inputs_and_as_many_calls():
    order = []
    pair = sides(order=order)
    slower = pair.new.prepared[FIRST.case.id]
    pair.new.prepared[FIRST.case.id] = slower.model_copy(update={"call_seconds": 3 * slower.call_seconds})
    take_turns(pair)
    assert [state.rounds_done for state in pair.states] == [12, 12]
    for first, second in zip(order[::2], order[1::2], strict=True):
        assert {first[0], second[0]} == {"base", "new"}
        assert first[1] == second[1]
    of_first = [side for side, request in order if request.case == FIRST.case]
    assert "".join(side[0] for side in of_first) == "bnnbbnnb" + "nbbnnbbn" + "bnnbbnnb"
    assert [state.supervisor.drops for state in pair.states] == [3, 3]
    assert [state.supervisor.launches for state in pair.states] == [[1, 2, 3]] * 2, "new workers for every process"
    assert {visit.process for visit in pair.new.timed[FIRST.case.id]} == {0, 1, 2}
    assert pair.base.stopped[FIRST.case.id] == "rounds"


def test_a_case_that_one_side_lacks_has_the_rounds_of_an_interval_alone():
    pair = sides(new=(FIRST,))
    take_turns(pair)
    assert len(pair.base.timed[SECOND.case.id]) == TIMING.rounds_needed
    assert len(pair.base.timed[FIRST.case.id]) == 12


def test_a_case_lost_on_one_side_is_closed_there_and_the_other_keeps_its_time():
    lost = []

    def answers(request):
        if request.case == FIRST.case and not lost:
            lost.append(request)
            return LOST
        return visited(request)

    pair = sides(answers=answers)
    take_turns(pair)
    assert [pair.base.closed[FIRST.case.id].status, len(pair.new.timed[FIRST.case.id])] == ["crashed", 5]
    assert len(pair.new.timed[SECOND.case.id]) == 12


def test_without_time_the_rounds_end_and_what_has_none_is_left_out_on_both_sides():
    pair = sides(base=(FIRST, SECOND), budget=0.0)
    take_turns(pair)
    for state in pair.states:
        assert {record.status for record in state.closed.values()} <= {"over_budget"}
        for identity, visits in state.timed.items():
            assert visits or identity in state.closed


def test_what_the_budget_made_one_side_leave_out_the_other_leaves_out_too():
    pair = sides()
    pair.base.close(Record(case=FIRST.case, status="over_budget", reason="the time budget does not hold it"))
    pair.level()
    assert pair.new.closed[FIRST.case.id].status == "over_budget"
    assert SECOND.case.id not in pair.new.closed


@pytest.mark.parametrize(
    ("room", "found"),
    [
        (1000.0, Schedule(3, 4)),
        (38.0, Schedule(3, 2)),
        (29.0, Schedule(2, 4)),
        (19.0, Schedule(1, 8)),
        (0.0, Schedule(1, 6)),
    ],
)
def test_rounds_are_spread_over_as_many_processes_as_the_time_holds(room, found):
    assert schedule(room, a_round=1.0, restart=10.0, timing=TIMING) == found
