"""The verdict on anybody's table: right where the data tell, one line where they can't be read."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from harness.verdicts.table import verify
from reports.terminal.verification import lines

SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


def law(power, *, floor=5e-6, seed=1, noise=0.02):
    generator = np.random.default_rng(seed)
    return [(n, (floor + 2e-9 * n**power) * float(np.exp(generator.normal(0, noise)))) for n in SIZES]


def table(path, rows, *, header="n,seconds"):
    path.write_text(header + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def test_a_square_is_consistent_and_a_line_contradicted(tmp_path):
    rows = [("dense", n, t) for n, t in law(2)] + [("window", n, t) for n, t in law(1, floor=1e-8)]
    found = verify(table(tmp_path / "t.csv", rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    dense, window = document["verdicts"]
    assert (dense["impl"], dense["verdict"]) == ("dense", "consistent")
    assert dense["low"] <= 2.0 <= dense["high"]
    assert (window["impl"], window["verdict"]) == ("window", "contradicted")
    assert found.fails(["contradicted"])
    assert not verify(table(tmp_path / "s.csv", law(2)), exponent=2).fails(["contradicted"])
    assert dense["reason"] == f"the exponent is between {dense['low']:.2f} and {dense['high']:.2f}, inside 1.75 to 2.25"
    assert f"impl=dense: seconds ~ n^2 is consistent: {dense['reason']}" in lines(found)


def test_few_sizes_are_inconclusive_with_what_to_run(tmp_path):
    found = verify(table(tmp_path / "t.csv", law(2)[:6]), exponent=2)
    assert found.groups[0].verdict == "inconclusive"
    assert lines(found)[1] == "  to decide, measure 11 sizes from 64 to 4096"
    assert found.document()["verdicts"][0]["to_decide"] == "measure 11 sizes from 64 to 4096"
    lone = verify(table(tmp_path / "u.csv", law(2)[:2]), exponent=2).document()["verdicts"][0]
    assert (lone["verdict"], lone["exponent"]) == ("inconclusive", None)
    assert "2 sizes are too few" in lone["reason"]


def test_several_samples_of_a_size_give_their_second_smallest(tmp_path):
    rows = [(n, t * factor) for n, t in law(2, noise=0) for factor in (5.0, 1.0, 1.01, 3.0)]
    found = verify(table(tmp_path / "t.csv", rows), exponent=2).groups[0]
    assert found.samples == 4 * len(SIZES)
    assert found.costs == pytest.approx([1.01 * t for _, t in law(2, noise=0)])


def test_the_layer_rule_forgives_a_linear_term(tmp_path):
    wobble = [(n, 1.0 + 1e-3 * (-1) ** place) for place, n in enumerate(SIZES)]
    path = table(tmp_path / "t.csv", [(n, (3e-6 * n + 4e-9 * n * n) * noise) for n, noise in wobble])
    assert verify(path, exponent=2).groups[0].verdict != "consistent"
    assert verify(path, exponent=2, kind="layer").groups[0].verdict == "consistent"


def test_a_narrower_band_asks_for_more(tmp_path):
    path = table(tmp_path / "t.csv", law(2, noise=0.05))
    assert verify(path, exponent=2, band=0.5).groups[0].verdict == "consistent"
    assert verify(path, exponent=2, band=0.01).groups[0].verdict == "inconclusive"


@pytest.mark.parametrize("delimiter", [";", "\t", ", "])
def test_other_delimiters_and_a_byte_order_mark_are_read(tmp_path, delimiter):
    path = tmp_path / "t.csv"
    path.write_text("\ufeffn" + delimiter + "seconds\n" + "".join(f"{n}{delimiter}{t}\n" for n, t in law(2)))
    assert verify(path, exponent=2).groups[0].verdict == "consistent"


def test_mixed_rows_are_noted(tmp_path):
    rows = [("a", n, t) for n, t in law(2)] + [("b", n, 2 * t) for n, t in law(2)]
    path = table(tmp_path / "t.csv", rows, header="impl,n,seconds")
    assert "--by impl" in lines(verify(path, exponent=2))[-1]
    assert verify(path, exponent=2, by=["impl"]).notes == []


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("n,seconds\n64,1\n", {"y": "second"}, r"no column 'second' in .*; did you mean 'seconds'\? have: n, seconds"),
        ("size,seconds\n64,1\n", {}, "no column 'n' in .* have: size, seconds"),
        ("n,seconds\n64,fast\n", {}, "line 2, seconds: 'fast' is neither a number nor a marker"),
        ("n,seconds\n64,0\n", {}, r"nothing to judge.*1 row of '0' left out \(n = 64\): no cost is zero"),
        ("n,seconds\n64,nan\n", {}, r"nothing to judge.*1 row of 'nan' left out \(n = 64\)"),
        ("n,seconds\n64\n", {}, "line 2: 1 fields, not 2 fields"),
        ("n,seconds\n", {}, "a header and no rows"),
        ("", {}, "is empty"),
        ("n,n\n1,2\n", {}, "two columns 'n'"),
        ('{"benchmarks": []}', {}, "has no benchmarks"),
        ("{", {}, "is not JSON"),
        ("n,seconds\n64,1\n", {"exponent": 0.3}, "--exponent must be 0 for a flat cost or 0.5 to 10"),
        ("n,seconds\n64,1\n", {"band": -1.0}, "--band must be above 0"),
        ('{"benchmarks": [{"name": "x"}]}', {}, "no JSON of pytest-benchmark"),
    ],
)
def test_what_can_not_be_read_is_said_in_one_line(tmp_path, text, options, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        verify(path, **{"exponent": 2.0, **options})
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_bytes_are_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"can't read .*nowhere\.csv: No such file"):
        verify(tmp_path / "nowhere.csv", exponent=2)
    (tmp_path / "b.csv").write_bytes(b"n,seconds\n64,\xb5\n")
    with pytest.raises(ValueError, match="not a UTF-8 text: byte 0xb5 on line 2"):
        verify(tmp_path / "b.csv", exponent=2)


def test_pytest_benchmark_is_read_with_its_samples(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [100, 200, 400])\n"
        "def test_total(benchmark, n):\n"
        "    benchmark.pedantic(sum, args=(range(n),), rounds=4)\n"
    )
    out = tmp_path / "b.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--benchmark-json={out}"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path / "test_it.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    group = verify(out, exponent=1).groups[0]
    assert group.key == {"benchmark": "test_total"}
    assert group.sizes == [100, 200, 400]
    assert group.samples == 12


def test_google_benchmark_is_read_in_its_unit_without_aggregates(tmp_path):
    def entry(name, time, **more):
        return {"name": name, "run_name": name, "run_type": "iteration", "real_time": time, "cpu_time": time, **more}

    benchmarks = [entry(f"BM_square/{n}/threads:1", 1e9 * t, time_unit="ns") for n, t in law(2)]
    benchmarks += [entry(f"BM_line/n:{n}", 1e3 * t, time_unit="ms") for n, t in law(1, floor=1e-8)]
    benchmarks.append({"name": "BM_square_BigO", "run_type": "aggregate", "cpu_coefficient": 1.0, "big_o": "N^2"})
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"context": {}, "benchmarks": benchmarks}))
    found = {group.key["benchmark"]: group for group in verify(path, exponent=2).groups}
    assert found["BM_square"].verdict == "consistent"
    assert found["BM_square"].costs[0] == pytest.approx(law(2)[0][1])
    assert found["BM_line"].verdict == "contradicted"


def test_verify_imports_neither_torch_nor_matplotlib():
    loaded = "sorted({'torch', 'matplotlib', 'scipy'} & set(sys.modules))"
    code = f"import sys, harness.verdicts.table, reports.figures.verified; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
