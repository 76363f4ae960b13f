"""The law n² d in one sentence: what counted operations say, what measured time says, and for whom."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import units
from reports.answer.verdicts import deciding
from reports.figures.marks import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

AXES_OF_LAW = ("n", "d", "heads", "batch")
# What becomes of a claim that is borne out, and of one that is not.
HELD, FAILED = frozenset({"confirmed", "consistent"}), frozenset({"refuted", "contradicted"})
# So many implementations are named; more are counted.
NAMED_AT_MOST = 3
# A time that grows with a smaller power of n is as good as constant over the sizes measured.
FLAT_BELOW = 0.3


@dataclass(frozen=True)
class Law:
    """What became of the law n² d on one device, in one dtype and direction.

    `outcomes` has the verdict over all quantities of each implementation, `counted` what its operations grow with along
    n where they were counted: their verdict and degree; `timed` the verdicts of time, by axis and implementation.
    """

    device: str
    dtype: str
    direction: str
    outcomes: Mapping[str, str]
    counted: Mapping[str, tuple[str, float | None]]
    timed: Mapping[str, Mapping[str, Verdict]]
    shape: str

    @property
    def exact(self) -> list[str]:
        """Return the implementations whose operations were counted as the law says."""
        return sorted(name for name, (outcome, _) in self.counted.items() if outcome == "confirmed")

    @property
    def other(self) -> list[str]:
        """Return the implementations whose counted operations follow another law."""
        return sorted(name for name, (outcome, _) in self.counted.items() if outcome == "refuted")

    @property
    def in_time(self) -> list[str]:
        """Return the implementations whose time agrees with the law along every axis that it was judged on."""
        return self._whose_times(lambda verdicts: all(verdict in HELD for verdict in verdicts))

    @property
    def against_time(self) -> list[str]:
        """Return the implementations whose time contradicts the law along some axis."""
        return self._whose_times(lambda verdicts: any(verdict in FAILED for verdict in verdicts))

    @property
    def judged_in_time(self) -> list[str]:
        """Return the implementations whose time was judged at all."""
        return sorted({name for of_axis in self.timed.values() for name in of_axis})

    def _whose_times(self, wanted: object) -> list[str]:
        assert callable(wanted)
        return [
            name
            for name in self.judged_in_time
            if wanted([of_axis[name].verdict for of_axis in self.timed.values() if name in of_axis])
        ]

    def exponent(self, axis: str, names: Iterable[str] | None = None) -> float | None:
        """Return the median exponent of time along an axis, of some implementations or all; None if none is known."""
        of_axis = self.timed.get(axis, {})
        chosen = of_axis if names is None else [name for name in names if name in of_axis]
        known = [exponent for name in chosen if (exponent := of_axis[name].exponent) is not None]
        return statistics.median(known) if known else None


def laws(run: Run) -> list[Law]:
    """Gather what became of the law n² d under each device, dtype and direction, that of the most verdicts first."""
    judged: dict[tuple[str, str, str], dict[str, dict[str, list[Verdict]]]] = {}
    for verdict in run.verdicts:
        of_claims = judged.setdefault((verdict.device, verdict.dtype, verdict.direction), {})
        of_claims.setdefault(verdict.claim, {}).setdefault(verdict.implementation, []).append(verdict)
    found = []
    for (device, dtype, direction), of_claims in judged.items():
        of_law = [claim for claim in of_claims.values() if any(map(_is_law, claim.values()))]
        if of_law:
            most = max(of_law, key=lambda claim: sum(map(len, claim.values())))
            found.append((sum(map(len, most.values())), _law(device, dtype, direction, most)))
    return [law for _, law in sorted(found, key=lambda item: -item[0])]


def _law(device: str, dtype: str, direction: str, claim: Mapping[str, Sequence[Verdict]]) -> Law:
    counted: dict[str, tuple[str, float | None]] = {}
    timed: dict[str, dict[str, Verdict]] = {}
    axes = set()
    for name, verdicts in claim.items():
        operations = [verdict for verdict in verdicts if verdict.quantity == "operations"]
        axes |= {verdict.axis for verdict in verdicts}
        if operations:
            outcomes = {verdict.verdict for verdict in operations}
            outcome = next((word for word in ("refuted", "inconclusive") if word in outcomes), "confirmed")
            along_n = next((verdict.exponent for verdict in operations if verdict.axis == "n"), None)
            counted[name] = (outcome, along_n)
        for axis in AXES_OF_LAW:
            for verdict in verdicts:
                if verdict.quantity == "time" and verdict.axis == axis:
                    timed.setdefault(axis, {})[name] = verdict
    shape = " ".join(f"{axis}{units.power(EXPECTED[axis])}" for axis in ("n", "d") if axis in axes)
    outcomes_of = {name: deciding(verdicts).verdict for name, verdicts in claim.items()}
    return Law(device, dtype, direction, outcomes_of, counted, timed, shape or "n²")


def _is_law(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a claim says that time or operations grow with the square of n."""
    return any(
        verdict.axis == "n" and verdict.expected == EXPECTED["n"] and verdict.quantity in {"operations", "time", "all"}
        for verdict in verdicts
    ) and all(verdict.quantity != "memory" for verdict in verdicts)


