"""Blocks are timed on inputs written in place, and what their first and last calls gave is at hand."""

from __future__ import annotations

import itertools

import pytest
import torch

from harness.instruments import watched
from harness.instruments.timing import Block


class Steps:
    """A clock by which the n-th timed call takes n seconds."""

    def __init__(self):
        self.made = 0

    def __call__(self, call, calls):
        first = self.made + 1
        for _ in range(calls):
            call()
        self.made += calls
        return Block(seconds=(first + self.made) / 2, host=0.5, calls=calls)


def blocks(tensor, *, is_new=True, **more):
    watching = watched.Watching(watched=0 if is_new else 1)
    return watched.WatchedBlocks(Steps(), (tensor,), watching, **more)


def test_a_block_is_the_mean_of_its_calls_with_the_first_told_apart():
    tensor = torch.arange(4.0)
    found = blocks(tensor)
    found.warm(tensor.clone)
    block = found.block(tensor.clone, 5)
    assert (block.seconds, block.calls) == (4.0, 5), "calls 2 to 6"
    assert (found.first, found.later) == ([2.0], [4.5])
    assert block.host == pytest.approx(0.5)


def test_a_device_with_a_queue_has_its_blocks_whole_and_those_calls_beside_them():
    tensor = torch.arange(4.0)
    found = blocks(tensor, is_split=False)
    found.warm(tensor.clone)
    assert found.block(tensor.clone, 5).calls == 5
    assert found.timed.made == 1 + 1 + 5 + 1


@pytest.mark.parametrize("is_new", [True, False])
def test_inputs_are_written_in_place_before_each_block(is_new):
    tensor = torch.arange(4.0)
    found, address, seen = blocks(tensor, is_new=is_new), tensor.data_ptr(), []
    found.warm(tensor.clone)
    for _ in range(3):
        version = tensor._version
        found.block(lambda: seen.append(tensor.tolist()) or tensor.clone(), 1)
        assert (tensor._version > version) is is_new
    assert tensor.data_ptr() == address
    assert len({tuple(values) for values in seen}) == (3 if is_new else 1)


def test_results_are_copies_of_the_first_and_the_last_call():
    tensor, numbers = torch.arange(4.0), itertools.count()
    found = blocks(tensor)
    found.warm(tensor.clone)
    found.block(lambda: torch.full((2,), float(next(numbers))), 6)
    assert [outputs[0].tolist() for outputs in found.pair] == [[0.0, 0.0], [5.0, 5.0]]
    shared = torch.zeros(2)
    found.block(lambda: shared.add_(1.0), 6)
    assert not watched.same(*found.pair), "a result that later calls change is another"


def test_a_slow_call_is_held_against_the_one_before_it_on_the_same_values():
    tensor = torch.arange(4.0)
    found = blocks(tensor, is_new=False)
    found.warm(tensor.clone)
    found.block(tensor.clone, 1)
    assert watched.same(*found.pair)
    renewed = blocks(tensor)
    renewed.warm(tensor.clone)
    renewed.block(tensor.clone, 1)
    assert renewed.pair is None


def test_a_call_that_is_a_block_by_itself_is_never_made_untimed():
    tensor, seen = torch.arange(4.0), []
    found = blocks(tensor)
    assert [found.needs_warming(calls) for calls in (1, 2, 3)] == [False, False, True]
    block = found.block(lambda: seen.append(tensor._version) or tensor.clone(), 1)
    assert (block.calls, block.seconds, found.first) == (2, 1.5, [2.0])
    assert seen[0] < seen[1], "the tensors are written between the two"
    found = blocks(tensor, is_new=False)
    assert found.block(tensor.clone, 2).calls == 2
    assert (found.first, found.later, found.timed.made) == ([2.0], [], 2)
    found.block(tensor.clone, 2)
    assert (found.first, found.later, found.timed.made) == ([2.0, 4.0], [], 4), "each block is like the first"
    stale = blocks(torch.arange(4.0))
    stale.block(torch.arange(4.0).clone, 1)
    assert stale.stale
    assert blocks(torch.arange(4.0), is_split=False).needs_warming(1), "a queue's clock learns from it"


def test_new_values_that_give_the_old_results_are_noticed():
    tensor, kept = torch.arange(4.0), torch.arange(4.0)
    for result, is_stale in ((kept.clone, True), (tensor.clone, False), (lambda: torch.zeros(4), False)):
        found = blocks(tensor)
        found.warm(result)
        found.block(result, 3)
        assert found.stale is is_stale


def test_how_far_calls_lie_apart_is_the_largest_difference_from_the_first():
    numbers = itertools.count()
    assert watched.apart(lambda: (torch.tensor([0.0, 1.5 * next(numbers)]),)) == 3.0


