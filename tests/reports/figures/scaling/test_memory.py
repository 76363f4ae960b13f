"""Extra memory stands beside the bytes of one score matrix and of one output, which are counted by hand here."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.figures.scaling.memory import draw_memory, memory, output_bytes, score_bytes
from reports.frame import AXES
from tests.support.drawn import colors_of, sweep_of, swept

COLORS = colors_of("batched", "einsum", "online")


def row(**known):
    absent = dict.fromkeys(AXES, float("nan"))
    return pd.DataFrame([{**absent, "dtype": "float32", **known}])


@pytest.mark.parametrize(
    ("known", "scores", "output"),
    [
        ({"n": 8.0, "d": 4.0}, 8 * 8 * 4, 8 * 4 * 4),
        ({"n": 8.0, "d": 4.0, "batch": 2.0, "heads": 3.0}, 2 * 3 * 8 * 8 * 4, 2 * 3 * 8 * 4 * 4),
        ({"n_q": 2.0, "n_k": 16.0, "d": 4.0, "d_v": 5.0}, 2 * 16 * 4, 2 * 5 * 4),
        ({"n": 8.0, "d": 4.0, "dtype": "bfloat16"}, 8 * 8 * 2, 8 * 4 * 2),
    ],
)
def test_scores_and_output_have_their_bytes(known, scores, output):
    assert float(score_bytes(row(**known)).iloc[0]) == scores
    assert float(output_bytes(row(**known)).iloc[0]) == output


def test_both_laws_are_drawn_with_their_powers():
    sweep = sweep_of(swept("batched", "online"))
    (axes,) = draw_memory(sweep.table, "n", COLORS).axes
    words = [text.get_text() for text in axes.texts]
    assert [word for word in words if "∝" in word or "constant" in word] == ["output ∝ n", "scores ∝ n²"]


def test_bytes_that_stay_are_a_constant():
    sweep = sweep_of([record for d in (16, 32, 64) for record in swept("batched", sizes=(256,), d=d)])
    assert sweep.axis == "d"
    (axes,) = draw_memory(sweep.table, "d", COLORS).axes
    assert "scores, constant" in [text.get_text() for text in axes.texts]


def test_the_finding_is_of_the_largest_size():
    figure = memory(sweep_of(swept("batched", "online")), COLORS)
    assert figure.finding == "At n = 2,048 online takes 1.06 MiB extra, batched 65.1 MiB: 61.2× as much."
    assert figure.columns == ("implementation", "n", "measured", "predicted")
    lone = memory(sweep_of(swept("batched")), COLORS)
    assert lone.finding == "At n = 2,048 batched takes 65.1 MiB extra."
    alike = memory(sweep_of(swept("batched", "einsum")), COLORS)
    assert alike.finding == "At n = 2,048 batched takes 65.1 MiB extra, einsum as much."


def test_without_extra_memory_there_is_no_figure():
    none = [
        record.model_copy(update={"memory": record.memory.model_copy(update={"peak": record.memory.outputs})})
        for record in swept("batched")
    ]
    assert memory(sweep_of(none), COLORS) is None
