"""A run as a folder of asv's results: laid out as its documentation says, and read by asv where it is installed."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess

import pytest

from harness.results.run import read_run
from reports.exports.asv import CELLS_AT_MOST, WIDER, files
from tests.support import runs
from tests.support.commands import in_process

BASE, NEW = "a" * 40, "b" * 40
# Types that asv gives its benchmarks, and what each key of a result may be ("Developer Docs").
TYPES = {"time", "memory", "track", "peakmemory"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length",)))


def parts(found):
    """Return benchmarks, machine and results of a folder."""
    by_kind = {name.rpartition("/")[2].partition("-")[0]: json.loads(content) for name, content in found.items()}
    return by_kind["benchmarks.json"], by_kind["machine.json"], by_kind[BASE[:8]]


def test_the_folder_is_laid_out_as_asv_documents_it(run):
    found = files(run, commit=BASE)
    benchmarks, machine, results = parts(found)
    place = machine["machine"]
    assert set(found) == {"benchmarks.json", f"{place}/machine.json", f"{place}/aaaaaaaa-{results['env_name']}.json"}
    assert (benchmarks.pop("version"), machine.pop("version"), results["version"]) == (2, 1, 2)
    assert set(machine) == {"machine", "os", "arch", "cpu", "num_cpu", "ram"}
    assert machine.items() <= results["params"].items()
    assert all(isinstance(value, str) for value in results["params"].values())
    assert set(results["results"]) == set(benchmarks)
    for name, one in benchmarks.items():
        assert one["name"] == name
        assert one["type"] in TYPES
        assert len(one["params"]) == len(one["param_names"])
        row = dict(zip(results["result_columns"], results["results"][name], strict=False))
        cells = math.prod(map(len, one["params"]))
        assert (row["version"], row["params"]) == (one["version"], one["params"])
        assert {len(row[key]) for key in row if key == "result" or key.startswith("stats_")} == {cells}
        assert all(isinstance(value, str) for value in itertools.chain(*one["params"]))


def test_a_cell_has_the_figures_of_its_case(run):
    benchmarks, _, results = parts(files(run, commit=BASE))
    seen = 0
    for record in run.records:
        name = f"{record.case.scenario}.{record.case.implementation}"
        one = benchmarks[f"{name}.time"]
        case = {**record.case.point, **record.case.model_dump(include={"dtype", "device", "direction", "cache"})}
        key = tuple(repr(case.get(axis)) for axis in one["param_names"])
        place = list(itertools.product(*one["params"])).index(key)
        of = {quantity: results["results"][f"{name}.{quantity}"] for quantity in ("time", "extra_memory", "operations")}
        row = dict(zip(results["result_columns"], of["time"], strict=False))
        if record.time:
            seen += 1
            assert row["result"][place] == record.time.seconds
            low, high = record.time.interval
            width = math.log(row["stats_ci_99_b"][place] / row["stats_ci_99_a"][place])
            assert width == pytest.approx(WIDER * math.log(high / low))
            assert of["extra_memory"][0][place] == record.memory.extra
            assert of["operations"][0][place] == record.counts.operations
        else:
            # Not a number is what was not to run here, null what failed.
            skipped = record.status in {"unsupported", "unavailable", "predicted_oom"}
            assert (row["result"][place] is None) == (not skipped)
    assert seen > 50


def test_samples_are_left_out_so_that_asv_decides_by_the_interval(run):
    _, _, results = parts(files(run, commit=BASE))
    place = results["result_columns"].index("samples")
    assert all(len(row) <= place for row in results["results"].values())


def test_values_that_go_together_are_one_parameter(tmp_path):
    records = [runs.ok_record(n=2**k, d=3**k, heads=5**k) for k in range(1, 8)]
    runs.write_run(tmp_path / "run", records, judged=False)
    benchmarks, _, _ = parts(files(read_run(tmp_path / "run"), commit=BASE))
    one = next(one for name, one in benchmarks.items() if name.endswith(".time"))
    assert one["param_names"][0] == "shape"
    assert math.prod(map(len, one["params"])) <= CELLS_AT_MOST * len(records)
    assert len(one["params"][0]) == len(records)


def test_a_folder_keeps_what_other_runs_left_in_it(tmp_path):
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)], judged=False)
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "benchmarks.json").write_text(json.dumps({"other.time": {"name": "other.time"}, "version": 2}))
    for commit in (BASE, NEW):
        done = in_process("export", tmp_path / "run", "--to", "asv", "--commit", commit, "-o", folder)
        assert done.output.strip() == str(folder)
    assert "other.time" in json.loads((folder / "benchmarks.json").read_text())
    assert len(list(folder.glob("*/*-attnbench*.json"))) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "asv"), "add --commit HASH"),
        (("--to", "asv", "--commit", "../../up"), "is no commit"),
        (("--to", "csv", "--commit", BASE), "--commit is for --to asv"),
    ],
)
def test_what_is_no_commit_is_refused(tmp_path, options, said):
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)], judged=False)
    done = in_process("export", tmp_path / "run", *options)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_no_fact_of_a_machine_leads_out_of_the_folder(run):
    stable = {**run.environment.stable, "device": "../../cpu", "torch": "../2"}
    odd = run.environment.model_copy(update={"stable": stable})
    found = files(run.__class__(**{**run.__dict__, "environment": odd}), commit=BASE)
    assert all(name.count("/") <= 1 and ".." not in name.split("/") for name in found)


def git(folder, *arguments):
    known = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *known, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_asv_shows_compares_and_publishes_the_folder(run, tmp_path):
    program = shutil.which("asv")
    if program is None:
        pytest.skip("asv is not installed")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    slower = [
        record.model_copy(
            update={"time": record.time.model_copy(update={name: 2 * getattr(record.time, name) for name in TIMES})}
        )
        if record.time
        else record
        for record in run.records
    ]
    commits = []
    for records in (run.records, slower):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "Change")
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
        one = run.__class__(**{**run.__dict__, "records": records})
        for name, content in files(one, commit=commits[-1]).items():
            (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "results" / name).write_bytes(content)
    (tmp_path / "asv.conf.json").write_text(
        json.dumps({"version": 1, "project": "kernel", "repo": ".", "branches": ["main"], "results_dir": "results"})
    )

    def asv(*arguments):
        done = subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "sequence-length.batched.time" in asv("show", commits[0])
    said = asv("compare", *commits)
    changed = [line for line in said.splitlines() if line.startswith("| +") and "batched.time" in line]
    assert changed
    assert all("2.00" in line for line in changed)
    assert not [line for line in said.splitlines() if line.startswith("| +") and "operations" in line]
    asv("publish", "--no-pull")
    assert "sequence-length.batched.time" in (tmp_path / "html" / "index.json").read_text()


TIMES = ("median", "low", "high", "best")
