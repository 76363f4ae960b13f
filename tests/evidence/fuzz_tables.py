"""Ten thousand tables that nobody would write: each gives verdicts or lines that say what is wrong, soon and in little.

`python -m tests.evidence.fuzz_tables --tables 10000` prints what came out; it ends with 1 where a table gave a
traceback, a warning, or output that is no text or no JSON, took over 2 s of processor time, or needed over 500 MB.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import typer.main
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from attnbench.app import make_app

SECONDS_AT_MOST = 2.0
# What takes longer is read so many times and the least taken: neighbours slow a processor down, a table does each time.
TIMES = 3
BYTES_AT_MOST = 500 * 10**6
MESSAGE_LINES_AT_MOST = 21
# What is generated, and how much of each.
KINDS = {"table": 28, "mutated": 8, "benchmarks": 8, "json": 4, "text": 4, "bytes": 2, "bulk": 1}

WORDS = (
    "n",
    "ms",
    "seconds",
    "impl",
    "batch",
    "d",
    "",
    " ",
    "#",
    "**n**",
    "time (ms)",
    "$n$",
    "\ud800",
    "a\nb",
    "=1+1",
)
MARKERS = ("-", "OOM", "0.000000", "-1", "", "N/A", "nan", "inf", "✗", "> 3600", "timeout", "~~5~~", "#DIV/0!", "—")
ODD = (
    "fast",
    "1.2.3",
    "12 parsecs",
    "9" * 200,
    "1e999",
    "2^99999",
    "1e-400",
    "1/2",
    "12²",
    "0x40",
    "\u0661\u0662",
    "٣",
)
FORMS = (
    *("{:.6g}", "{:.3e}", "{:,.0f}", "{:.2f} ms", "{:.3g}s", "**{:.4g}**", "{:.3f}±0.1", "{:.0f}k", "{:.2f} GiB"),
    *("~{:.3g}", "`{:g}`", "{:.6g} (2x)", "$ {:g} $", "<b>{:g}</b>", '"{:,.0f}"', "{:g} KB", "{!r}"),
)
DELIMITERS = (",", ";", "\t", "|", ", ", "  ")
ENCODINGS = (*["utf-8"] * 12, "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32")


@dataclass(frozen=True)
class Case:
    """One file with the options it is read with."""

    kind: str
    raw: bytes
    options: tuple[str, ...]


@dataclass
class Tally:
    """What came out of all cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def cell(generator: random.Random, value: float, *, form: str, odd: float) -> str:
    """Return a number in one of its forms, a marker, or, so often, what is neither or in another form."""
    kind = generator.random()
    if kind < odd:
        return generator.choice((*ODD, generator.choice(FORMS).format(value), f"{value:.6g}".replace(".", ",")))
    return generator.choice(MARKERS) if kind < 0.1 else form.format(value)


