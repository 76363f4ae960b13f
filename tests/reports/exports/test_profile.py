"""A profile as tables that other programs read."""

from __future__ import annotations

import csv
import io

from harness.profiled import Counter
from reports.exports import profile
from tests.support.profiles import case_profile


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_parts_have_a_row_each_with_seconds_and_share():
    found = rows(profile.parts(case_profile()))
    assert found[0] == {
        "name": "aten::bmm", "kind": "operator", "count": "2", "seconds": "0.000700000", "share": "0.700000",
    }  # fmt: skip
    assert len(found) == 4


def test_what_is_held_has_a_row_for_each_change():
    assert [row["bytes"] for row in rows(profile.held(case_profile()))] == ["0", "500000", "100"]


def test_counters_have_a_row_each():
    found = rows(profile.counters([Counter(name="dram__bytes_read.sum", value=2.0, unit="byte")]))
    assert found == [{"name": "dram__bytes_read.sum", "value": "2.0", "unit": "byte", "kernel": ""}]
