"""The gate: one call of an implementation held against the float64 oracle at its own shape."""

from __future__ import annotations

import contextlib
import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from harness.gate.approximate import distance
from harness.gate.call import Answer, call, contract_check, contract_mistakes, precision_note, rows_of, same_bits
from harness.gate.errors import (
    Comparison,
    Element,
    chance,
    compare,
    effective_rows,
    is_held_by_bound_alone,
    largest_ratio,
)
from harness.records import Agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.gate.known import Known
    from harness.policy import GatePolicy
    from harness.records import Check
    from impls.contract import Inputs, Upstream, Witness
    from impls.subject import Subject


# Elements of inputs up to which what is right is worked out on one thread: operations on so few wait for the others,
# and on a machine whose cores others use, they wait a hundred times as long as they compute.
FEW_ELEMENTS = 2**20


def agree(
    subject: Subject,
    *,
    seed: int,
    policy: GatePolicy,
    kind: str = "normal",
    second_seed: int | None = None,
    known: Known | None = None,
    draw: Callable[[int], Inputs] | None = None,
    upstream: Upstream = "dense",
) -> Agreement:
    """Draw inputs, call once, and compare outputs (and gradients, unless forward) on sampled rows with the oracle.

    With `second_seed`, inputs of that seed are then written over the first ones in place, forward, and the comparison
    is made again: results kept by the address of inputs are wrong there. `known` keeps what is right, and `draw` gives
    the inputs of a seed, for callers that ask about the same ones again; `upstream` lays the gradient out. Exceptions
    of the implementation propagate.
    """
    draw = draw or functools.partial(_drawn, subject, kind)
    inputs = draw(seed)
    first = _hold(subject, inputs, seed=seed, policy=policy, kind=kind, known=known, upstream=upstream)
    if second_seed is None or subject.direction != "forward" or not first.passed:
        return first
    for tensor, other in zip(inputs.tensors, draw(second_seed).tensors, strict=True):
        tensor.copy_(other)
    second = _hold(subject, inputs, seed=second_seed, policy=policy, kind=kind, known=known)
    checks = [check.model_copy(update={"name": f"inputs changed in place, {check.name}"}) for check in second.checks]
    decisive = second if not second.passed or (second.ratio or 0.0) > (first.ratio or 0.0) else first
    return decisive.model_copy(update={"passed": second.passed, "checks": [*first.checks, *checks]})


def _drawn(subject: Subject, kind: str, seed: int) -> Inputs:
    return subject.inputs(seed=seed, kind=kind)


def _hold(
    subject: Subject,
    inputs: Inputs,
    *,
    seed: int,
    policy: GatePolicy,
    kind: str,
    known: Known | None,
    upstream: Upstream = "dense",
) -> Agreement:
    """Hold one call on given inputs against the oracle; `seed` and `kind` are what the inputs were drawn from."""
    rows = subject.problem.sample_rows(subject.point, count=policy.rows, seed=seed)
    answer = call(subject, inputs, rows=rows, seed=seed, upstream_layout=upstream)
    mistakes = contract_mistakes(subject, answer)
    if mistakes:
        return Agreement(passed=False, checks=[contract_check(mistakes)], rows_checked=0)
    witnesses, gradient_witnesses = _right(subject, known, seed=seed, kind=kind, count=policy.rows, upstream=upstream)
    return compare_with_oracle(
        subject, answer, rows=rows, policy=policy, witnesses=witnesses, gradient_witnesses=gradient_witnesses
    )


def _right(
    subject: Subject, known: Known | None, *, seed: int, kind: str, count: int, upstream: Upstream
) -> tuple[Callable[..., tuple[Witness, ...]], Callable[..., tuple[Witness, ...]]]:
    """Return what gives the witnesses of outputs and those of gradients; what is known is looked up."""
    problem = subject.problem
    if known is None:
        return problem.witness, problem.gradient_witness
    drawn = (subject.implementation.problem, subject.point, subject.dtype, str(subject.device), seed, kind, count)

    def of_outputs(*given: Any) -> tuple[Witness, ...]:
        return known.of(drawn, functools.partial(problem.witness, *given))

    def of_gradients(*given: Any) -> tuple[Witness, ...]:
        return known.of((*drawn, upstream), functools.partial(problem.gradient_witness, *given))

    return of_outputs, of_gradients


def agree_but_for_spoiled_rows(
    subject: Subject, *, seed: int, policy: GatePolicy, kind: str, known: Known | None = None
) -> Agreement:
    """Ask that NaN in a row of the first tensor makes that row of the output NaN or infinite, and leaves others alone.

    The kind draws what "normal" inputs of the seed are, but for those rows.
    """
    clean, inputs = subject.inputs(seed=seed), subject.inputs(seed=seed, kind=kind)
    rows = subject.problem.sample_rows(subject.point, count=policy.rows, seed=seed)
    answer, honest = (call(subject, each, rows=rows, seed=seed) for each in (inputs, clean))
    mistakes = contract_mistakes(subject, honest)
    if mistakes:
        return Agreement(passed=False, checks=[contract_check(mistakes)], rows_checked=0)
    spoiled = ~inputs.tensors[0].isfinite().all(-1)
    mistakes = contract_mistakes(subject, answer, spoiled=spoiled)
    if mistakes:
        return Agreement(passed=False, checks=[contract_check(mistakes)], rows_checked=0)
    mended = torch.where(spoiled.unsqueeze(-1), honest.outputs[0], torch.Tensor.detach(answer.outputs[0]))
    witnesses, _ = _right(subject, known, seed=seed, kind="normal", count=policy.rows, upstream="dense")
    return compare_with_oracle(
        subject, replace(honest, outputs=(mended,), at_once=()), rows=rows, policy=policy, witnesses=witnesses
    )


