"""What timed calls gave: the last of a block held against the first on the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gate.agreement import compare_with_oracle, describe
from harness.gate.call import Answer, contract_mistakes
from harness.instruments import directions, watched
from harness.worker.workbench import RefusedError

if TYPE_CHECKING:
    from harness.worker.workbench import Workbench
    from impls.contract import Inputs
    from impls.subject import Subject

WHEN = "in the timed calls, "


def hold(bench: Workbench, subject: Subject, inputs: Inputs, blocks: watched.WatchedBlocks, *, seed: int) -> None:
    """Compare what timed calls gave, outside of the implementation's own context. Raises RefusedError.

    Equal bits need no more. Others pass where the gate accepts the last call's, forward; gradients where they lie no
    further apart than calls on the same inputs do, by the gate's factor. What draws its own numbers is left to the
    gate's calls before and after.
    """
    if "dropout" in subject.problem.features(subject.point, direction=subject.direction):
        return
    if blocks.disguised:
        raise RefusedError("disagreed", f"{WHEN}a result was no plain tensor: it may be computed when it is read")
    if blocks.stale:
        raise RefusedError("disagreed", f"{WHEN}new values in its inputs gave the results of the old ones")
    if blocks.pair is None or watched.same(*blocks.pair):
        return
    if subject.direction == "forward":
        _ask_the_gate(bench, subject, inputs, watched.tensors_of(blocks.last), seed=seed)
        return
    with directions.measured_call(subject, inputs) as measured:
        usual = watched.apart(measured.call)
    found = watched.distance(*blocks.pair)
    if found > bench.policy.gate.gradient_factor * usual:
        reason = f"{WHEN}the last gave gradients {found:.3g} from the first's, where calls are {usual:.3g} apart"
        raise RefusedError("disagreed", reason)


def _ask_the_gate(bench: Workbench, subject: Subject, inputs: Inputs, outputs: watched.Outputs, *, seed: int) -> None:
    answer = Answer(inputs, inputs.tensors, outputs, None, ())
    mistakes = contract_mistakes(subject, answer)
    if mistakes:
        raise RefusedError("disagreed", f"{WHEN}the last broke the contract: {'; '.join(mistakes)}")
    rows = subject.problem.sample_rows(subject.point, count=bench.policy.gate.rows, seed=seed)
    agreement = compare_with_oracle(
        subject, answer, rows=rows, policy=bench.policy.gate, witnesses=subject.problem.witness
    )
    if not agreement.passed:
        reason = f"{WHEN}the last gave something else than the first on the same inputs: {describe(agreement)}"
        raise RefusedError("disagreed", reason, agreement)