def head(law: Law) -> str:
    """Answer in a word or two whether the law holds."""
    outcomes = set(law.outcomes.values())
    held = sorted(name for name, outcome in law.outcomes.items() if outcome in HELD)
    if outcomes <= HELD:
        return "Yes"
    if outcomes <= FAILED:
        return "No"
    if not outcomes & (HELD | FAILED):
        return "Undecided"
    if not outcomes & FAILED:
        return f"Yes for {who(held, of=law.outcomes)}"
    return f"Only for {who(held, of=law.outcomes)}" if held else "No, as far as can be told"


def sentence(law: Law, *, where: str = "") -> str:
    """Answer whether cost grows as n² d, by count and by time, and for whom; `where` tells it from other answers."""
    said = [_of_counts(law), _of_time(law)]
    place = f", in {where}" if where else ""
    return f"{head(law)}{place}: {'; '.join(part for part in said if part)}."


def _of_counts(law: Law) -> str:
    exact, other = law.exact, law.other
    if not exact and not other:
        return "" if not law.counted else "operations were counted at too few sizes to decide"
    if not other:
        return f"the counted operations of {who(exact, of=law.outcomes)} grow exactly as {law.shape}"
    degrees = sorted({degree for name in other if (degree := law.counted[name][1]) not in {None, EXPECTED["n"]}})
    grows = f"as {units.listing([f'n{units.power(degree)}' for degree in degrees])}" if degrees else "by another law"
    if not exact:
        return f"the counted operations of {who(other, of=law.outcomes)} grow {grows}, not as {law.shape}"
    return (
        f"the counted operations of {who(exact, of=law.outcomes)} grow exactly as {law.shape}, those of "
        f"{who(other, of=law.outcomes)} {grows}"
    )


def _of_time(law: Law) -> str:
    timed, agreeing, against = law.judged_in_time, law.in_time, law.against_time
    if not timed:
        return "time was not judged"
    unknown = [name for name in timed if name not in agreeing and name not in against]
    flat = law.exponent("n")
    if not agreeing and flat is not None and flat < FLAT_BELOW:
        return f"measured time hardly depends on n ({_powers(law, ['n'])}): a fixed cost hides the law at these sizes"
    said = []
    if agreeing:
        whom = "" if len(agreeing) == len(law.outcomes) else f" for {who(agreeing, of=timed)}"
        said.append(f"measured time agrees{whom} ({_powers(law, ('n', 'd'), agreeing)})")
    if against:
        said.append(f"{'but not' if agreeing else 'measured time contradicts it'} for {who(against, of=timed)} "
                    f"({_powers(law, ('n', 'd'), against)})")  # fmt: skip
    if unknown and not said:
        said.append(_undecided(law, unknown))
    elif unknown:
        said.append(f"and is inconclusive for {_rest(unknown)}")
    return " ".join(said)


