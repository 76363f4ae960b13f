"""Merging: nothing lost, nothing doubled, in whatever order parts come; what can't be joined is refused by name."""

from __future__ import annotations

import itertools
import json
import random
import shutil

import pytest

from harness.fleet import merge as merging
from harness.fleet.merge import merge, warnings, write
from harness.fleet.parts import MergeError
from harness.results import journal
from harness.results.documents import JournalError
from harness.results.run import read_run, read_runs
from scenarios.claims import A2
from tests.support.parts import change, make_parts, whole_run

OTHER = "fedcba9876543210"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def merged(parts):
    """Return what comes of the parts as they are, for tests that read it and write it out."""
    return merge(parts)


@pytest.fixture
def own(parts, tmp_path):
    """Return copies of the parts, to be changed."""
    return [shutil.copytree(part, tmp_path / part.name) for part in parts]


def lines_of(directory, kind):
    content = (directory / "journal.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, content) if line["kind"] == kind]


def without(directory, *, cases):
    """Take the closing records of some cases out of a part."""
    path = directory / "journal.jsonl"
    kept = [
        line
        for line in path.read_text().splitlines()
        if not (json.loads(line)["kind"] == "record" and json.loads(line)["record"]["case"]["id"] in cases)
    ]
    path.write_text("\n".join(kept) + "\n")


def test_the_cases_of_a_merge_are_the_plans_each_once_and_one_machine_makes_one_run(merged, tmp_path):
    write(merged, tmp_path / "all")
    run = read_run(tmp_path / "all")
    whole = read_run(whole_run(tmp_path))
    assert sorted(record.case.id for record in run.records) == sorted(whole.by_id)
    assert [planned.case.id for planned in run.plan.cases] == [planned.case.id for planned in whole.plan.cases]
    assert run.merged.missing == {}
    assert run.waiting == ()
    assert run.summary.complete
    assert run.summary.wall_seconds == 3 * 250.0
    assert {record.part for record in run.records} == {"part-1", "part-2", "part-3"}


def test_records_are_as_their_part_closed_them_and_rounds_those_of_one_part(merged, parts):
    found = {record.case.id: record for record in merged.records}
    for part in parts:
        run = read_run(part)
        mine = [record for record in run.records if found[record.case.id].part == part.name]
        assert len(mine) >= len(run.records) - 1
        assert all(found[one.case.id].model_copy(update={"part": ""}) == one for one in mine)
    rounds = [json.loads(line) for line in merged.files["journal.jsonl"].splitlines()]
    counted = [one["case"] for one in rounds if one["kind"] == "round"]
    assert len(counted) == 7 * len(merged.records)


def test_the_order_of_parts_and_who_reads_them_change_no_byte(own):
    without(own[0], cases=[lines_of(own[0], "record")[0]["record"]["case"]["id"]])
    change(own[2] / "environment.json", id=OTHER)
    shutil.copytree(own[1], own[1].with_name("again"))
    paths = [*own, own[1].with_name("again")]
    first = merge(paths)
    orders = [list(order) for order in itertools.permutations(paths)]
    random.Random(3).shuffle(orders)
    assert all(merge(order).files == first.files for order in orders[:3])


def test_verdicts_are_reached_anew_over_all_parts(own):
    for part in own:
        scenarios = json.loads((part / "plan.json").read_text())["scenarios"]
        scenarios[0]["claims"] = [A2.model_dump(mode="json")]
        change(part / "plan.json", scenarios=scenarios)
        assert not (part / "verdicts.json").exists()
    found = json.loads(merge(own).files["verdicts.json"])["verdicts"]
    timed = {(one["dtype"], one["axis"]) for one in found if one["quantity"] == "time" and one["exponent"]}
    # Sequence lengths were measured in one part, features per head in another.
    assert {("float32", "n"), ("float32", "d"), ("bfloat16", "n"), ("bfloat16", "d")} <= timed


def test_each_environment_is_a_run_of_its_own_and_lacks_what_the_others_have(own, tmp_path):
    change(own[2] / "environment.json", id=OTHER)
    merged = merge(own)
    write(merged, tmp_path / "all")
    runs = read_runs([tmp_path / "all"])
    assert [run.environment.id for run in runs] == ["0123456789abcdef", OTHER]
    assert len({run.label for run in runs}) == 2
    total = sum(len(run.records) for run in runs)
    # The bridge, which the third part measured as a guest, is its group's as well.
    assert total == len(merged.merged.groups[0].lacks) + len(merged.merged.groups[1].lacks) + 2
    assert merged.merged.missing == {}
    assert any("of other machines of the merge" in line for line in warnings(merged.merged))
    with pytest.raises(JournalError, match="holds runs of 2 machines: name one of Synthetic-CPU-2-cores-0123"):
        read_run(tmp_path / "all")


def test_what_is_missing_of_the_plan_is_said_by_name_and_only_closed_records_are_taken(own, tmp_path):
    bridge = json.loads((own[1] / "plan.json").read_text())["part"]["bridge"]
    records = (one["record"] for one in lines_of(own[1], "record"))
    record = next(record for record in records if record["case"]["id"] != bridge)
    without(own[1], cases=[record["case"]["id"]])
    merged = merge([own[0], own[1]])
    third = json.loads((own[2] / "plan.json").read_text())
    lost = {one["case"]["id"] for one in third["cases"]} - {third["part"]["bridge"]}
    assert set(merged.merged.missing) == lost | {record["case"]["id"]}
    assert any("of the plan have no closed record" in line for line in warnings(merged.merged))
    write(merged, tmp_path / "all")
    run = read_run(tmp_path / "all")
    assert [case.id for case, _, _ in run.waiting] == [record["case"]["id"]]
    assert not run.summary.complete
    assert f"{record['case']['implementation']} " in merged.merged.missing[record["case"]["id"]]


def test_of_two_records_of_a_case_the_complete_one_stays_and_the_other_is_counted(own):
    twin = shutil.copytree(own[0], own[0].with_name("twin"))
    chosen = lines_of(twin, "record")[3]["record"]["case"]["id"]
    path = twin / "journal.jsonl"
    path.write_text("".join(_crashed(line, chosen) for line in path.read_text().splitlines()))
    merged = merge([*own, twin])
    kept = {record.case.id: record for record in merged.records}
    assert kept[chosen].status == "ok"
    cases = len(lines_of(own[0], "record"))
    assert len(merged.merged.duplicates) in {cases, cases - 1}
    one = next(one for one in merged.merged.duplicates if one.case == chosen)
    assert (one.kept, one.left) == ("part-1", "twin")
    assert len(kept) == len(merged.records)
    rounds = [json.loads(line) for line in merged.files["journal.jsonl"].splitlines()]
    assert sum(one["kind"] == "round" and one["case"] == chosen for one in rounds) == 7


def _crashed(line, chosen):
    content = json.loads(line)
    if content["kind"] == "record" and content["record"]["case"]["id"] == chosen:
        content["record"] = {**content["record"], "status": "crashed", "reason": "killed", "time": None}
    return json.dumps(content) + "\n"


def test_a_wrong_answer_is_not_outvoted_by_a_right_one(own):
    twin = shutil.copytree(own[0], own[0].with_name("twin"))
    chosen = lines_of(twin, "record")[3]["record"]["case"]["id"]
    path = twin / "journal.jsonl"
    path.write_text(
        "".join(_crashed(line, chosen).replace("crashed", "disagreed") for line in path.read_text().splitlines())
    )
    kept = {record.case.id: record for record in merge([*own, twin]).records}
    assert (kept[chosen].status, kept[chosen].part) == ("disagreed", "twin")


def test_the_bridge_of_a_part_that_is_lost_stands_in_for_its_case(own):
    bridge = json.loads((own[0] / "plan.json").read_text())["part"]["bridge"]
    owner = next(part for part in own if not json.loads((part / "plan.json").read_text())["part"]["is_guest"])
    merged = merge([part for part in own if part != owner])
    assert bridge not in merged.merged.missing
    assert bridge in {record.case.id for record in merged.records}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": {"code": "c1"}}, "the code: c0 in part-1, part-3; c1 in part-2"),
        ({"digests": {"attention loop": "b"}}, "the source of attention loop: a in part-1; b in part-2"),
        ({"policy": {"version": "3"}}, "the policy: "),
    ],
)
def test_parts_of_other_code_sources_or_policy_are_refused_unless_told(own, changes, said):
    change(own[0] / "plan.json", digests={"attention loop": "a"})
    change(own[1] / "plan.json", **changes)
    with pytest.raises(MergeError, match="--allow-mixed") as refused:
        merge(own)
    assert said in str(refused.value)
    merged = merge(own, allow_mixed=True)
    assert any(said in line for line in warnings(merged.merged))


