"""Every figure of the report has its axes labelled."""

from __future__ import annotations

from reports import style
from reports.page.render import render
from tests.support import runs


def test_every_panel_has_its_axes_labelled(monkeypatch, tmp_path):
    drawn = []

    def keep(drawing, **options):
        drawn.append((options["prefix"], drawing))
        return to_svg(drawing, **options)

    to_svg = style.to_svg
    monkeypatch.setattr(style, "to_svg", keep)
    names = ("sequence-length", "grid", "multihead-length")
    cpu = runs.make_run(tmp_path / "cpu", sweeps=names, dtypes=("float32", "bfloat16"))
    render([cpu, runs.make_gpu_run(tmp_path / "gpu")], tmp_path / "page.html")
    assert len(drawn) > 30
    for prefix, drawing in drawn:
        for axes in drawing.axes:
            if not axes.axison:
                continue
            assert axes.get_xlabel(), prefix
            # Names of implementations or kinds need no further word.
            named = any(any(c.isalpha() for c in tick.get_text()) for tick in axes.get_yticklabels())
            # Panels beside each other share an axis, which the first of them names.
            beside = axes.get_shared_y_axes().get_siblings(axes)
            assert named or any(one.get_ylabel() for one in beside), prefix