def table(generator: random.Random) -> str:
    """Return a table of a law in some dialect, with groups, samples, axes that ride, markers and mistakes."""
    delimiter = generator.choice(DELIMITERS)
    power, floor = generator.choice((0, 0.5, 1, 1.5, 2, 3)), generator.choice((0.0, 1e-6, 1.0, 1e9))
    scale, noise = (
        10.0 ** generator.randint(-300 if generator.random() < 0.05 else -12, 6),
        generator.choice((0, 0.01, 0.5)),
    )
    start, step = generator.choice((1, 3, 64, 1e-9)), generator.choice((1.5, 2, 2, 4, 1e3))
    clean, odd = generator.random() < 0.5, generator.choice((0.0, 0.0, 0.02, 0.1))
    # A comma between thousands needs quotes where commas part the cells.
    form = generator.choice([form for form in FORMS if not ("," in form[:3] and "," in delimiter)])
    lines = [delimiter.join(("impl", "n", "batch", "seconds"))]
    for group in range(generator.choice((1, 1, 2, 5, 40))):
        for place in range(generator.choice((1, 2, 3, 5, 7, 10, 10, 30))):
            size = start * step**place
            cost = (floor + scale * size**power) * (1.0 + noise * generator.random())
            for _ in range(generator.choice((1, 1, 1, 3))):
                numbers_of = (size, max(1, 4096 // size), cost)
                numbers = tuple(f"{value:.6g}" for value in numbers_of)
                cells = numbers if clean else [cell(generator, value, form=form, odd=odd) for value in numbers_of]
                lines.append(delimiter.join((f"i{group}", *cells)))
    joined = generator.choice(("\n", "\n", "\r\n", "\r")).join(lines)
    return (
        joined if generator.random() < 0.9 else joined.replace("impl", generator.choice(WORDS)).replace("i0", "\u202e")
    )


def mutated(generator: random.Random, raw: bytes) -> bytes:
    """Return bytes with a few of them changed, cut, doubled or put in."""
    data = bytearray(raw)
    for _ in range(generator.randint(1, 8)):
        start = generator.randrange(len(data) + 1)
        end = min(len(data), start + generator.choice((1, 1, 3, 20)))
        action = generator.randrange(4)
        if action == 0:
            del data[start:end]
        elif action == 1:
            data[start:start] = data[start:end] * generator.randint(1, 4)
        elif action == 2:
            data[start:start] = generator.choice((b"\0", b'"', b"\n", b",", b"\xff", b"{", b"]", b"9" * 50, b"e", b"-"))
        else:
            data[start:end] = bytes(generator.randrange(256) for _ in range(end - start))
    return bytes(data)


def benchmarks(generator: random.Random) -> str:
    """Return JSON in the form of either tool, with entries that lack parts or have odd ones."""
    is_google = generator.random() < 0.5
    odd = (None, "x", [], {}, True, float("nan"), 1e308, 10**400, -1, "\ud800")
    entries: list[object] = []
    for place in range(generator.choice((1, 5, 10, 40))):
        size, time_ = 2**place % 10**9 + 1, 1e-6 * 2.0**place
        if is_google:
            name = generator.choice(("BM_x/{}", "BM_x/{}k", "a<b/c>/n:{}/threads:2", "BM_x/{}_BigO", "BM_y/{}")).format(
                size
            )
            entry = {"name": name, "run_name": name, "real_time": time_, "cpu_time": time_, "time_unit": "ns"}
            entry["run_type"] = generator.choice(("iteration", "iteration", "aggregate"))
        else:
            entry = {
                "name": f"test_x[{size}]",
                "params": {"n": size},
                "stats": {"min": time_, "data": [time_, 2 * time_]},
            }
        for _ in range(generator.choice((0, 0, 0, 1, 2))):
            entry[generator.choice(list(entry))] = generator.choice(odd)
        entries.append(generator.choice(odd) if generator.random() < 0.02 else entry)
    return json.dumps({"benchmarks": entries})


def bulk(generator: random.Random) -> bytes:
    """Return files that are large or deep in one respect."""
    many = generator.choice((10_000, 20_000, 40_000, 150_000))
    kinds = {
        "rows": lambda: b"n,seconds\n" + b"".join(b"%d,%d.%d\n" % (2 ** (i % 20), i, i) for i in range(many)),
        "sizes": lambda: b"n,seconds\n" + b"".join(b"%d,%d\n" % (i + 1, i + 1) for i in range(many)),
        "groups": lambda: (
            b"impl,n,seconds\n" + b"".join(b"%d,%d,%d\n" % (i // 9, 2 ** (i % 9), i + 1) for i in range(many))
        ),
        "mistakes": lambda: b"n,seconds\n" + b"64,fast\n" * many,
        "markers": lambda: b"n,seconds\n" + b"".join(b"%d,OOM %d\n" % (i, i) for i in range(many)) + b"64,1\n",
        "columns": lambda: (
            b"n,seconds" + b"".join(b",c%d" % i for i in range(900)) + b"\n" + b"1" + b",1" * 901 + b"\n"
        ),
        "wide": lambda: b",".join(b"%d" % i for i in range(many)) + b"\n",
        "lines": lambda: b"n,seconds\n" + b"1,1\n" * 4_000_000,
        "empties": lambda: b'{"benchmarks": [{"a":1}' + b',{"a":1}' * 2_000_000 + b"]}",
        "commas": lambda: b"n,seconds\n" + b"," * 2**24,
        "zeros": lambda: bytes(2**24),
        "line": lambda: b"n,seconds\n1," + b"9" * many + b"\n",
        "quote": lambda: b'n,seconds\n1,"' + b"1,2\n" * many,
        "dashes": lambda: b"-" * many + b"\nn,seconds\n" + b"-=" * (many // 2) + b"\n1,2\n",
        "units": lambda: b"n,seconds\n" + b"".join(b"%dk,%d.%d ms\n" % (i % 99 + 1, i, i) for i in range(many)),
        "nested": lambda: b"[" * many,
        "objects": lambda: b'{"benchmarks":' * many,
        "digits": lambda: b'{"benchmarks": [{"name": "x/64", "real_time": ' + b"9" * many + b"}]}",
        "entries": lambda: json.dumps(
            {"benchmarks": [{"name": f"t[{i % 99}]", "stats": {"min": 1.0 + i}} for i in range(many)]}
        ),
        "samples": lambda: json.dumps(
            {"benchmarks": [{"name": "t[1]", "stats": {"data": [1.5] * many, "min": 1}}] * 3}
        ),
        "name": lambda: json.dumps({"benchmarks": [{"name": "x/<" * many, "real_time": 1.0, "time_unit": "ns"}]}),
    }
    made = kinds[generator.choice(list(kinds))]()
    return made.encode() if isinstance(made, str) else made


def options(generator: random.Random, kind: str) -> tuple[str, ...]:
    """Return options of `attnbench verify`, most often sound ones."""
    exponent = generator.choice(("0", "0.5", "1", "1.5", "1", "2", "2", "2", "3", "10"))
    if generator.random() < 0.03:
        exponent = generator.choice(("-1", "nan", "1e9"))
    chosen = ["--exponent", exponent]
    if generator.random() < 0.3:
        chosen += ["--json"]
    if generator.random() < 0.5:
        return (*chosen, *(("--by", "impl") if kind in {"table", "mutated"} else ()))
    if kind in {"table", "mutated"} and generator.random() < 0.8:
        chosen += ["--by", "impl"]
    for odds, words in (
        (0.2, ("--kind", "layer")),
        (0.2, ("--exact",)),
        (0.1, ("--per", "batch")),
        (0.1, ("--decimal", generator.choice((".", ",", ";")))),
        (0.1, ("--units", generator.choice(("ms", "seconds=ms", "KB=1024", "k=1000", "x", "=", "k=1e999", "k=nan")))),
        (0.1, ("--markers", generator.choice(("fast", "-1", "", "1")))),
        (0.05, ("--band", generator.choice(("0.1", "1", "0", "nan")))),
        (0.05, ("--x", generator.choice(("batch", "seconds", "n ", "\ud800")))),
        (0.05, ("--source", generator.choice(("csv", "pytest-benchmark", "google-benchmark")))),
    ):
        chosen += words if generator.random() < odds else ()
    return tuple(chosen)


def make(kind: str, number: int, text: str, raw: bytes) -> Case:
    """Return the case of a kind that a number, and what hypothesis drew, stand for."""
    generator = random.Random(number)
    if kind == "bytes":
        return Case(kind, raw, options(generator, kind))
    if kind == "bulk":
        return Case(kind, bulk(generator), options(generator, kind))
    if kind == "text":
        header = generator.choice(("", "n,seconds\n", "n;seconds\n64;", "| n | seconds |\n|---|---|\n| 64 | "))
        return Case(kind, (header + text).encode("utf-8", "surrogatepass"), options(generator, kind))
    written = benchmarks(generator) if kind in {"benchmarks", "json"} else table(generator)
    made = written.encode(generator.choice(ENCODINGS) if kind == "table" else "utf-8", "replace")
    return Case(kind, mutated(generator, made) if kind in {"mutated", "json"} else made, options(generator, kind))


CASES = st.builds(
    make,
    st.sampled_from([kind for kind, share in KINDS.items() for _ in range(share)]),
    st.integers(min_value=0, max_value=2**48),
    st.text(max_size=300) | st.text(alphabet="0123456789.,;|-+e \n\t\"'kMs%^*()", max_size=300),
    st.binary(max_size=300),
)


def outcome(case: Case, file: Path, command: object, tally: Tally) -> str:
    """Read one case as the command line does, and say what came out; raises AssertionError for what may not."""
    file.write_bytes(case.raw)
    taken: list[float] = []
    while len(taken) < TIMES and (not taken or min(taken) > SECONDS_AT_MOST):
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            words = ["verify", "--csv", str(file), *case.options]
            result = CliRunner().invoke(command, words)  # type: ignore[arg-type]
        taken.append(time.process_time() - begun)
    seconds = min(taken)
    tally.seconds.append(seconds)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in {0, 2}, f"exit code {result.exit_code}"
    assert seconds <= SECONDS_AT_MOST, f"{seconds:.1f} s"
    if result.exit_code == 2:
        lines = result.stderr.strip().split("\n")
        assert 1 <= len(lines) <= MESSAGE_LINES_AT_MOST, f"{len(lines)} lines"
        assert all(line.startswith("attnbench: ") for line in lines), lines[0]
        tally.refusals[reason(lines[0], file)] += 1
        return "refused"
    if "--json" in case.options:
        document = json.loads(result.stdout, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
        verdicts = [verdict["verdict"] for verdict in document["verdicts"]]
    else:
        verdicts = [
            line.split(" is ", maxsplit=1)[1].split(":")[0] for line in result.stdout.split("\n") if " ~ " in line
        ]
    assert verdicts, "neither verdict nor mistake"
    return f"judged ({', '.join(sorted(set(map(str, verdicts))))})"


def reason(line: str, file: Path) -> str:
    """Return what a message is about, without names, numbers and what it quotes."""
    text = line.removeprefix("attnbench: ").replace(str(file), "FILE")
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "...", text)
    return re.sub(r"[0-9][0-9.,x]*", "N", text)[:60]


def fuzz(tables: int, *, number: int) -> Tally:
    """Read so many tables, all failures collected; memory is bounded for the whole process, above what it has now."""
    tally = Tally()
    command = typer.main.get_command(make_app())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.csv"
        outcome(Case("table", b"n,seconds\n1,1\n2,2\n3,3\n4,4\n", ("--exponent", "1")), file, command, Tally())
        held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (held + BYTES_AT_MOST, resource.RLIM_INFINITY))

        @seed(number)
        @settings(
            max_examples=tables,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(CASES)
        def read(case: Case) -> None:
            tally.kinds[case.kind] += 1
            try:
                tally.outcomes[outcome(case, file, command, tally)] += 1
            except Exception as error:  # noqa: BLE001  # whatever comes out is the finding
                kept = Path(tempfile.gettempdir()) / f"fuzz-{number}-{len(tally.failures)}.csv"
                kept.write_bytes(case.raw)
                words = " ".join(case.options)
                tally.failures.append(f"{type(error).__name__}: {error} ({case.kind}; --csv {kept} {words})"[:600])

        read()
    return tally


def summary(tally: Tally, *, wall: float) -> list[str]:
    """Return what came out, as lines."""
    count = sum(tally.kinds.values())
    seconds = sorted(tally.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = [f"{count} tables in {wall:.0f} s: {len(tally.failures)} failures"]
    shown += [f"  {kind}: {number}" for kind, number in sorted(tally.kinds.items())]
    shown += [f"  {result}: {number}" for result, number in tally.outcomes.most_common()]
    shown += [f"    {text}: {number}" for text, number in tally.refusals.most_common(25)]
    shown.append(f"processor time: median {1e3 * seconds[len(seconds) // 2]:.0f} ms, longest {seconds[-1]:.2f} s")
    shown.append(f"resident memory of the process at most: {peak:.0f} MiB")
    return [*shown, *tally.failures[:30]]


def main() -> None:
    """Read the command line, fuzz, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given_options = parser.parse_args()
    begun = time.monotonic()
    tally = fuzz(given_options.tables, number=given_options.seed)
    print("\n".join(summary(tally, wall=time.monotonic() - begun)))  # noqa: T201
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
