"""Other people's tables, as they come: what is read, what is left out and said, and what is an error."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from harness.tables.columns import conventions
from harness.tables.delimited import COLUMNS_AT_MOST, LINE_AT_MOST, ROWS_AT_MOST
from harness.tables.reading import BYTES_AT_MOST
from harness.verdicts.table import Wording, verify
from reports.figures.verified import plot
from reports.terminal.verification import lines

SIZES = [64, 128, 256, 512, 1024, 2048, 4096]
LARGER = [8192, 16384, 32768]
# One-sixth/flash-linear-attention-pytorch, issue 2, milliseconds: 0.0 where nothing ran.
TWO_LAWS = """\
n,loop,product,loop_bwd,product_bwd
128,0.562464,0.070528,2.559040,0.457264
256,1.045184,0.248288,4.628768,1.202304
512,1.985616,1.048672,8.744512,4.072736
1024,3.752128,4.245552,16.860832,15.379920
2048,8.084112,16.581951,34.121632,59.644608
4096,16.667072,65.927422,69.998749,236.715134
8192,33.302673,266.616394,140.329208,946.697754
16384,66.487587,1057.897217,280.383118,3756.456787
32768,132.869476,4288.217773,0.000000,0.000000
65536,0.000000,0.000000,0.000000,0.000000
"""
# Rabe and Staats, arXiv 2112.05682, table 2.
WITH_UNITS = {
    "time": "0.06ms 0.11ms 0.7ms 11.3ms 177ms 2.82s 45.2s",
    "efficient": "270KB 4.0MB 16MB 17MB 21MB 64MB 256MB",
    "standard": "270KB 4.0MB 64MB 1GB OOM OOM OOM",
}
# google/benchmark 296, microseconds: about 29 n - 88.
BELOW_A_LINE = [12, 36, 88, 196, 419, 881, 1778, 3769, 7289, 14461, 29002]
# pytorch/benchmark PR 2443, milliseconds: batch * n is 16384 throughout.
TIED = {512: 0.24512, 1024: 0.442944, 2048: 0.845728, 4096: 1.65574, 8192: 3.27904, 16384: 6.55098}
# damek/cs336-assignment2-systems: memory saved for the backward pass at five lengths, in MiB.
SAVED = {256: "4.02344", 1024: "64.0938", 4096: "1024.38", 8192: "4096.75", 16384: "16385.5"}


def square(n, seed=0):
    return 5e-6 + 2e-9 * n**2 * float(np.exp(np.random.default_rng(seed + n).normal(0, 0.01)))


def write(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def of_cells(tmp_path, cells, *, header="n,seconds", comma=","):
    return write(tmp_path, "\n".join([header, *(comma.join(map(str, row)) for row in cells)]) + "\n")


def with_units(tmp_path, *, power):
    rows = [
        f"{what},{power.format(8 + 2 * place, 2 ** (8 + 2 * place))},{cell}"
        for what, cells in WITH_UNITS.items()
        for place, cell in enumerate(cells.split())
    ]
    return write(tmp_path, "\n".join(["what,n,value", *rows]) + "\n")


@pytest.mark.parametrize(
    ("column", "verdicts", "left"),
    [
        ("loop", ("consistent", "contradicted"), 1),
        ("product", ("contradicted", "consistent"), 1),
        ("loop_bwd", ("consistent", "contradicted"), 2),
        ("product_bwd", ("contradicted", "consistent"), 2),
    ],
)
def test_two_laws_side_by_side_are_told_apart_and_zeros_are_left_out(tmp_path, column, verdicts, left):
    path = write(tmp_path, TWO_LAWS)
    found = [verify(path, y=column, exponent=exponent) for exponent in (1, 2)]
    assert tuple(each.groups[0].verdict for each in found) == verdicts
    assert found[0].groups[0].left_out == left
    assert min(found[0].groups[0].costs) > 0
    rows = "1 row" if left == 1 else "2 rows"
    assert any(f"{rows} of '0.000000' left out (n = " in note and "no cost is zero" in note for note in found[0].notes)


@pytest.mark.parametrize("power", ["2^{}", "2**{}", "{1}", "{1:,}"])
def test_units_in_cells_are_read_over_a_range_of_4096(tmp_path, power):
    path = with_units(tmp_path, power="{1}" if power == "{1:,}" else power)
    groups = {group.key["what"]: group for group in verify(path, y="value", exponent=2, by=["what"]).groups}
    assert groups["time"].verdict == "consistent"
    assert groups["time"].costs[-1] == 45.2
    assert groups["time"].sizes == [2.0 ** (8 + 2 * place) for place in range(7)]
    assert groups["efficient"].verdict == "inconclusive"
    assert groups["standard"].left_out == 3
    line = verify(path, y="value", exponent=1, by=["what"]).groups
    assert [group.verdict for group in line][:2] == ["contradicted", "inconclusive"]


def test_markers_are_counted_and_quoted_with_their_group_and_sizes(tmp_path):
    found = verify(with_units(tmp_path, power="2^{}"), y="value", exponent=2, by=["what"])
    assert "3 rows of 'OOM' left out (what=standard at n = 65536, 262144, 1048576)" in found.notes
    assert any(note.startswith("value is read in seconds and bytes from ms, s, KB, MB, GB") for note in found.notes)


@pytest.mark.parametrize(
    "cell",
    ["-", "OOM", "0.000000", "N/A", "-1", "✗", "✓", "❌", "", "nan", "> 3600", "timeout", "inf", "OOM (80 GB)", "—"],
)
def test_whatever_stands_where_nothing_was_measured_the_rest_is_judged(tmp_path, cell):
    rows = [(name, n, square(n)) for name in ("a", "b") for n in SIZES] + [("b", n, cell) for n in LARGER]
    found = verify(of_cells(tmp_path, rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    assert [group.verdict for group in found.groups] == ["consistent", "consistent"]
    assert [group.left_out for group in found.groups] == [0, 3]
    assert found.groups[0].costs == found.groups[1].costs
    shown = repr(cell) if cell else "an empty cell"
    assert any(f"3 rows of {shown} left out (impl=b at n = 8192, 16384, 32768)" in note for note in found.notes)


@pytest.mark.parametrize("decoration", ["{}", "**{}**", "{}±0.5%", "~{}", "`{}`", "{} s", "{} (2.1x)", "$ {} $"])
def test_decorated_numbers_are_numbers(tmp_path, decoration):
    rows = [(n, decoration.format(f"{square(n):.6g}")) for n in SIZES]
    assert verify(of_cells(tmp_path, rows), exponent=2).groups[0].verdict == "consistent"


def test_every_cell_that_is_neither_is_named_in_one_pass(tmp_path):
    rows = [(64, 1.0), ("all", 2.0), (256, "fast"), (512, 3.0), (1024, "12 parsecs"), (2048, "1.2.3")]
    with pytest.raises(ValueError, match="neither") as caught:
        verify(of_cells(tmp_path, rows), exponent=2)
    told = str(caught.value).split("\n")
    assert [line.removeprefix(f"{tmp_path}/t.csv ").split(" ")[:4] for line in told] == [
        ["line", "3,", "n:", "'all'"],
        ["line", "4,", "seconds:", "'fast'"],
        ["line", "6,", "seconds:", "'12"],
        ["line", "7,", "seconds:", "'1.2.3'"],
    ]


def test_a_hundred_mistakes_are_twenty_lines_and_a_number(tmp_path):
    with pytest.raises(ValueError, match="fast") as caught:
        verify(of_cells(tmp_path, [(n, "fast") for n in range(1, 101)]), exponent=2)
    told = str(caught.value).split("\n")
    assert len(told) == 21
    assert told[-1] == "and 80 more such cells"


def test_zero_and_negative_are_never_fitted(tmp_path):
    rows = [(n, square(n)) for n in SIZES] + [(0, 1e-6), (-64, 1e-6), (8192, 0), (16384, -3), ("-", 5)]
    found = verify(of_cells(tmp_path, rows), exponent=2)
    assert found.groups[0].sizes == SIZES
    assert found.groups[0].left_out == 5
    text = "\n".join(found.notes)
    for reason in ("no size is zero", "no size is negative", "no cost is zero", "no cost is negative", "it is no size"):
        assert reason in text


def test_a_table_without_a_single_cost_judges_nothing_and_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"nothing to judge: .*2 rows of 'OOM' left out \(n = 64, 128\)"):
        verify(of_cells(tmp_path, [(64, "OOM"), (128, "OOM")]), exponent=2)


def test_a_group_without_a_cost_is_open_and_spoils_no_other(tmp_path):
    rows = [("a", n, square(n)) for n in SIZES] + [("b", n, "OOM") for n in SIZES] + [("c", n, "-1") for n in SIZES]
    found = verify(of_cells(tmp_path, rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    assert [group.verdict for group in found.groups] == ["consistent", "inconclusive", "inconclusive"]
    assert "no row has both a size and a cost (7 left out)" in found.groups[1].reason
    plot(found, tmp_path / "t.svg")
    assert (tmp_path / "t.svg").stat().st_size > 5000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_decimal_commas_are_read_where_semicolons_part_the_cells(tmp_path, encoding, end):
    rows = ["n;ms", *(f"{n};{1e3 * square(n):.4f}".replace(".", ",") for n in SIZES)]
    path = tmp_path / "t.csv"
    path.write_bytes((end.join(rows) + end).encode(encoding))
    found = verify(path, y="ms", exponent=2)
    assert found.groups[0].verdict == "consistent"
    assert found.groups[0].costs == pytest.approx([1e3 * square(n) for n in SIZES], abs=1e-4)
    assert any("decimal commas" in note for note in found.notes)


def test_a_point_between_thousands_is_no_decimal_point(tmp_path):
    rows = [f"{n:,};{1e3 * square(n):.4f}".replace(",", ":").replace(".", ",").replace(":", ".") for n in SIZES]
    path = write(tmp_path, "\n".join(["n;ms", *rows]))
    assert "1.024;" in path.read_text()
    assert verify(path, y="ms", exponent=2).groups[0].sizes == SIZES


def test_a_comma_inside_an_unquoted_number_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"line 2: 3 fields, not 2 fields .* needs quotes"):
        verify(write(tmp_path, "n,ms\n64,0,0296\n"), y="ms", exponent=2)
    rows = [(f'"{n:,}"', square(n)) for n in SIZES]
    assert verify(of_cells(tmp_path, rows), exponent=2).groups[0].sizes == SIZES


def test_the_decimal_mark_can_be_told(tmp_path):
    path = write(tmp_path, "n;ms\n64;1.024\n128;4.096\n256;16.384\n")
    assert verify(path, y="ms", exponent=2).groups[0].costs == [1024, 4096, 16384]
    assert verify(path, y="ms", exponent=2, wording=Wording(decimal=".")).groups[0].costs == [1.024, 4.096, 16.384]


def test_cells_with_both_marks_are_mistakes_with_advice(tmp_path):
    with pytest.raises(ValueError, match=r"line 4, ms: '12.75' is no number with decimal commas \(--decimal '\.'\)"):
        verify(write(tmp_path, "n;ms\n64;0,5\n128;1,25\n256;12.75\n"), y="ms", exponent=2)


def test_sizes_count_in_1024_where_that_makes_them_powers_of_two(tmp_path):
    binary = verify(of_cells(tmp_path, [(n, 1.0) for n in ("512", "1k", "1.5k", "4k", "64k")]), exponent=0)
    assert binary.groups[0].sizes == [512, 1024, 1536, 4096, 65536]
    assert "'1k' in n is 1024 (--units k=1000 for the other reading)" in binary.notes
    decimal = verify(of_cells(tmp_path, [(n, 1.0) for n in ("500", "1k", "2k", "65k")]), exponent=0)
    assert decimal.groups[0].sizes == [500, 1000, 2000, 65000]
    path = of_cells(tmp_path, [(n, 1.0) for n in ("1k", "2k", "4k")])
    assert verify(path, exponent=0, wording=Wording(units=["k=1000"])).groups[0].sizes == [1000, 2000, 4000]


def test_units_and_markers_can_be_told(tmp_path):
    rows = [(64, "2 ms", 5), (128, "4", 5), (256, "9999", 5), (512, "1 KB", 5)]
    path = of_cells(tmp_path, rows[:3], header="n,cost,other")
    wording = Wording(markers=["9999"], units=["ms"])
    assert verify(path, y="cost", exponent=1, wording=wording).groups[0].costs == [0.002, 0.004]
    path = of_cells(tmp_path, rows[3:], header="n,cost,other")
    told = Wording(units=["KB=1024"])
    assert verify(path, y="cost", exponent=1, wording=told).groups[0].costs == [1024]
    with pytest.raises(ValueError, match="--units 'parsec': 'parsec' is no unit that is known"):
        conventions(y="cost", units=["parsec"])
    with pytest.raises(ValueError, match="--decimal must be"):
        conventions(y="cost", decimal=";")


def test_units_of_one_group_have_to_go_together(tmp_path):
    rows = [("a", 64, "2 ms"), ("a", 128, "4"), ("b", 64, "2 KB"), ("b", 128, "4 MB"), ("b", 256, "0")]
    path = of_cells(tmp_path, rows, header="impl,n,cost")
    with pytest.raises(ValueError, match="'4' has no unit, where line 2 has a unit of seconds; --units") as caught:
        verify(path, y="cost", exponent=1, by=["impl"])
    assert "\n" not in str(caught.value)


def test_markdown_is_a_table_too(tmp_path):
    rows = [f"| {n} | **{square(n):.3e}** | {'OOM' if n > 1000 else 1} |" for n in SIZES]
    text = "\n".join(["", "| n | `seconds` | other |", "|---:|:---:|---|", *rows, ""])
    found = verify(write(tmp_path, text), exponent=2)
    assert found.groups[0].sizes == SIZES
    assert found.groups[0].verdict == "consistent"


def test_blanks_part_columns_too(tmp_path):
    text = "n   seconds\n" + "".join(f"{n}  {square(n):.3e}\n" for n in SIZES)
    assert verify(write(tmp_path, text), exponent=2).groups[0].sizes == SIZES


def test_comments_blank_rows_repeated_headers_and_an_index_are_no_rows(tmp_path):
    rows = [f"{place},{n},{square(n)}," for place, n in enumerate(SIZES)]
    text = "\n".join(["# from the cluster", "", ",n,seconds,", *rows[:3], ",,,", ",n,seconds,", "# more", *rows[3:]])
    found = verify(write(tmp_path, text), exponent=2)
    assert found.groups[0].sizes == SIZES
    assert found.groups[0].left_out == 0
    assert "1 repeated header is skipped" in found.notes


def test_a_cost_that_does_not_grow_is_said_so(tmp_path):
    rows = [(n, 14.2 + 0.05 * (place % 3)) for place, n in enumerate([*SIZES, *LARGER])]
    path = of_cells(tmp_path, rows)
    for exponent in (0.5, 1, 2):
        group = verify(path, exponent=exponent).groups[0]
        assert group.verdict == "inconclusive"
        assert group.reason == "it does not grow: over a range of 512 at most 2 % of the cost depends on n"
        assert "--exponent 0" in group.to_decide
    flat = verify(path, exponent=0)
    assert flat.groups[0].verdict == "consistent"
    assert lines(flat)[0].startswith("seconds ~ n^0 is consistent: it does not grow")
    grown = verify(of_cells(tmp_path, [(n, square(n)) for n in SIZES]), exponent=0).groups[0]
    assert grown.verdict == "contradicted"
    few = verify(of_cells(tmp_path, [(n, 1.0) for n in SIZES[:3]]), exponent=0).groups[0]
    assert few.reason == "3 sizes are too few to call a cost flat (at least 5 are needed)"


def test_a_line_with_a_negative_intercept_is_linear(tmp_path):
    path = of_cells(tmp_path, [(2**place, cost) for place, cost in enumerate(BELOW_A_LINE)])
    verdicts = [verify(path, exponent=exponent).groups[0].verdict for exponent in (1, 1.5, 2)]
    assert verdicts == ["consistent", "contradicted", "contradicted"]


def test_exact_bytes_are_judged_from_five_sizes_on(tmp_path):
    path = of_cells(tmp_path, SAVED.items(), header="n,MiB")
    found = verify(path, y="MiB", exponent=2)
    assert found.groups[0].verdict == "consistent"
    assert "all 5 sizes lie on 6.10352e-05 n^2 + 9.15561e-05 n to the last digit" in found.groups[0].reason
    assert json.loads(json.dumps(found.document(), allow_nan=False))["verdicts"][0]["exact"]["degree"] == 2
    assert verify(path, y="MiB", exponent=1).groups[0].verdict == "contradicted"
    four = of_cells(tmp_path, list(SAVED.items())[:4], header="n,MiB")
    assert verify(four, y="MiB", exponent=2).groups[0].verdict == "inconclusive"


def test_exact_costs_with_steps_are_judged_where_asked(tmp_path):
    blocks = [(n, 4096 * n + 65536 * -(-n // 700)) for n in (256, 512, 1024, 2048, 4096, 8192)]
    path = of_cells(tmp_path, blocks, header="n,bytes")
    exact = Wording(is_exact=True)
    assert verify(path, y="bytes", exponent=1).groups[0].exact is None
    assert verify(path, y="bytes", exponent=1, wording=exact).groups[0].verdict == "consistent"
    assert verify(path, y="bytes", exponent=2, wording=exact).groups[0].verdict == "contradicted"
    twice = of_cells(tmp_path, [*blocks, (256, 1)], header="n,bytes")
    assert "samples of one size differ" in verify(twice, y="bytes", exponent=1, wording=exact).groups[0].reason


def test_rounded_times_are_not_taken_for_exact(tmp_path):
    path = of_cells(tmp_path, [(1, 1), (2, 4), (4, 16), (8, 64), (16, 256)])
    assert verify(path, exponent=2).groups[0].verdict == "inconclusive"
    assert verify(path, exponent=2, wording=Wording(is_exact=True)).groups[0].verdict == "consistent"


def test_a_batch_that_falls_as_lengths_grow_leaves_the_law_open(tmp_path):
    published = of_cells(tmp_path, [(n, 16384 // n, ms) for n, ms in TIED.items()], header="n,batch,ms")
    note = "batch = 16384 / n: growth at a fixed batch can't be told from this (--per batch judges the cost per batch)"
    assert note in verify(published, y="ms", exponent=2).notes
    rows = [(n, max(1, 4096 // n), square(n) * max(1, 4096 // n)) for n in [*SIZES, 8192, 16384]]
    path = of_cells(tmp_path, rows, header="n,batch,seconds")
    for exponent in (1, 2):
        group = verify(path, exponent=exponent).groups[0]
        assert group.verdict == "inconclusive"
    assert "batch = 4096 / n: what grows with n and what falls with batch can't be separated" in group.reason
    assert "--per batch" in group.to_decide
    per = verify(path, exponent=2, per="batch")
    assert per.groups[0].verdict == "consistent"
    assert lines(per)[0].startswith("seconds per batch ~ n^2 is consistent")


@pytest.mark.parametrize("batch", [1e300, 2.5, -4, 0])
def test_a_column_that_is_no_axis_rides_on_nothing(tmp_path, batch):
    rows = [(10.0 ** (4 * place), batch / 2**place, square(2)) for place in range(8)]
    found = verify(of_cells(tmp_path, rows, header="n,batch,seconds"), exponent=2)
    assert found.groups[0].rides == []


def test_an_axis_that_grows_along_is_noted(tmp_path):
    rows = [(n, n // 64, n, square(n)) for n in SIZES]
    found = verify(of_cells(tmp_path, rows, header="n,heads,n_k,seconds"), exponent=2)
    assert found.notes == ["heads = n / 64: what is judged is the growth of both"]


def test_another_axis_in_whole_numbers_is_noted_and_repeats_are_not(tmp_path):
    rows = [(d, n, square(n)) for d in (16, 128) for n in SIZES]
    assert (
        "rows of one n differ in 'd'; --by d judges them apart"
        in verify(of_cells(tmp_path, rows, header="d,n,seconds"), exponent=2).notes
    )
    rows = [(run, n, square(n, seed=run)) for run in range(1, 4) for n in SIZES]
    assert verify(of_cells(tmp_path, rows, header="run,n,seconds"), exponent=2).notes == []


@pytest.mark.parametrize("exponent", [-1, 0.3, 10.5, float("nan"), float("inf")])
def test_an_exponent_that_can_not_be_judged_is_refused(tmp_path, exponent):
    with pytest.raises(ValueError, match=r"--exponent must be 0 for a flat cost or 0\.5 to 10"):
        verify(of_cells(tmp_path, [(64, 1)]), exponent=exponent)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(10.0 ** (9 * place), 1.0 + place) for place in range(8)], "beyond what can be fitted"),
        ([(2**place, 10.0 ** (20 * place - 100)) for place in range(9)], "beyond what can be fitted"),
        ([(64 * 2**place, 1e-80 * 4.0**place) for place in range(9)], "a cost of 1e-80 is beyond what can be fitted"),
        ([(64 * 2**place, 1e31 * 4.0**place) for place in range(9)], "beyond what can be fitted"),
        ([(n, 1.0) for n in range(1, 200)], "199 different sizes are more than can be judged at once"),
    ],
)
def test_numbers_beyond_fitting_are_said(tmp_path, rows, reason):
    assert reason in verify(of_cells(tmp_path, rows), exponent=2).groups[0].reason


def test_files_of_any_kind_are_one_line(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, message in (
            (str(tmp_path), "it is a directory, not a file"),
            ("/dev/zero", "it is a device or a socket"),
            (str(tmp_path / "pipe"), "it is a named pipe"),
            (str(tmp_path / "socket"), "it is a device or a socket"),
            (str(tmp_path / "loop"), "Too many levels of symbolic links"),
            (str(tmp_path / ("x" * 300)), "File name too long"),
            (str(tmp_path / "nowhere\n.csv"), "No such file"),
        ):
            with pytest.raises(ValueError, match=message) as caught:
                verify(type(tmp_path)(name), exponent=2)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"n,seconds\n64,1\n\x00\n", "NUL character on line 3"),
        (b"\xff\xfe\x00", "not a UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n", "not a UTF-8 text: byte 0x89 on line 1"),
        (b"n,seconds\n64," + b"9" * (LINE_AT_MOST + 1), "longer than"),
        (b",".join([b"c"] * (COLUMNS_AT_MOST + 1)) + b"\n1\n", "columns; at most"),
        (b"n,seconds\n" + b"1,1\n" * (ROWS_AT_MOST + 1), "more than 40,000 rows"),
        (b"n,seconds\n" + b"1,1\n" * 3_000_000, "more than 200,000 lines"),
        (b"n,seconds\n" + b" " * BYTES_AT_MOST, "larger than 12 MiB"),
        (b'n,seconds\n64,"1\n' + b"x" * 200 + b"\n", "1 fields, not 2|too long"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"benchmarks": [{"name": "x/1", "real_time": ' + b"9" * 5000 + b"}]}", "is not JSON that can be read"),
    ],
)
def test_bytes_of_any_kind_are_one_line(tmp_path, raw, message):
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message) as caught:
        verify(path, exponent=2)
    assert "\n" not in str(caught.value)


def test_a_pipe_of_the_shell_is_a_file():
    text = "n,seconds\n" + "".join(f"{n},{square(n)}\n" for n in SIZES)
    code = "import sys; from pathlib import Path; from harness.verdicts.table import verify; "
    code += "print(verify(Path('/dev/stdin'), exponent=2).groups[0].verdict)"
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "consistent"


@pytest.mark.parametrize("name", ["$\\frac$", "a_b^c", "<script>", "x\u202ey", "模型", "a" * 300, "%s{}"])
def test_any_name_is_text_in_lines_and_pictures(tmp_path, name):
    rows = [(name, n, square(n)) for n in SIZES]
    found = verify(of_cells(tmp_path, rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    assert all(line.isprintable() for line in lines(found))
    plot(found, tmp_path / "t.svg")
    assert (tmp_path / "t.svg").stat().st_size > 5000


def test_forty_groups_leave_a_picture_room(tmp_path):
    rows = [(f"i{place}", n, square(n)) for place in range(40) for n in SIZES]
    found = verify(of_cells(tmp_path, rows, header="impl,n,seconds"), exponent=2, by=["impl"])
    plot(found, tmp_path / "t.svg")
    assert (tmp_path / "t.svg").stat().st_size > 5000
