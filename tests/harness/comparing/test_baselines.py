"""A baseline keeps a run in a small file, and compares as the run does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.comparing import baselines
from harness.comparing.compare import compare
from harness.comparing.snapshot import snapshot
from harness.policy import ComparisonPolicy
from harness.results.documents import JournalError
from harness.results.run import read_run
from harness.results.schema import SchemaMismatchError
from tests.support import runs
from tests.support.comparisons import case, side
from tests.support.places import ROOT, STORED

POLICY = ComparisonPolicy()


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return snapshot(read_run(runs.make_run(folder / "main", sweeps=("sequence-length", "heads-fixed-width"))))


@pytest.fixture
def file(taken, tmp_path):
    path = tmp_path / "main.json"
    path.write_text(baselines.written(taken))
    return path


def test_a_file_gives_back_every_case_exactly_and_times_as_far_as_they_are_known(taken, file):
    again = baselines.read(file)
    assert again.stable == taken.stable
    assert again.canary_floor == taken.canary_floor
    of = {one.case.id: one for one in again.cases}
    assert set(of) == {one.case.id for one in taken.cases}
    for one in taken.cases:
        mine = of[one.case.id]
        assert mine.case.model_copy(update={"also": one.case.also}) == one.case
        assert (mine.status, mine.reason, mine.digest) == (one.status, one.reason, one.digest)
        for name in ("rounds", "processes", "statistic", "operations", "attended", "extra_bytes"):
            assert getattr(mine, name) == getattr(one, name)
        for name in ("seconds", "low", "high") if one.has_interval else ():
            half = np.log(one.high / one.low) / 2
            assert abs(np.log(getattr(mine, name) / getattr(one, name))) < 0.04 * half
        if one.status == "ok":
            assert mine.error == pytest.approx(one.error, rel=1e-4)
    file.write_text(baselines.written(again))
    assert baselines.read(file) == again


def test_it_compares_as_the_run_does(taken, file, tmp_path):
    new = snapshot(read_run(runs.make_run(tmp_path / "new", sweeps=("sequence-length",), seed=3, speed=0.8)))
    outcomes = [
        {one.case.id: (one.outcome, one.reason) for one in compare(base, new, policy=POLICY).cases}
        for base in (taken, baselines.read(file))
    ]
    assert outcomes[0] == outcomes[1]
    assert ("slower", "") in outcomes[0].values()


def test_a_hundred_cases_take_a_few_kilobytes(taken, file):
    assert len(file.read_text()) / len(taken.cases) < 65
    text = file.read_text()
    assert all(text.count(digest) == 1 for digest in {one.digest for one in taken.cases} - {""})


def test_a_file_of_an_earlier_version_is_read():
    earlier = baselines.read(STORED / "baselines" / "rows.json")
    kept = baselines.read(ROOT / "baselines" / "smoke.json")
    assert [len(of.cases) for of in (earlier, kept)] == [27, 27]
    assert {one.case.id for one in earlier.cases} == {one.case.id for one in kept.cases}
    found = compare(earlier, kept, policy=POLICY)
    assert {one.outcome for one in found.cases} <= {"same", "inconclusive", "not comparable"}
    assert earlier.cases[6].seconds == 5.4846e-05


def test_digests_and_statistics_are_kept_by_implementation(tmp_path):
    kept = side([case(digest="abc"), case("online", digest="def", statistic="")])
    path = tmp_path / "one.json"
    path.write_text(baselines.written(kept))
    again = baselines.read(path)
    assert [(one.digest, one.statistic) for one in again.cases] == [("abc", "lower quartile"), ("def", "")]


def test_sides_of_one_implementation_with_two_statistics_keep_both(tmp_path):
    point = {"n": 128, "d": 64, "heads": 2, "batch": 1}
    kept = side([case(), case(point=point, statistic="", processes=3)])
    path = tmp_path / "one.json"
    path.write_text(baselines.written(kept))
    assert [(one.statistic, one.processes) for one in baselines.read(path).cases] == [("lower quartile", 1), ("", 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "schema"),
        ('{"schema": "1.3.0"}', "is no baseline"),
        ("[1]", "holds no JSON object"),
        ('{"kind": "attnbench baseline", "schema": "1.3.0"}', "name is missing"),
    ],
)
def test_a_file_that_is_none_is_refused(text, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises((JournalError, SchemaMismatchError), match=message):
        baselines.read(path)


def test_a_row_of_the_wrong_length_is_refused(tmp_path):
    document = json.loads((STORED / "baselines" / "rows.json").read_text())
    document["groups"][2]["rows"][0].append(1)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(document))
    with pytest.raises(JournalError, match="a row of batched has"):
        baselines.read(path)


def test_a_newer_major_version_is_refused(file):
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"schema": "9.0.0"}))
    with pytest.raises(SchemaMismatchError, match=r"9\.0\.0"):
        baselines.read(file)


@pytest.mark.parametrize("name", ["", "../main", "a/b", ".hidden", "a b", "x" * 101])
def test_a_name_is_one_file_in_the_folder(name, tmp_path):
    with pytest.raises(JournalError, match="no name for a baseline"):
        baselines.path_of(name, folder=tmp_path)
    assert baselines.path_of("main-2.13", folder=tmp_path) == tmp_path / "main-2.13.json"


def test_a_file_whose_disk_is_broken_is_a_line(tmp_path):
    (tmp_path / "main.json").symlink_to("/proc/self/mem")
    with pytest.raises(JournalError, match=r"main\.json can't be read: Input/output error"):
        baselines.is_baseline(tmp_path / "main.json")
