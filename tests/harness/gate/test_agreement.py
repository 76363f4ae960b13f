"""The gate accepts honest arithmetic, rejects wrong arithmetic, and says where."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree, describe
from harness.gate.known import Known
from harness.policy import GatePolicy
from impls import contract, registry
from impls.attention.batched import batched
from impls.subject import Subject

CPU = torch.device("cpu")


def gate(
    function, *, dtype=torch.float32, direction="forward", seed=0, point=None, name="planted", policy=None, **more
):
    """Hold a function that claims every feature against the oracle of `attention`."""
    problem = registry.problem("attention")
    limits = contract.Limits(registry.DEVICES, registry.DTYPES, frozenset(registry.FEATURES))
    planted = contract.Implementation(problem="attention", name=name, function=function, limits=(limits,))
    parsed = problem.parse(point or {"n": 40, "d": 16, "heads": 2, "batch": 2})
    subject = Subject(problem, planted, parsed, dtype, CPU, direction)
    return agree(subject, seed=seed, policy=policy or GatePolicy(), **more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("direction", ["forward", "backward", "forward+backward"])
def test_honest_arithmetic_agrees(dtype, direction):
    agreement = gate(batched, dtype=dtype, direction=direction)
    assert agreement.passed, [check for check in agreement.checks if not check.passed]
    assert agreement.rows_checked == 40
    assert 0 < agreement.ratio < 1


def test_the_worst_element_is_named_by_its_index_in_the_output():
    def wrong_in_one_place(q, k, v, **options):
        out = batched(q, k, v, **options)
        out[1, 0, 777, 3] += 0.5
        return out

    point = {"n": 1000, "d": 8, "heads": 2, "batch": 2}
    agreement = gate(wrong_in_one_place, point=point, policy=GatePolicy(rows=1000))
    assert not agreement.passed
    assert agreement.worst.startswith("out[1, 0, 777, 3] is ")


def test_large_outputs_are_checked_on_sampled_rows_with_the_ends_among_them():
    def last_row_wrong(q, k, v, **options):
        out = batched(q, k, v, **options)
        out[..., -1, :] *= 1.5
        return out

    agreement = gate(last_row_wrong, point={"n": 600, "d": 8})
    assert agreement.rows_checked == 128
    assert not agreement.passed


def test_zeros_are_rejected_however_small_the_output_is():
    point = {"n_q": 4, "n_k": 262144, "d": 16}
    agreement = gate(lambda q, *_, **__: torch.zeros_like(q), point=point, dtype=torch.bfloat16)
    assert not agreement.passed


def test_a_wrong_gradient_alone_is_rejected():
    def half_gradient(q, k, v, **options):
        return batched(q, k, 0.5 * v + 0.5 * v.detach(), **options)

    assert gate(half_gradient).passed
    agreement = gate(half_gradient, direction="backward")
    assert {check.name for check in agreement.checks if not check.passed} >= {"dv max", "dv rms"}


def test_what_an_implementation_raises_rises():
    def fails(q, k, v, **_):
        raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        gate(fails)


def test_a_tight_budget_rejects_what_a_loose_one_accepts():
    def slightly_wrong(q, k, v, **options):
        return batched(q, k, v, **options) * (1 + 2**-19)

    assert not gate(slightly_wrong).passed
    assert gate(slightly_wrong, policy=GatePolicy(factor=1e3)).passed


def by_address():
    """Return honest arithmetic that keeps its results by the address of its inputs."""
    kept = {}

    def cached(q, k, v, **options):
        key = (q.data_ptr(), k.data_ptr(), v.data_ptr())
        if key not in kept:
            kept[key] = batched(q, k, v, **options)
        return kept[key].clone()

    return cached


def test_results_kept_by_address_are_wrong_once_the_inputs_change_in_place():
    assert gate(by_address()).passed
    found = gate(by_address(), second_seed=1)
    assert not found.passed
    failed = next(check for check in found.checks if not check.passed)
    assert failed.name.startswith("inputs changed in place, out")


def test_honest_arithmetic_agrees_on_inputs_changed_in_place():
    found = gate(batched, second_seed=1)
    assert found.passed
    assert len(found.checks) == 2 * len(gate(batched).checks)
    assert gate(batched, second_seed=1, direction="backward").passed


def test_what_is_right_of_few_numbers_is_worked_out_on_one_thread(monkeypatch):
    problem, threads = registry.problem("attention"), []
    work_out = problem.witness
    monkeypatch.setattr(problem, "witness", lambda *given: threads.append(torch.get_num_threads()) or work_out(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gate(batched)
        gate(batched, point={"n": 40, "d": 64, "heads": 160})
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1, 2]


def test_what_is_known_of_the_same_inputs_is_not_worked_out_again(monkeypatch):
    worked_out = []
    problem = registry.problem("attention")
    for name in ("witness", "gradient_witness"):
        work_out = getattr(problem, name)
        monkeypatch.setattr(problem, name, lambda *given, do=work_out, name=name: worked_out.append(name) or do(*given))
    known = Known()
    once = gate(batched, seed=3, second_seed=9, known=known)
    assert worked_out == ["witness"] * 2
    assert gate(batched, seed=3, second_seed=9, known=known) == once
    gate(batched, seed=9, direction="backward", known=known)
    assert worked_out == ["witness", "witness", "gradient_witness"]
    gate(batched, seed=9, direction="backward", known=known, upstream="strided")
    gate(batched, seed=9, kind="huge logits", known=known)
    gate(batched, seed=9, dtype=torch.bfloat16, known=known)
    assert worked_out[3:] == ["gradient_witness", "witness", "witness"]


def test_the_sentence_names_the_check_that_failed_worst_by_how_much_and_where():
    agreement = gate(lambda q, *_, **__: torch.zeros_like(q), point={"n": 4, "d": 4})
    failed = {check.name: check for check in agreement.checks if not check.passed}
    worst = max(failed.values(), key=lambda check: check.ratio)
    assert describe(agreement) == f"{worst.name}: {worst.ratio:.3g} times its budget; {worst.detail}"
    assert "out[" in describe(agreement)


def test_what_breaks_the_contract_is_said_without_a_ratio():
    assert describe(gate(lambda q, *_, **__: q[:1])).startswith("contract: out has shape (1, 2, 40, 16), not ")