def test_first_visits_are_watched_and_later_ones_as_far_as_their_share_goes():
    watching = watched.Watching()
    for number in range(watched.WATCHED_AT_LEAST):
        assert watching.is_due(0.0)
        assert watching.is_new is (number % 2 == 0)
        watching.watched, watching.spent, watching.total = number + 1, number + 1.0, 10.0 * (number + 1)
    assert not watching.is_due(0.09)
    assert watching.is_due(0.1), "as many visits passed unwatched as the share allows"


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_plain_blocks_make_as_many_calls_as_watched_ones_and_leave_inputs_alone(calls):
    tensor = torch.arange(4.0)
    plain, found, versions = watched.PlainBlocks(Steps()), blocks(tensor), [tensor._version]
    made = []
    for one in (plain, found):
        if one.needs_warming(calls):
            one.warm(tensor.clone)
        made.append(one.block(tensor.clone, calls).calls)
        versions.append(tensor._version)
    assert made[0] == made[1]
    assert versions[0] == versions[1] < versions[2]
    assert (plain.first, plain.later) == ((), ())


def test_what_watching_takes_is_booked(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(watched, "perf_counter", lambda: float(next(now)))
    tensor = torch.arange(4.0)
    found = blocks(tensor)
    found.warm(tensor.clone)
    found.block(tensor.clone, 5)
    assert found.watching.spent == 5.0, "three copies, one writing, one look for old results"


def test_of_a_large_tensor_a_column_is_written_and_every_row_has_new_values():
    tensor = torch.randn(2 * watched.WHOLE_AT_MOST, generator=torch.Generator().manual_seed(0)).reshape(-1, 4)
    for number in range(3):
        before = tensor.clone()
        watched.WatchedBlocks(Steps(), (tensor,), watched.Watching(watched=2 * number)).write()
        changed = tensor != before
        assert changed[:, 2 * number % 4].all()
        assert changed.sum() == len(tensor), "the other columns stay"
        column = before[:, 2 * number % 4]
        torch.testing.assert_close(tensor[:, 2 * number % 4], column.roll(1) + watched.LEFT_OVER * column)
    row = torch.arange(2.0 * watched.WHOLE_AT_MOST)[None]
    assert watched.part(row, 0) is row, "of a single row all"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [2**12, 2 * watched.WHOLE_AT_MOST], ids=["whole", "column"])
def test_new_values_move_whatever_their_sum_may_be_remembered_by(dtype, size):
    tensor = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(dtype).reshape(-1, 2)
    found = blocks(tensor)
    for _ in range(3):
        wide = tensor.double()
        found.block(tensor.clone, 1)
        for mark in (
            torch.sum,
            torch.linalg.norm,
            lambda values: values[:, 0].max(),
            lambda values: values.abs().sum(),
        ):
            was, now = float(mark(wide)), float(mark(tensor.double()))
            assert abs(now - was) > 1e-5 * abs(was)
    assert 0.9 < float(tensor.double().std()) < 1.2, "values keep their size"


def test_large_results_are_compared_whole_at_first_and_by_a_column_later():
    result = torch.zeros(2 * watched.WHOLE_AT_MOST // 4, 4)
    for number, size in ((0, result.numel()), (1, result.numel()), (2, len(result))):
        found = watched.WatchedBlocks(Steps(), (), watched.Watching(watched=number))
        found.warm(result.clone)
        found.block(result.clone, 3)
        assert [outputs[0].numel() for outputs in found.pair] == [size, size]
        assert torch.equal(found.last, result), "the last result is at hand whole"


def test_values_written_again_keep_the_version_by_which_results_may_be_remembered():
    tensor = torch.arange(4.0)
    versions = [tensor._version]
    for number in (1, 0):
        watched.WatchedBlocks(Steps(), (tensor,), watched.Watching(watched=number)).write()
        versions.append(tensor._version)
    assert versions[0] == versions[1] < versions[2]


class Lazy(torch.Tensor):
    """A class of its own."""


def attributed(tensor):
    tensor.later = lambda: tensor
    return tensor


@pytest.mark.parametrize(
    ("made", "is_disguised"),
    [
        (torch.Tensor.clone, False),
        (lambda tensor: tensor.clone().as_subclass(Lazy), True),
        (lambda tensor: attributed(tensor.clone()), True),
        (lambda tensor: (tensor.clone(), tensor.clone().as_subclass(Lazy)), True),
    ],
)
def test_a_result_that_is_no_plain_tensor_is_noticed(made, is_disguised):
    tensor = torch.arange(4.0)
    found = blocks(tensor)
    found.warm(lambda: made(tensor))
    found.block(lambda: made(tensor), 3)
    assert found.disguised is is_disguised
