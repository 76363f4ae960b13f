"""Who skips what a causal mask hides, and who computes it and throws it away: one sentence with their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

# Midway between the half that skipping leaves and the whole that masking takes.
MIDWAY = 0.75


def skipping_sentence(run: Run) -> str:
    """Name who skips, who masks and who can't be told on squares; "" if the run did not ask.

    Counted operations decide where there are any, else the interval of the time under the mask over that without.
    """
    judged: dict[str, list[Verdict]] = {}
    for verdict in run.verdicts:
        if verdict.axis == "causal" and verdict.quantity != "all":
            judged.setdefault(verdict.implementation, []).append(verdict)
    named: dict[str, list[str]] = {"skips": [], "masks": [], "open": []}
    for name, verdicts in judged.items():
        named[_kind(verdicts)].append(name + _times(verdicts))
    said = []
    if skips := named["skips"]:
        verb = "skips" if len(skips) == 1 else "skip"
        said.append(f"{units.listing(skips)} {verb} the hidden pairs")
    if masks := named["masks"]:
        verb = "computes" if len(masks) == 1 else "compute"
        said.append(f"{units.listing(masks)} {verb} the hidden pairs for nothing")
    if unknown := named["open"]:
        said.append(f"for {units.listing(unknown)} it can't be told")
    return f"Under a causal mask {'; '.join(said)}." if said else ""


def _kind(verdicts: Sequence[Verdict]) -> str:
    """Tell by counts, else by times, whether masked pairs are skipped; all dtypes and devices have to agree."""
    counted = [one for one in verdicts if one.quantity == "operations"]
    kinds = {_of_ratio(one) for one in counted or verdicts}
    return kinds.pop() if len(kinds) == 1 else "open"


def _of_ratio(verdict: Verdict) -> str:
    if verdict.high is not None and verdict.high < MIDWAY:
        return "skips"
    return "masks" if verdict.low is not None and verdict.low > MIDWAY else "open"


def _times(verdicts: Sequence[Verdict]) -> str:
    """Write the ratios of times: `(0.560x the time)`."""
    ratios = [units.ratio(one.exponent) for one in verdicts if one.quantity == "time" and one.exponent is not None]
    return f" ({units.listing(ratios)} the time)" if ratios else ""