def test_a_part_that_measured_nothing_is_named_and_a_torn_line_harms_no_other(own, tmp_path):
    (own[2] / "environment.json").unlink()
    with (own[1] / "journal.jsonl").open("a") as file:
        file.write('{"kind":"record","record":{"ca')
    merged = merge(own)
    assert merged.merged.empty == ["part-3"]
    assert merged.merged.missing
    assert "part-3" in " ".join(warnings(merged.merged))
    idle = tmp_path / "idle"
    idle.mkdir()
    assert merge([own[0], idle]).merged.empty == ["idle"]
    (own[0] / "environment.json").unlink()
    with pytest.raises(MergeError, match="part-1, part-3 measured nothing"):
        merge([own[0], own[2]])


def test_a_merge_is_not_a_part_and_no_directory_is_written_over(merged, tmp_path):
    write(merged, tmp_path / "all")
    with pytest.raises(MergeError, match="merged already"):
        merge([tmp_path / "all"])
    with pytest.raises(MergeError, match="exists already"):
        write(merged, tmp_path / "all")
    with pytest.raises(MergeError, match="is no part of anything"):
        merge([tmp_path])
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


def test_parts_on_several_gpus_of_a_class_have_one_device_and_one_that_is_slow_is_flagged(tmp_path):
    made = make_parts(tmp_path, count=4, slow={3: 1.5})
    for number, part in enumerate(made):
        plan = json.loads((part / "plan.json").read_text())
        change(part / "plan.json", device=f"cpu:{number}" if plan["device"] == "cpu" else plan["device"])
    merged = merge(made)
    assert {record.case.device for record in merged.records} == {"cpu"}
    assert [board.board for board in merged.merged.boards if board.is_off] == ["host-3 cores 0-1"]
    assert any("host-3" in line and "1.5" in line for line in warnings(merged.merged))


def test_names_beyond_a_few_are_counted():
    assert merging._named(map(str, range(8))) == "0; 1; 2; 3; 4 and 3 more"


def test_an_empty_journal_of_a_part_gives_no_record_and_the_bridge_is_another_parts(own):
    (own[2] / "journal.jsonl").write_text("")
    assert len(merge(own).merged.missing) == len(journal.read_plan(own[2]).cases) - 1
