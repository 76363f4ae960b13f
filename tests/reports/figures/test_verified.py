"""The picture of a table's verdicts is drawn in the formats that it names."""

from __future__ import annotations

import numpy as np
import pytest

from harness.verdicts.table import verify
from reports.figures.verified import LEGEND_AT_MOST, plot

SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


def law(power, *, floor=5e-6, seed=1, noise=0.02):
    generator = np.random.default_rng(seed)
    return [(n, (floor + 2e-9 * n**power) * float(np.exp(generator.normal(0, noise)))) for n in SIZES]


def table(path, rows, *, header="n,seconds"):
    path.write_text(header + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_plot_is_drawn(tmp_path, suffix):
    found = verify(table(tmp_path / "t.csv", law(2)), exponent=2)
    out = tmp_path / f"out{suffix}"
    plot(found, out)
    assert out.stat().st_size > 5000


def test_a_plot_of_another_kind_is_refused(tmp_path):
    found = verify(table(tmp_path / "t.csv", law(2)), exponent=2)
    with pytest.raises(ValueError, match=r"--plot writes .svg"):
        plot(found, tmp_path / "out.doc")


def labels(verification, tmp_path):
    plot(verification, tmp_path / "out.svg")
    return (tmp_path / "out.svg").read_text(encoding="utf-8")


def test_groups_are_named_with_their_verdicts_up_to_a_bound(tmp_path):
    rows = [(f"kernel-{place:02}", n, t) for place in range(LEGEND_AT_MOST + 2) for n, t in law(2)[:3]]
    found = verify(table(tmp_path / "t.csv", rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    text = labels(found, tmp_path)
    assert "<!-- kernel-15: inconclusive -->" in text
    assert "kernel-16" not in text
    assert "<!-- slope 2 -->" in text


def test_a_group_without_costs_is_not_drawn_and_a_name_is_no_formula(tmp_path):
    rows = [("$x_1$", n, t) for n, t in law(2)] + [("none", 64, "OOM")]
    found = verify(table(tmp_path / "t.csv", rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    text = labels(found, tmp_path)
    assert "<!-- $x_1$: consistent -->" in text
    assert "none:" not in text


def test_a_place_that_can_not_be_written_is_said(tmp_path):
    found = verify(table(tmp_path / "t.csv", law(2)), exponent=2)
    with pytest.raises(ValueError, match=r"can't write .*absent/out\.svg: No such file"):
        plot(found, tmp_path / "absent" / "out.svg")
