"""Functions that all share are watched, and put back where an implementation replaced them."""

from __future__ import annotations

import functools
import gc
import math

import pytest
import torch
from torch.nn import functional

from harness.gate import agreement
from harness.worker.replaced import OWNERS, Functions, Operators


@pytest.fixture
def functions():
    found = Functions()
    yield found
    found.put_back()


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [
        (torch, "equal", "torch.equal"),
        (torch, "softmax", "torch.softmax"),
        (torch.Tensor, "detach", "Tensor.detach"),
        (torch.Tensor, "isnan", "Tensor.isnan"),
        (torch.Tensor, "__matmul__", "Tensor.__matmul__"),
        (torch.autograd, "grad", "torch.autograd.grad"),
        (functional, "scaled_dot_product_attention", "torch.nn.functional.scaled_dot_product_attention"),
        (torch.nn.Linear, "forward", "Linear.forward"),
        (math, "isfinite", "math.isfinite"),
        (agreement, "compare", "harness.gate.agreement.compare"),
    ],
)
def test_a_replaced_function_is_named_and_put_back(functions, owner, name, said):
    function = getattr(owner, name)
    setattr(owner, name, lambda *_, **__: True)
    assert functions.put_back() == [said]
    assert getattr(owner, name) is function
    assert functions.put_back() == []


def test_a_wrapper_that_bears_the_name_of_what_it_wraps_replaces_it(functions):
    function = functional.softmax
    functional.softmax = functools.wraps(function)(lambda *args, **options: 2 * function(*args, **options))
    assert functional.softmax.__module__.startswith("torch.")
    assert functions.put_back() == ["torch.nn.functional.softmax"]
    assert functional.softmax is function


def test_what_a_class_inherits_is_inherited_again(functions):
    assert "clone" not in vars(torch.Tensor)
    torch.Tensor.clone = lambda tensor: tensor
    assert functions.put_back() == ["Tensor.clone"]
    assert "clone" not in vars(torch.Tensor)


def test_new_names_and_calls_replace_nothing(functions):
    torch.something_new = abs
    try:
        module = torch.nn.MultiheadAttention(8, 2)
        module(*(torch.ones(2, 3, 8),) * 3)[0].sum().backward()
        assert functions.put_back() == []
    finally:
        del torch.something_new


def test_each_owner_has_functions_that_are_watched(functions):
    assert len(functions._kept) >= len(OWNERS)
    assert all(kept for _, kept in functions._kept)


def doubled(a, b):
    return 2 * (a.unsqueeze(-1) * b.unsqueeze(1)).sum(2)


def of_a_library():
    library = torch.library.Library("aten", "IMPL")
    library.impl("bmm", doubled, "CPU")
    return library


def of_a_frozen_library():
    library = torch.library.Library("aten", "IMPL", "CPU")
    gc.collect()
    gc.freeze()
    library.impl("bmm", doubled)
    return library


def of_a_function():
    torch.library.impl("aten::bmm", "cpu", doubled)


@pytest.mark.filterwarnings("ignore:Warning only once for all operators")
@pytest.mark.parametrize("register", [of_a_library, of_a_frozen_library, of_a_function])
def test_a_kernel_registered_for_an_operator_of_torch_is_named_and_taken_away(register):
    operators, ones = Operators(), torch.ones(1, 2, 2)
    keep = register()
    try:
        assert torch.bmm(ones, ones).sum() == 16.0
        assert operators.put_back() == ["operator aten::bmm for CPU"]
        assert torch.bmm(ones, ones).sum() == 8.0
        assert operators.put_back() == []
    finally:
        operators.put_back()
        del keep


def test_operators_of_ones_own_and_those_that_torch_registers_are_left_alone():
    operators = Operators()
    with torch.library._scoped_library("tests_of_replaced", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CPU")
        assert operators.put_back() == []
        assert torch.ops.tests_of_replaced.twice(torch.ones(1)) == 2.0
    # As torch's own modules list theirs, once they are imported.
    found = Operators()
    found._kept.discard("aten/bmm/Meta")
    assert found.put_back() == []