def _undecided(law: Law, names: Sequence[str]) -> str:
    """Say along which axes time agrees, and along which it is inconclusive."""
    agreed = [axis for axis, of_axis in law.timed.items() if all(v.verdict in HELD for v in of_axis.values())]
    unclear = [axis for axis in law.timed if axis not in agreed]
    about = _powers(law, unclear, names)
    tail = f" (about {about})" if about else ""
    if agreed:
        held, open_ = units.listing(agreed), units.listing(unclear)
        return f"measured time agrees along {held} and is inconclusive along {open_}{tail}"
    return f"measured time is inconclusive{tail}"


def _powers(law: Law, axes: Iterable[str], names: Iterable[str] | None = None) -> str:
    """Write the median exponents of time: `n¹·⁹⁵ d¹·¹⁰`."""
    chosen = None if names is None else list(names)
    known = [(axis, exponent) for axis in axes if (exponent := law.exponent(axis, chosen)) is not None]
    return " ".join(f"{axis}{units.power(exponent)}" for axis, exponent in known)


def who(names: Sequence[str], *, of: Iterable[str]) -> str:
    """Name some implementations of several; many are counted."""
    every = list(of)
    if len(every) > 1 and len(names) == len(every):
        return "both implementations" if len(every) == 2 else f"all {len(every)} implementations"  # noqa: PLR2004
    if len(names) <= NAMED_AT_MOST:
        return units.listing(list(names))
    return f"{len(names)} of {len(every)} implementations"


def _rest(names: Sequence[str]) -> str:
    return units.listing(list(names)) if len(names) <= NAMED_AT_MOST else f"the other {len(names)}"


def counted_words(law: Law) -> str:
    """Say in a few words what counts say: `n² d for 7 of 7`."""
    if not law.counted:
        return units.ABSENT
    return f"{law.shape} for {len(law.exact)} of {len(law.counted)}"


def timed_words(law: Law) -> str:
    """Say in a few words what times say: `agrees for 4 of 7, n¹·⁹⁵`."""
    if not law.judged_in_time:
        return units.ABSENT
    agreeing, against = law.in_time, law.against_time
    names = agreeing or law.judged_in_time
    power = _powers(law, ("n",), names)
    if agreeing or against:
        return f"agrees for {len(agreeing)} of {len(law.judged_in_time)}{f', {power}' if power else ''}"
    return f"undecided{f', about {power}' if power else ''}"


def memory_sentence(run: Run) -> str:
    """Say how extra memory grows, for a run that judged bytes alone; "" if it judged none."""
    by_degree: dict[float, set[str]] = {}
    for verdict in run.verdicts:
        if verdict.quantity == "memory" and verdict.axis == "n" and verdict.verdict in HELD and verdict.expected:
            by_degree.setdefault(verdict.expected, set()).add(verdict.implementation)
    said = [
        f"as n{units.power(degree)} for {units.listing(sorted(names))}"
        for degree, names in sorted(by_degree.items(), reverse=True)
    ]
    return f"Extra memory grows {', and '.join(said)}; this run judged no claim about time." if said else ""


def decoding_sentence(run: Run) -> str:
    """Say whether decoding is linear in its keys, by count and by time; "" if a run did not judge it."""
    along = [verdict for verdict in run.verdicts if verdict.axis == "n_k" and verdict.expected == 1]
    counted = {verdict.implementation: verdict.verdict for verdict in along if verdict.quantity == "operations"}
    timed = {verdict.implementation: verdict.verdict for verdict in along if verdict.quantity == "time"}
    said = []
    for judged, agrees, differs in (
        (
            counted,
            "the counted operations of {} are linear in n_k",
            "the counted operations of {} are not linear in n_k",
        ),
        (timed, "measured time agrees for {}", "measured time contradicts it for {}"),
    ):
        for outcomes, words in ((HELD, agrees), (FAILED, differs)):
            if names := sorted(name for name, outcome in judged.items() if outcome in outcomes):
                said.append(words.format(who(names, of=judged)))
    return f"Decoding: {'; '.join(said)}." if said else ""
