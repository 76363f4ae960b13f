"""The data in the page: what is packed is what the table and the records say, in less space."""

from __future__ import annotations

import base64
import gzip
import json
import math

import pytest

from harness.results.run import read_run
from reports.frame import COLUMNS, frames
from reports.page.embedded import REASON_CHARACTERS, SAMPLE_STEPS, pack, shortened
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(runs.make_run(tmp_path_factory.mktemp("embedded") / "run", sweeps=("batch",)))


@pytest.fixture(scope="module")
def content(run):
    return unpacked(pack([run], frames([run])))


def unpacked(packed):
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def values(column):
    return [column["words"][place] for place in column["index"]] if "words" in column else column["values"]


def test_columns_come_back_as_they_were(run, content):
    table = frames([run])
    for name in ("implementation", "status", "reason"):
        assert values(content["columns"][name]) == table[name].tolist()
    medians = values(content["columns"]["median_s"])
    for packed, known in zip(medians, table["median_s"], strict=True):
        assert packed is None if math.isnan(known) else packed == pytest.approx(known, rel=1e-6)


def test_columns_that_no_case_fills_are_left_out(content):
    assert "gpu_utilization" in COLUMNS
    assert not {"gpu_utilization", "graph_s"} & set(content["columns"])


def test_each_row_has_its_details_in_the_same_order(run, content):
    assert len(content["details"]) == len(frames([run]))
    timed = [(detail, record) for detail, record in zip(content["details"], run.records, strict=False) if record.time]
    for detail, record in timed:
        again = [step * record.time.median / SAMPLE_STEPS for step in detail["samples"]]
        assert again == pytest.approx(record.time.samples, abs=record.time.median / SAMPLE_STEPS)
        assert detail["rounds"] == record.time.round_lengths
        assert detail["checks"][0][0] == record.agreement.checks[0].name
    assert len(timed) > 10


def test_the_setting_of_a_case_is_that_of_its_environment(run, content):
    assert content["environments"][run.environment.id]["torch"] == run.environment.stable["torch"]


def test_the_same_run_packs_to_the_same_bytes(run):
    assert pack([run], frames([run])) == pack([run], frames([run]))


def test_a_long_reason_keeps_its_ends_and_says_how_long_it_was():
    text = "first line " + "x" * 10 * REASON_CHARACTERS + " the cause"
    short = shortened(text)
    assert short.startswith("first line")
    assert short.endswith("the cause")
    assert f"{len(text):,} characters" in short
    assert len(short) < REASON_CHARACTERS + 100
    assert shortened("short") == "short"


def test_numbers_that_are_not_finite_are_absent_and_never_break_the_page(tmp_path):
    record = runs.ok_record("batched", n=64)
    spoilt = record.time.model_copy(update={"samples": [*record.time.samples, math.inf]})
    runs.write_run(tmp_path / "run", [record], sweeps=("sequence-length",), judged=False)
    run = read_run(tmp_path / "run")
    changed = type(run)(**{**vars(run), "records": (record.model_copy(update={"time": spoilt}),)})
    (detail,) = unpacked(pack([changed], frames([changed])))["details"]
    assert len(detail["samples"]) == len(record.time.samples)
