"""Files of others are the version that is named."""

from __future__ import annotations


def test_vendored_files_are_those_whose_version_is_named():
    from reports.page.vendor import compare

    script = (compare.HERE / "uplot/uPlot.iife.min.js").read_text(encoding="utf-8")
    assert compare.PACKAGE.endswith("@1.6.32")
    assert "v1.6.32" in script[:300]
