"""Kernels that answer later, keep results or drift get no time from a run; the honest one beside them does."""

from __future__ import annotations

import json

import pytest

from harness.results.run import read_run
from tests.support.commands import in_process
from tests.support.places import PLANTED

pytestmark = pytest.mark.usefixtures("no_page")

# The planted drift begins with the ninth call on the same inputs.
CALLS_BEFORE_DRIFT = 9
ANY_CHECK = (
    "kept results?",
    "skipped work?",
    "after timing",
    "on new values takes",
    "a first call takes",
    "new values in its inputs",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cheats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        words = [
            "run",
            "sequence-length",
            "--fast",
            "--impl",
            "planted-*",
            "--impl",
            "sdpa-flash",
            "-a",
            "n=128",
            "-o",
            str(directory / "run"),
        ]
        files = [
            word for name in ("cheats", "changes_on_import") for word in ("--impl-file", str(PLANTED / f"{name}.py"))
        ]
        in_process(*words, *files)
    return {record.case.implementation: record for record in read_run(directory / "run").records}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("planted-lazy", "out has attributes of its own: detach"),
        ("planted-by-content", "a call on new values takes"),
        ("planted-by-sums", "a call on new values takes"),
        ("planted-by-version", "a first call takes"),
        ("planted-by-address", "new values in its inputs gave the results of the old ones"),
        ("planted-three-threads", "it changed threads from"),
        ("planted-denormals", "it changed denormal mode from False to True"),
        ("planted-drifts", "the last gave something else than the first"),
    ],
)
def test_a_cheat_has_no_time_and_a_reason(found, name, said):
    record = found[name]
    if record.time is not None and record.time.calls_per_sample <= CALLS_BEFORE_DRIFT:
        pytest.skip("this machine is too busy for blocks that are long enough to drift")
    assert record.time is None
    assert record.status in {"disagreed", "invalid"}
    # On a busy machine another of the checks may speak first.
    assert any(part in record.reason for part in (said, *ANY_CHECK)), record.reason


def test_a_check_too_tells_of_what_a_call_changes_for_everyone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    words = ["check", "--impl", "planted-three-threads", "--device", "cpu", "--dtype", "float32", "-k", "n 2, forward"]
    done = in_process(*words, "--json", "--impl-file", PLANTED / "cheats.py")
    (outcome,) = json.loads(done.stdout)["outcomes"]
    assert outcome["status"] == "invalid"
    assert outcome["reason"].startswith("it changed threads from")
    assert done.exit_code == 3


def test_the_honest_one_is_timed_on_several_sets_of_values(found):
    assert found["planted-honest"].status == "ok", found["planted-honest"].reason
    assert found["planted-honest"].time.input_sets > found["planted-honest"].time.rounds


def test_what_a_file_changes_on_import_is_put_back_and_stands_beside_its_own_cases_alone(found):
    assert {found[name].status for name in ("planted-changes", "planted-honest", "sdpa-flash")} == {"ok"}
    (note,) = found["planted-changes"].notes
    assert note.startswith("on import it changed threads from ")
    for setting in ("denormal mode", "default dtype", "switch interval"):
        assert f"changed {setting} from" in note
    assert found["sdpa-flash"].notes == found["planted-honest"].notes == []