def compare_with_oracle(
    subject: Subject,
    answer: Answer,
    *,
    rows: torch.Tensor,
    policy: GatePolicy,
    witnesses: Callable[[Any, torch.Tensor], tuple[Witness, ...]],
    gradient_witnesses: Callable[[Any, torch.Tensor, torch.Tensor], tuple[Witness, ...]] | None = None,
) -> Agreement:
    """Compare an answer's numbers with oracle, reference and bound; the witness is computed after the call.

    `gradient_witnesses` replaces the problem's.
    """
    with _one_thread_for_few(answer.inputs.tensors):
        return _compare(
            subject,
            answer,
            rows=rows,
            policy=policy,
            witnesses=witnesses,
            gradient_witnesses=gradient_witnesses or subject.problem.gradient_witness,
        )


@contextlib.contextmanager
def _one_thread_for_few(tensors: tuple[torch.Tensor, ...]) -> Iterator[None]:
    """Use one thread inside, where the tensors are small."""
    threads = torch.get_num_threads()
    if sum(tensor.numel() for tensor in tensors) > FEW_ELEMENTS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _compare(
    subject: Subject,
    answer: Answer,
    *,
    rows: torch.Tensor,
    policy: GatePolicy,
    witnesses: Callable[[Any, torch.Tensor], tuple[Witness, ...]],
    gradient_witnesses: Callable[[Any, torch.Tensor, torch.Tensor], tuple[Witness, ...]],
) -> Agreement:
    described = subject.problem.outputs(subject.point)
    approximated: list[tuple[torch.Tensor, torch.Tensor]] = []
    checks = [contract_check([], note=precision_note(answer.inputs.tensors[0]))]
    worst: list[tuple[Callable[[], Element], list[Check]]] = []
    with torch.no_grad():
        output_witnesses = witnesses(answer.inputs, rows)
    now = rows_of(answer.outputs, described, rows)
    late = [
        f"{output.name} was written after its call had returned"
        for output, before, after in zip(described, answer.at_once, now, strict=False)
        if before is not None and after is not None and not same_bits(before, after)
    ]
    if late:
        return Agreement(passed=False, checks=[contract_check(late)], rows_checked=0)
    for sampled, output, witness in zip(now, described, output_witnesses, strict=True):
        assert sampled is not None
        if subject.implementation.approximate:
            approximated.append((sampled, witness.oracle))
            continue
        factor = policy.factor * _chance(sampled, [witness], policy)
        compared, element = compare(Comparison(output.name, sampled, witness, factor), policy)
        checks += compared
        worst.append((functools.partial(_with_rows, element, rows, axis=output.row_axis), compared))
    if answer.upstream is not None:
        upstream = answer.upstream.index_select(described[0].row_axis, rows.to(answer.upstream.device))
        of_gradients = gradient_witnesses(answer.inputs, rows, upstream)
        if subject.implementation.approximate:
            given = (gradient for gradient in answer.gradients if gradient is not None)
            approximated += [(value, witness.oracle) for value, witness in zip(given, of_gradients, strict=True)]
            return _approximate(approximated, checks, rows=rows)
        factor = policy.gradient_factor * _chance(answer.upstream, of_gradients, policy)
        for name, gradient, witness in zip(answer.inputs.names, answer.gradients, of_gradients, strict=True):
            assert gradient is not None
            compared, element = compare(Comparison(f"d{name}", torch.Tensor.detach(gradient), witness, factor), policy)
            checks += compared
            worst.append((element, compared))
    if approximated:
        return _approximate(approximated, checks, rows=rows)
    element, _ = max(worst, key=lambda pair: largest_ratio(pair[1]))
    return Agreement(
        passed=all(check.passed for check in checks), checks=checks, worst=str(element()), rows_checked=len(rows)
    )


def _chance(value: torch.Tensor, witnesses: Sequence[Witness], policy: GatePolicy) -> float:
    """Return by how much errors of results like a tensor may differ by chance, 1 if the bound alone is asked.

    One row's error reaches every key, so the gradient that fewest rows carry tells how many are independent.
    """
    if all(is_held_by_bound_alone(value, witness) for witness in witnesses):
        return 1.0
    return chance(min(effective_rows(witness) for witness in witnesses), policy)


def _approximate(
    pairs: list[tuple[torch.Tensor, torch.Tensor]], checks: list[Check], *, rows: torch.Tensor
) -> Agreement:
    """Accept what keeps the contract, with its distance from the oracle."""
    return Agreement(passed=True, checks=checks, rows_checked=len(rows), approximation=distance(pairs))


def describe(agreement: Agreement) -> str:
    """Say in a line which check failed worst, by how much, and where."""
    failed = [check for check in agreement.checks if not check.passed]
    worst = max(failed, key=lambda check: math.inf if check.ratio is None else check.ratio)
    if worst.ratio is None:
        return f"{worst.name}: {worst.detail}"
    return f"{worst.name}: {worst.ratio:.3g} times its budget; {worst.detail}"


def _with_rows(find: Callable[[], Element], rows: torch.Tensor, *, axis: int) -> Element:
    """Find the worst element, its sampled row named by the index in the whole output."""
    worst = find()
    index = tuple(int(rows[i]) if position == axis else i for position, i in enumerate(worst.index))
    return Element(worst.name, index, worst.got, worst.wanted)
