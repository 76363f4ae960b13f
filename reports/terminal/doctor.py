"""A diagnosis of the doctor for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.doctor.diagnosis import Diagnosis


def as_text(diagnosis: Diagnosis, *, false_alarms: Mapping[str, float]) -> str:
    """Write a diagnosis for a terminal, what needs attention first.

    `false_alarms` is the share of copies called different that each preset may reach.
    """
    marks = {"problem": "PROBLEM", "advice": "advice", "unknown": "unknown", "fine": "fine"}
    ordered = sorted(diagnosis.findings, key=lambda finding: list(marks).index(finding.level))
    width = max(len(finding.name) for finding in ordered)
    lines = [
        f"{diagnosis.environment.stable.get('gpu') or diagnosis.environment.stable.get('cpu', 'this machine')}",
        "",
    ]
    for finding in ordered:
        lines.append(f"{marks[finding.level]:8} {finding.name.replace('_', ' '):{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':8} {'':{width}}  -> {finding.advice}")
    tested = diagnosis.self_test
    lines += ["", f"Self-test: {len(tested.ratios)} calls, each timed under two names, {tested.seconds:.0f} s."]
    lines.append(f"Noise floor {tested.noise_floor:.1%}; the median ratio of the copies is {tested.centre:.4f}.")
    for preset, share in tested.called_different.items():
        lines.append(f"Copies called different in a {preset} run: {share:.1%} (at most {false_alarms[preset]:.0%}).")
    return "\n".join(lines)
