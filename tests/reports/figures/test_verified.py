"""The picture of a table's verdicts is drawn in the formats that it names."""

from __future__ import annotations

import numpy as np
import pytest

from harness.verdicts.table import verify
from reports.figures.verified import plot

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
